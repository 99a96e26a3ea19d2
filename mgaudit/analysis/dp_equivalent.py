"""DP-equivalent epsilon: the epsilon at which an attack has the same AUC on DP-SGD as on an arm.

The arms are the noise schemes of a study. The AUC on DP-SGD is measured at the epsilons of the
DP-SGD arms and interpolated linearly in log epsilon between them; this is the curve below.
"""

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

TRIED_BETWEEN = 24  # values of epsilon from one arm (included) to the next that are tried


@dataclass(frozen=True)
class _Curve:
    """The AUC of one attack on each DP-SGD arm; the lists are in ascending order of epsilon.

    `indices` are the positions of these arms among all arms of the study. A point of the curve is a
    `Crossing`: the share `weight` of the way from list entry `index` to the next.
    """

    indices: list[int]
    epsilons: list[float]
    attack: str
    aucs: list[float]

    @classmethod
    def of(cls, arms: Sequence[AuditResult], attack: str) -> "_Curve":
        """Returns the curve of the arms that `dp_arms` selects."""
        indices = dp_arms(arms)
        epsilons = []
        aucs = []
        for index in indices:
            epsilon = _epsilon(arms[index])
            if epsilon is not None:
                epsilons.append(epsilon)
            auc = arms[index].metric(attack, "auc")
            aucs.append(auc.value)
        return cls(indices, epsilons, attack, aucs)

    def quantities(self) -> list[Quantity]:
        """Returns the AUC of each DP-SGD arm as a quantity, for sums with intervals."""
        return [Quantity(index, "auc", self.attack) for index in self.indices]

    def terms(self, point: Crossing) -> Terms:
        """Returns the AUC at a point of the curve as a weighted sum of one or two arms' AUCs."""
        quantities = self.quantities()
        first = (1 - point.weight, quantities[point.index])
        if point.weight == 0:
            return [first]
        return [first, (point.weight, quantities[point.index + 1])]

    def epsilon(self, point: Crossing) -> float:
        """Returns the epsilon at a point of the curve, interpolated linearly in its logarithm."""
        last = len(self.epsilons) - 1
        first = math.log(self.epsilons[point.index])
        second = math.log(self.epsilons[min(point.index + 1, last)])
        logarithm = (1 - point.weight) * first + point.weight * second
        return math.exp(logarithm)

    def points(self) -> list[Crossing]:
        """Returns all arms and the points between them, in ascending order of epsilon."""
        last = len(self.indices) - 1
        weights = np.linspace(0, 1, TRIED_BETWEEN, endpoint=False)
        points = [Crossing(start, float(weight)) for start in range(last) for weight in weights]
        points.append(Crossing(last, 0.0))
        return points


@dataclass(frozen=True)
class _Difference:
    """The AUC of an arm minus the AUC of DP-SGD at one epsilon, with its 95 % interval."""

    log_epsilon: float
    estimate: Estimate

    @property
    def sign(self) -> int:
        """The sign of the difference, -1 or 1; 0 if the interval contains 0."""
        return self.estimate.sign


def dp_arms(arms: Sequence[AuditResult]) -> list[int]:
    """Returns the indices of DP-SGD arms with finite epsilon, in ascending order of epsilon.

    A family is a set of arms that differ only in epsilon. Of several families, the one with the
    most arms is returned. The list is empty if no arm has DP-SGD with finite epsilon.
    """
    private: list[list[int]] = [[]]
    for indices in families(arms).values():
        finite = [index for index in indices if _has_finite_epsilon(arms[index])]
        private.append(finite[::-1])  # families start with the weakest noise, the largest epsilon
    return max(private, key=len)


def dp_equivalent(arms: Sequence[AuditResult], numbers: Numbers) -> list[DPEquivalent]:
    """Returns the equivalent epsilon of each arm without DP-SGD, under each adaptive attack.

    An adaptive attack has shadow models that are trained like the target. There must be at least
    two DP-SGD arms of finite epsilon. An arm is left out where too few models converged.
    """
    others = [index for index, arm in enumerate(arms) if not is_dp_sgd(arm)]
    equivalents = []
    for attack in arms[0].attacks:
        if attack.adversary != "adaptive":
            continue
        curve = _Curve.of(arms, attack.attack)
        for index in others:
            equivalent = _equivalent(index, arms, curve, numbers)
            if equivalent is not None:
                equivalents.append(equivalent)
    return equivalents


def rising(values: Sequence[float], level: float) -> Crossing | None:
    """Returns the first point at which straight lines between the values reach `level` from below.

    Returns None if they never do, and for fewer than two values.

    >>> rising([0.5, 0.75, 1.0], 0.875)
    Crossing(index=1, weight=0.5)
    """
    for start, (first, second) in enumerate(pairwise(values)):
        if not first <= level <= second:
            continue
        if second == first:
            return Crossing(start, 0.0)
        return Crossing(start, (level - first) / (second - first))
    return None


