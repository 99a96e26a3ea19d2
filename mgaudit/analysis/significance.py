"""Which arms differ from the one without noise, when so many are compared."""

from collections.abc import Sequence

import numpy as np

from mgaudit.analysis.numbers import CHANGE, Numbers, Quantity
from mgaudit.reports.findings import ANALYSED, TEST_ACCURACY, Change
from mgaudit.reports.results import AttackResult, AuditResult

_Pair = tuple[AttackResult | None, Quantity, Quantity]


def changes(arms: Sequence[AuditResult], plain: int, numbers: Numbers) -> list[Change]:
    """Returns every arm's paired differences to arm `plain`, with p-values that Holm's method has corrected.

    A naive attack is compared with the same attack on the arm without noise. The correction is over all that is
    compared in the same metric, so that one false finding in any of them has a chance of 5 % at most.
    """
    found: list[Change] = []
    for metric in (TEST_ACCURACY, *ANALYSED):
        compared = [
            (arm.key, attack, ours, theirs)
            for place, arm in enumerate(arms)
            if place != plain
            for attack, ours, theirs in _pairs(place, arm, plain, metric)
        ]
        tested = []
        for key, attack, ours, theirs in compared:
            terms = [(1.0, ours), (-1.0, theirs)]
            difference, p_value = numbers.estimate(terms, CHANGE), numbers.p_value(terms)
            if difference is not None and p_value is not None:
                tested.append((key, attack, difference, p_value))
        for (key, attack, difference, p_value), adjusted in zip(tested, holm([one[3] for one in tested]), strict=True):
            found.append(
                Change(
                    arm=key,
                    attack=None if attack is None else attack.attack,
                    knowledge=None if attack is None else attack.knowledge,
                    metric=metric,
                    difference=difference,
                    p_value=p_value,
                    p_adjusted=adjusted,
                )
            )
    return found


def _pairs(
    place: int, arm: AuditResult, plain: int, metric: str
) -> list[tuple[AttackResult | None, Quantity, Quantity]]:
    if metric == TEST_ACCURACY:
        return [(None, Quantity(place, metric), Quantity(plain, metric))]
    return [
        (attack, Quantity(place, metric, attack.name), Quantity(plain, metric, attack.attack)) for attack in arm.attacks
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values such that rejecting those <= alpha errs at all with probability <= alpha (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]
