"""How much of an apparent gain in privacy is due to the attacker's ignorance of the noise.

An adaptive adversary trains the shadow models of the attack with the noise of the audited arm, and
a naive adversary trains them without noise.
"""

from collections.abc import Sequence

from mgaudit.analysis.numbers import CHANGE, RATE, Numbers, Quantity
from mgaudit.reports.findings import Ignorance
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AttackResult, AuditResult


def ignorance(arms: Sequence[AuditResult], plain: int, numbers: Numbers) -> list[Ignorance]:
    """Returns the AUCs of the naive and the adaptive adversary, and their differences.

    There is a record for each arm and each attack that a naive adversary mounts too. It is left out
    if fewer than three targets are shared. `plain` is the index of the arm without noise.
    """
    comparisons = []
    for index, arm in enumerate(arms):
        for attack in arm.attacks:
            if attack.adversary != "naive":
                continue
            comparison = _compare(index, arm, attack, plain, numbers)
            if comparison is not None:
                comparisons.append(comparison)
    return comparisons


def _compare(
    index: int, arm: AuditResult, naive: AttackResult, plain: int, numbers: Numbers
) -> Ignorance | None:
    """Returns the AUCs of one attack on the arm with this index; None with too few shared targets.

    `naive` is the result of the attack by the naive adversary.
    """
    of_plain = Quantity(plain, "auc", naive.attack)
    of_adaptive = Quantity(index, "auc", naive.attack)
    of_naive = Quantity(index, "auc", naive.name)
    # All estimates are over the targets that the three share, so that they add up.
    all_three = (of_plain, of_adaptive, of_naive)

    def level(quantity: Quantity) -> Estimate | None:
        return numbers.estimate([(1.0, quantity)], RATE, over=all_three)

    def gap(quantity: Quantity, other: Quantity) -> Estimate | None:
        terms = [(1.0, quantity), (-1.0, other)]
        return numbers.estimate(terms, CHANGE, over=all_three)

    estimates = {
        "plain": level(of_plain),
        "naive": level(of_naive),
        "adaptive": level(of_adaptive),
        "apparent": gap(of_plain, of_naive),
        "real": gap(of_plain, of_adaptive),
        "gap": gap(of_adaptive, of_naive),
    }
    if None in estimates.values():
        return None
    fields = {"arm": arm.key, "attack": naive.attack, **estimates}
    return Ignorance.model_validate(fields)
