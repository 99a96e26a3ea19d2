"""Compare the arms of a study with one another, from their results alone.

An arm is one noise scheme of the study, with its trained models and the attacks on them. The plain
arm is the arm without noise.
"""

from collections.abc import Sequence
from typing import Any

from mgaudit.analysis.dp_equivalent import dp_arms, dp_equivalent
from mgaudit.analysis.front import front
from mgaudit.analysis.ignorance import ignorance
from mgaudit.analysis.margins import Margins
from mgaudit.analysis.matched import matched
from mgaudit.analysis.numbers import Numbers
from mgaudit.analysis.pairs import pair_differences
from mgaudit.analysis.shared_exposure import shared_exposure
from mgaudit.analysis.significance import changes
from mgaudit.analysis.through_noise import through_noise
from mgaudit.analysis.verdicts import verdicts
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.families import families
from mgaudit.reports.findings import Analysis
from mgaudit.reports.results import AuditResult, accuracies_known

NO_PLAIN_ARM = "There is no arm without noise to compare with."
NO_ACCURACY = "The accuracy of an arm is not known."
NO_OTHER_ARM = "There is no other arm."
TOO_FEW_MODELS = "Too few models converged in both arms."
ONE_FAMILY = "All arms belong to one family, so there is no other family to match it with."
NO_STRENGTH = "No arm has noise of a given strength."
ONE_DP_ARM = (
    "At least two arms with DP-SGD at finite ε are needed, such as dp-sgd:epsilon=2 and "
    "dp-sgd:epsilon=8."
)
ONLY_DP_ARMS = "All arms use DP-SGD."
NO_NAIVE_ATTACK = "No attack with shadows was mounted by a naive adversary on an arm with noise."
TOO_FEW_HALVES = (
    "There are too few targets or examples to choose by one half and evaluate on the other."
)


def analyse(
    arms: Sequence[AuditResult], arrays: Arrays, numbers: Numbers, margins: Margins
) -> Analysis:
    """Returns all comparisons between the arms of one study, and the verdict on each arm.

    `arms` must not be empty. `numbers` computes sums of the metrics in their results with intervals
    from `arrays`, and `margins` are the smallest effects that matter in the verdict. A part that
    cannot be computed is empty, and `absent` gives the reason.
    """
    attack = arms[0].attacks[0].attack
    known = accuracies_known(arms)
    parts: dict[str, list[Any]] = {
        "front": front(arms, attack, numbers) if known else [],
        "matched": matched(arms, attack, numbers) if known else [],
        "dp_equivalent": [],
        "changes": [],
        "ignorance": [],
        "exposure": [],
    }
    if known and len(dp_arms(arms)) >= 2:
        parts["dp_equivalent"] = dp_equivalent(arms, numbers)
    plain = next((index for index, arm in enumerate(arms) if arm.is_plain), None)
    if plain is not None:
        parts["changes"] = changes(arms, plain, numbers)
        parts["ignorance"] = ignorance(arms, plain, numbers)
        parts["exposure"] = shared_exposure(arms, arrays, plain)
    reasons = _reasons(arms, has_plain=plain is not None)
    absent = {name: reason for name, reason in reasons.items() if not parts[name]}
    return Analysis(
        attack=attack,
        **parts,
        absent=absent,
        verdicts=verdicts(arms, arrays, numbers, margins),
        through_noise=through_noise(arms, plain, numbers),
        pairs=pair_differences(arms, plain, numbers),
    )


def _reasons(arms: Sequence[AuditResult], has_plain: bool) -> dict[str, str]:
    """Returns for each part of the analysis, by name, the reason that applies if it is empty."""
    reasons = {
        "changes": NO_OTHER_ARM if len(arms) == 1 else TOO_FEW_MODELS,
        "matched": ONE_FAMILY if families(arms) else NO_STRENGTH,
        "dp_equivalent": ONE_DP_ARM if len(dp_arms(arms)) < 2 else ONLY_DP_ARMS,
        "ignorance": NO_NAIVE_ATTACK,
        "exposure": TOO_FEW_HALVES,
    }
    if not accuracies_known(arms):
        reasons |= dict.fromkeys(("front", "matched", "dp_equivalent"), NO_ACCURACY)
    if not has_plain:
        reasons |= dict.fromkeys(("changes", "ignorance", "exposure"), NO_PLAIN_ARM)
    return reasons
