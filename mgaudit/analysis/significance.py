"""Which arms differ significantly from the arm without noise, corrected for their number.

An arm is one noise scheme of a study. The plain arm is the arm without noise.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mgaudit.analysis.numbers import CHANGE, Numbers, Quantity
from mgaudit.reports.findings import ANALYSED, TEST_ACCURACY, Change
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AttackResult, AuditResult


class _Pair(NamedTuple):
    """A quantity of an arm, and the same quantity of the plain arm.

    `arm` is the key of the arm. `attack` is None for the test accuracy.
    """

    arm: str
    attack: AttackResult | None
    quantity: Quantity
    of_plain: Quantity


class _Tested(NamedTuple):
    """The quantity of an arm minus that of the plain arm, and its p-value before the correction."""

    pair: _Pair
    difference: Estimate
    p_value: float


def changes(arms: Sequence[AuditResult], plain: int, numbers: Numbers) -> list[Change]:
    """Returns every arm's metrics minus those of the plain arm, with p-values adjusted by Holm.

    `plain` is the index of the plain arm. An attack by a naive adversary, who trains shadow models
    without noise, is compared with the same attack on the plain arm. The p-values are adjusted over
    all comparisons in the same metric, so that the probability of one or more false findings in a
    metric is at most 5 %. A difference is left out if fewer than three targets are shared.
    """
    corrected = []
    for metric in (TEST_ACCURACY, *ANALYSED):
        tested = []
        for pair in _pairs(arms, plain, metric):
            terms = [(1.0, pair.quantity), (-1.0, pair.of_plain)]
            difference = numbers.estimate(terms, CHANGE)
            p_value = numbers.p_value(terms)
            if difference is not None and p_value is not None:
                tested.append(_Tested(pair, difference, p_value))
        adjusted = holm([test.p_value for test in tested])
        for test, p_adjusted in zip(tested, adjusted, strict=True):
            corrected.append(_change(test, metric, p_adjusted))
    return corrected


def _pairs(arms: Sequence[AuditResult], plain: int, metric: str) -> Iterator[_Pair]:
    """Yields a pair for every other arm, and for a metric of attacks for each of its attacks."""
    for index, arm in enumerate(arms):
        if index == plain:
            continue
        if metric == TEST_ACCURACY:
            yield _Pair(arm.key, None, Quantity(index, metric), Quantity(plain, metric))
            continue
        for attack in arm.attacks:
            quantity = Quantity(index, metric, attack.name)
            # Without the suffix of naive attacks in `name`: the plain arm has adaptive ones only.
            of_plain = Quantity(plain, metric, attack.attack)
            yield _Pair(arm.key, attack, quantity, of_plain)


def _change(test: _Tested, metric: str, p_adjusted: float) -> Change:
    attack = test.pair.attack
    return Change(
        arm=test.pair.arm,
        attack=None if attack is None else attack.attack,
        adversary=None if attack is None else attack.adversary,
        metric=metric,
        difference=test.difference,
        p_value=test.p_value,
        p_adjusted=p_adjusted,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values adjusted by Holm's method (Holm 1979), in the same order.

    If all hypotheses with adjusted p-values <= alpha are rejected, the probability of one or more
    false rejections is <= alpha. An empty list gives an empty list.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    remaining = np.arange(len(values), 0, -1)  # hypotheses not yet rejected at each step
    stepped = np.maximum.accumulate(values[order] * remaining)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]
