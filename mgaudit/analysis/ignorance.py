"""How much of an apparent gain in privacy is the attacker's ignorance of the noise."""

from collections.abc import Sequence

from mgaudit.analysis.numbers import CHANGE, RATE, Numbers, Quantity
from mgaudit.reports.findings import Ignorance
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AttackResult, AuditResult


def ignorance(arms: Sequence[AuditResult], plain: int, numbers: Numbers) -> list[Ignorance]:
    """Returns, for each arm and attack that a naive adversary mounts too, the AUCs of both and their differences.

    `plain` is the number of the arm without noise. What too few targets share is left out.
    """
    compared = [
        _compared(index, arm, attack, plain, numbers)
        for index, arm in enumerate(arms)
        for attack in arm.attacks
        if attack.knowledge == "naive"
    ]
    return [comparison for comparison in compared if comparison is not None]


def _compared(index: int, arm: AuditResult, naive: AttackResult, plain: int, numbers: Numbers) -> Ignorance | None:
    of_plain = Quantity(plain, "auc", naive.attack)
    of_adaptive = Quantity(index, "auc", naive.attack)
    of_naive = Quantity(index, "auc", naive.name)
    all_three = (of_plain, of_adaptive, of_naive)

    def level(quantity: Quantity) -> Estimate | None:
        return numbers.estimate([(1.0, quantity)], RATE, over=all_three)

    def gap(quantity: Quantity, other: Quantity) -> Estimate | None:
        return numbers.estimate([(1.0, quantity), (-1.0, other)], CHANGE, over=all_three)

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
    return Ignorance.model_validate({"arm": arm.key, "attack": naive.attack, **estimates})
