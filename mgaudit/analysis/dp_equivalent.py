"""DP-equivalent epsilon: the DP-SGD that an attack finds as hard as an arm, and the accuracy it has."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mgaudit.analysis.matched import Crossing, interpolated, slope_at
from mgaudit.analysis.numbers import CHANGE, RATE, Numbers, Quantity, Terms, accuracy_quantity
from mgaudit.reports.families import families, is_dp_sgd
from mgaudit.reports.findings import DPEquivalent
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult

TRIED_BETWEEN = 24  # values of epsilon between two arms, when its interval is sought


@dataclass(frozen=True)
class _Curve:
    """DP-SGD's arms under one attack, the smallest epsilon first."""

    indices: list[int]
    epsilons: list[float]
    attack: str
    aucs: list[float]

    @classmethod
    def of(cls, arms: Sequence[AuditResult], attack: str) -> "_Curve":
        """Returns the curve of the arms that `dp_arms` finds."""
        indices = dp_arms(arms)
        epsilons = [epsilon for index in indices if (epsilon := _epsilon(arms[index])) is not None]
        return cls(indices, epsilons, attack, [arms[index].metric(attack, "auc").value for index in indices])

    def quantities(self) -> list[Quantity]:
        """Returns the AUC of each arm."""
        return [Quantity(index, "auc", self.attack) for index in self.indices]

    def terms(self, at: Crossing) -> Terms:
        """Returns the AUC at a point of the curve as a sum."""
        quantities = self.quantities()
        first = (1 - at.weight, quantities[at.place])
        return [first] if at.weight == 0 else [first, (at.weight, quantities[at.place + 1])]

    def epsilon(self, at: Crossing) -> float:
        """Returns the epsilon at a point of the curve, on a straight line in its logarithm."""
        first = math.log(self.epsilons[at.place])
        second = math.log(self.epsilons[min(at.place + 1, len(self.epsilons) - 1)])
        return math.exp((1 - at.weight) * first + at.weight * second)

    def points(self) -> list[Crossing]:
        """Returns points from the smallest epsilon to the largest, `TRIED_BETWEEN` between each two arms."""
        weights = np.linspace(0, 1, TRIED_BETWEEN, endpoint=False)
        between = [Crossing(start, float(weight)) for start in range(len(self.indices) - 1) for weight in weights]
        return [*between, Crossing(len(self.indices) - 1, 0.0)]


def dp_arms(arms: Sequence[AuditResult]) -> list[int]:
    """Returns the DP-SGD arms of the largest family of them, those of a finite epsilon, the smallest first."""
    private: list[list[int]] = [[]]
    for indices in families(arms).values():
        finite = [index for index in indices if is_dp_sgd(arms[index]) and _epsilon(arms[index]) is not None]
        private.append(finite[::-1])
    return max(private, key=len)


def dp_equivalent(arms: Sequence[AuditResult], numbers: Numbers) -> list[DPEquivalent]:
    """Returns the equivalent epsilon of each arm that is not DP-SGD, under each attack of an adaptive adversary.

    There must be at least two DP-SGD arms of finite epsilon.
    """
    curves = [_Curve.of(arms, attack.attack) for attack in arms[0].attacks if attack.knowledge == "adaptive"]
    compared = [
        _equivalent(index, arms, curve, numbers)
        for curve in curves
        for index, arm in enumerate(arms)
        if not is_dp_sgd(arm)
    ]
    return [equivalent for equivalent in compared if equivalent is not None]


def rising(values: Sequence[float], level: float) -> Crossing | None:
    """Returns the first place at which straight lines between the values reach `level` from below; None: nowhere.

    >>> rising([0.5, 0.75, 1.0], 0.875)
    Crossing(place=1, weight=0.5)
    """
    for start, (first, second) in enumerate(pairwise(values)):
        if first <= level <= second:
            return Crossing(start, 0.0 if second == first else (level - first) / (second - first))
    return None


def _equivalent(index: int, arms: Sequence[AuditResult], curve: _Curve, numbers: Numbers) -> DPEquivalent | None:
    """Returns the equivalent epsilon of one arm under one attack; None where too few models are in all arms."""
    differences = _differences(Quantity(index, "auc", curve.attack), curve, numbers)
    if differences is None:
        return None
    auc = arms[index].metric(curve.attack, "auc").value
    at = rising(curve.aucs, auc)
    if at is None:
        return _beyond(arms[index].key, auc, curve, differences)
    low, high = _where_it_covers_zero(differences)
    accuracies = [arms[other].test_accuracy.value for other in curve.indices]
    terms = interpolated(
        at,
        curve.quantities(),
        [accuracy_quantity(other) for other in curve.indices],
        slope_at(at, curve.aucs, accuracies),
        [(1.0, Quantity(index, "auc", curve.attack))],
    )
    lead = [(1.0, accuracy_quantity(index)), *((-share, quantity) for share, quantity in terms)]
    return DPEquivalent(
        arm=arms[index].key,
        attack=curve.attack,
        epsilon=curve.epsilon(at),
        low=low,
        high=high,
        beyond=None,
        accuracy=numbers.estimate(terms, RATE),
        accuracy_difference=numbers.estimate(lead, CHANGE),
    )


def _differences(auc: Quantity, curve: _Curve, numbers: Numbers) -> list[tuple[float, Estimate]] | None:
    """Returns log epsilon along the curve, rising, with the AUC less that of DP-SGD there."""
    differences = []
    for point in curve.points():
        terms = [(1.0, auc), *((-share, quantity) for share, quantity in curve.terms(point))]
        difference = numbers.estimate(terms, CHANGE)
        if difference is None:
            return None
        differences.append((math.log(curve.epsilon(point)), difference))
    return differences


def _beyond(arm: str, auc: float, curve: _Curve, differences: Sequence[tuple[float, Estimate]]) -> DPEquivalent:
    """Returns the finding for an arm whose AUC the curve does not have."""
    below = auc < curve.aucs[0]
    low, high = _where_it_covers_zero(differences)
    if not any(difference.sign == 0 for _, difference in differences):
        low, high = (None, curve.epsilons[0]) if below else (curve.epsilons[-1], None)
    return DPEquivalent(
        arm=arm,
        attack=curve.attack,
        epsilon=None,
        low=low,
        high=high,
        beyond="smallest" if below else "largest",
        accuracy=None,
        accuracy_difference=None,
    )


def _where_it_covers_zero(differences: Sequence[tuple[float, Estimate]]) -> tuple[float | None, float | None]:
    """Returns the least and the largest epsilon at which the difference may be 0; None where that is an end.

    Both are None where there is no such epsilon. `differences` holds log epsilon, rising, with the difference there.
    Between two of them the ends of the interval are taken to lie on straight lines.
    """
    covering = [index for index, (_, difference) in enumerate(differences) if difference.sign == 0]
    if not covering:
        return None, None
    first, last = covering[0], covering[-1]
    low = None if first == 0 else math.exp(_root(differences[first - 1], differences[first]))
    high = None if last == len(differences) - 1 else math.exp(_root(differences[last + 1], differences[last]))
    return low, high


def _root(outside: tuple[float, Estimate], inside: tuple[float, Estimate]) -> float:
    """Returns where, on the line from outside to inside, the end of the interval next to 0 is 0."""
    ends = [estimate.low if outside[1].sign > 0 else estimate.high for _, estimate in (outside, inside)]
    share = ends[0] / (ends[0] - ends[1])
    return outside[0] + share * (inside[0] - outside[0])


def _epsilon(arm: AuditResult) -> float | None:
    return None if arm.claim is None else arm.claim.epsilon
