"""What comes of setting the arms of a study against one another, from results alone."""

from collections.abc import Sequence
from typing import Any

from mgaudit.analysis.dp_equivalent import dp_arms, dp_equivalent
from mgaudit.analysis.front import front
from mgaudit.analysis.ignorance import ignorance
from mgaudit.analysis.matched import matched
from mgaudit.analysis.numbers import Numbers
from mgaudit.analysis.shared_exposure import shared_exposure
from mgaudit.analysis.significance import changes
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.families import families
from mgaudit.reports.findings import Analysis
from mgaudit.reports.results import AuditResult


def analyse(arms: Sequence[AuditResult], arrays: Arrays, numbers: Numbers) -> Analysis:
    """Returns all comparisons between the arms of one study.

    What cannot be compared is `absent`, with the reason.
    """
    attack = arms[0].attacks[0].attack
    plain = next((place for place, arm in enumerate(arms) if arm.is_plain), None)
    no_plain = "There is no arm without noise to compare with." if plain is None else None
    one_dp_arm = len(dp_arms(arms)) < 2
    parts: dict[str, list[Any]] = {
        "changes": [] if plain is None else changes(arms, plain, numbers),
        "front": front(arms, attack, numbers),
        "matched": matched(arms, attack, numbers),
        "dp_equivalent": [] if one_dp_arm else dp_equivalent(arms, numbers),
        "ignorance": [] if plain is None else ignorance(arms, plain, numbers),
        "exposure": [] if plain is None else shared_exposure(arms, arrays, plain),
    }
    reasons = {
        "changes": no_plain
        or ("There is no other arm." if len(arms) == 1 else "Too few models converged in both arms."),
        "matched": "All arms belong to one family, which has nothing to be matched with."
        if families(arms)
        else "There is no arm whose noise has a strength.",
        "dp_equivalent": "It takes DP-SGD at two finite ε at least, such as dp-sgd:epsilon=2 and dp-sgd:epsilon=8."
        if one_dp_arm
        else "There is no arm but those of DP-SGD.",
        "ignorance": no_plain or "No attack with shadows was mounted by a naive adversary on an arm with noise.",
        "exposure": no_plain or "There are too few targets or examples to choose by one half and look at the other.",
    }
    return Analysis(attack=attack, **parts, absent={name: why for name, why in reasons.items() if not parts[name]})