def _equivalent(
    index: int, arms: Sequence[AuditResult], curve: _Curve, numbers: Numbers
) -> DPEquivalent | None:
    """Returns the equivalent epsilon of the arm with this index, under the attack of the curve.

    Returns None if fewer than three models converged in all of the arms that are compared.
    """
    auc_quantity = Quantity(index, "auc", curve.attack)
    differences = _differences(auc_quantity, curve, numbers)
    if differences is None:
        return None
    auc = arms[index].metric(curve.attack, "auc").value
    point = rising(curve.aucs, auc)
    if point is None:
        return _beyond(arms[index].key, auc, curve, differences)
    low, high = _where_it_covers_zero(differences)
    accuracies = [arms[dp_arm].known_accuracy.value for dp_arm in curve.indices]
    accuracy_terms = interpolated(
        point,
        along=curve.quantities(),
        of=[accuracy_quantity(dp_arm) for dp_arm in curve.indices],
        slope=slope_at(point, curve.aucs, accuracies),
        at=[(1.0, auc_quantity)],
    )
    negated = [(-share, quantity) for share, quantity in accuracy_terms]
    difference_terms = [(1.0, accuracy_quantity(index)), *negated]
    return DPEquivalent(
        arm=arms[index].key,
        attack=curve.attack,
        epsilon=curve.epsilon(point),
        low=low,
        high=high,
        beyond=None,
        accuracy=numbers.estimate(accuracy_terms, RATE),
        accuracy_difference=numbers.estimate(difference_terms, CHANGE),
    )


def _differences(auc: Quantity, curve: _Curve, numbers: Numbers) -> list[_Difference] | None:
    """Returns the AUC minus the AUC of DP-SGD at each point of the curve, by ascending epsilon.

    Returns None if fewer than three models converged in all of the arms that are compared.
    """
    differences = []
    for point in curve.points():
        negated = [(-share, quantity) for share, quantity in curve.terms(point)]
        estimate = numbers.estimate([(1.0, auc), *negated], CHANGE)
        if estimate is None:
            return None
        log_epsilon = math.log(curve.epsilon(point))
        differences.append(_Difference(log_epsilon, estimate))
    return differences


def _beyond(
    arm: str, auc: float, curve: _Curve, differences: Sequence[_Difference]
) -> DPEquivalent:
    """Returns the result for an arm whose AUC is below or above all AUCs of the curve."""
    below = auc < curve.aucs[0]
    low, high = _where_it_covers_zero(differences)
    if all(difference.sign != 0 for difference in differences):
        # The AUCs differ significantly everywhere, so epsilon is bounded on one side only.
        low = None if below else curve.epsilons[-1]
        high = curve.epsilons[0] if below else None
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


def _where_it_covers_zero(
    differences: Sequence[_Difference],
) -> tuple[float | None, float | None]:
    """Returns the smallest and the largest epsilon at which the interval contains 0.

    An end is None if the interval still contains 0 at that end of the curve. Both are None if the
    interval contains 0 nowhere. `differences` are in ascending order of epsilon; between two of
    them, the ends of the interval are interpolated linearly in log epsilon.
    """
    covering = [index for index, difference in enumerate(differences) if difference.sign == 0]
    if not covering:
        return None, None
    low, high = None, None
    first, last = covering[0], covering[-1]
    if first > 0:
        low = math.exp(_root(differences[first - 1], differences[first]))
    if last < len(differences) - 1:
        high = math.exp(_root(differences[last + 1], differences[last]))
    return low, high


def _root(outside: _Difference, inside: _Difference) -> float:
    """Returns the log epsilon at which one end of the interval reaches 0, by linear interpolation.

    The interval of `outside` excludes 0 and the interval of `inside`, next to it, contains 0.
    """
    if outside.sign > 0:
        outer_end, inner_end = outside.estimate.low, inside.estimate.low
    else:
        outer_end, inner_end = outside.estimate.high, inside.estimate.high
    share = outer_end / (outer_end - inner_end)
    distance = inside.log_epsilon - outside.log_epsilon
    return outside.log_epsilon + share * distance


def _has_finite_epsilon(arm: AuditResult) -> bool:
    return is_dp_sgd(arm) and _epsilon(arm) is not None


def _epsilon(arm: AuditResult) -> float | None:
    """Returns the epsilon (nats) that is proved for the arm; None if there is none or infinite."""
    return None if arm.claim is None else arm.claim.epsilon
