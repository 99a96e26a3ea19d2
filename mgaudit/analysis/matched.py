"""Privacy at matched accuracy: each family of schemes at the test accuracy of another arm.

An arm is one noise scheme of a study. A family is a set of arms whose schemes differ only in the
strength of the noise, such as the kappa of a Gaussian mask; for most schemes, the arm without noise
belongs to it too. Metrics and strength are interpolated linearly between the arms of a family.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mgaudit.analysis.numbers import CHANGE, RATE, Numbers, Quantity, Terms, accuracy_quantity
from mgaudit.reports.families import families
from mgaudit.reports.findings import ANALYSED, Matched
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult

TOO_FEW_MODELS = "too few models converged in all of its arms"


@dataclass(frozen=True)
class Crossing:
    """A point on the line from value `index` of a list to the next, at the share `weight` of it."""

    index: int
    weight: float


@dataclass(frozen=True)
class NotReached:
    """The values do not come down to a level: the level is `above` them, or below the last one."""

    above: bool


@dataclass(frozen=True)
class _Family:
    """A family of arms under one attack.

    `indices` are the positions of its arms in `arms`, the weakest noise first.
    """

    name: str
    indices: list[int]
    arms: Sequence[AuditResult]
    attack: str

    @property
    def accuracies(self) -> list[float]:
        """The mean test accuracy of each arm of the family, in [0, 1]."""
        return [self.arms[index].known_accuracy.value for index in self.indices]

    def values(self, metric: str) -> list[float]:
        """Returns the mean of the metric over targets, for each arm of the family."""
        return [self.arms[index].metric(self.attack, metric).value for index in self.indices]


def matched(arms: Sequence[AuditResult], attack: str, numbers: Numbers) -> list[Matched]:
    """Returns each family at the test accuracy of each arm outside the family.

    The arm without noise counts as outside, so each family is also matched with it.
    """
    results = []
    for name, indices in families(arms).items():
        family = _Family(name, indices, arms, attack)
        for reference, arm in enumerate(arms):
            if reference not in indices or arm.strength is None:
                results.append(_match(family, reference, numbers))
    return results


def crossing(values: Sequence[float], level: float) -> Crossing | NotReached:
    """Returns the last point at which straight lines between the values come down to `level`.

    If there is none, the result says on which side of the values the level lies. `values` must not
    be empty.

    >>> crossing([1.0, 0.75, 0.25], 0.5)
    Crossing(index=1, weight=0.5)
    >>> crossing([0.9, 0.8], 0.95)
    NotReached(above=True)
    >>> crossing([0.9, 0.8], 0.7)
    NotReached(above=False)
    """
    if values[-1] > level:
        return NotReached(above=False)
    for index in range(len(values) - 1, -1, -1):
        value = values[index]
        if value == level:
            return Crossing(index, 0.0)
        if index == 0:
            break
        previous = values[index - 1]
        if previous > level > value:
            return Crossing(index - 1, (previous - level) / (previous - value))
    return NotReached(above=True)


def interpolated(
    point: Crossing, along: Sequence[Quantity], of: Sequence[Quantity], slope: float, at: Terms
) -> Terms:
    """Returns the value of `of` at the point where `along` equals the sum `at`, as a weighted sum.

    `along` and `of` are two quantities of the same arms in the same order, joined by straight
    lines. The point is itself measured, because it depends on `along` and `at`. To first order

        value = of(point) + slope (at - along(point)),    slope = d of / d along.

    The second part is 0 for the measured means, but not in each target and resample, so that it
    changes the interval of the sum.
    """
    shares = [(1 - point.weight, point.index)]
    if point.weight > 0:
        shares.append((point.weight, point.index + 1))
    value_terms = [(share, of[index]) for share, index in shares]
    level_terms = [(slope * factor, quantity) for factor, quantity in at]
    point_terms = [(-slope * share, along[index]) for share, index in shares]
    return [*value_terms, *level_terms, *point_terms]


def slope_at(point: Crossing, along: Sequence[float], of: Sequence[float]) -> float:
    """Returns the slope d of / d along of the line at the crossing.

    At a value of the list, the line to the next value counts (at the last value, the line to it).
    The slope is 0 for a single value, and where `along` does not change on the line.
    """
    first = min(point.index, len(along) - 2)
    if first < 0:
        return 0.0
    run = along[first + 1] - along[first]
    if run == 0:
        return 0.0
    return (of[first + 1] - of[first]) / run


def _match(family: _Family, reference: int, numbers: Numbers) -> Matched:
    """Returns the family at the test accuracy of the arm with index `reference`.

    Where the metrics cannot be computed there, the result has the reason instead of numbers.
    """
    level = family.arms[reference].known_accuracy.value
    point = crossing(family.accuracies, level)
    if isinstance(point, NotReached):
        return _unmatched(family, reference, _reason(family, point))
    metrics, differences = {}, {}
    for metric in ANALYSED:
        estimates = _estimates(metric, family, point, reference, numbers)
        if estimates is None:
            return _unmatched(family, reference, TOO_FEW_MODELS)
        metrics[metric], differences[metric] = estimates
    return Matched(
        family=family.name,
        reference=family.arms[reference].key,
        accuracy=level,
        not_reached=None,
        strength=_strength(point, family),
        metrics=metrics,
        differences=differences,
    )


def _unmatched(family: _Family, reference: int, reason: str) -> Matched:
    arm = family.arms[reference]
    return Matched(
        family=family.name,
        reference=arm.key,
        accuracy=arm.known_accuracy.value,
        not_reached=reason,
        strength=None,
        metrics={},
        differences={},
    )


def _reason(family: _Family, point: NotReached) -> str:
    if point.above:
        return f"never that accurate: {max(family.accuracies) * 100:.1f} % at most"
    return f"more accurate at its strongest: {family.accuracies[-1] * 100:.1f} %"


def _estimates(
    metric: str, family: _Family, point: Crossing, reference: int, numbers: Numbers
) -> tuple[Estimate, Estimate] | None:
    """Returns the metric at the crossing, and the metric at the crossing minus the reference's.

    Returns None if fewer than three models converged in all arms of the family and the reference.
    """
    terms = interpolated(
        point,
        along=[accuracy_quantity(index) for index in family.indices],
        of=[Quantity(index, metric, family.attack) for index in family.indices],
        slope=slope_at(point, family.accuracies, family.values(metric)),
        at=[(1.0, accuracy_quantity(reference))],
    )
    of_reference = Quantity(reference, metric, family.attack)
    estimate = numbers.estimate(terms, RATE)
    difference = numbers.estimate([*terms, (-1.0, of_reference)], CHANGE)
    if estimate is None or difference is None:
        return None
    return estimate, difference


def _strength(point: Crossing, family: _Family) -> float | None:
    """Returns the parameter that measures the noise, such as kappa, at the crossing.

    Returns None next to an arm of infinite or unknown strength.
    """
    first = _strength_of(point.index, family)
    if point.weight == 0 or first is None:
        return first
    second = _strength_of(point.index + 1, family)
    if second is None:
        return None
    return (1 - point.weight) * first + point.weight * second


def _strength_of(position: int, family: _Family) -> float | None:
    """Returns the strength of the arm at a position in the family's `indices`.

    The arm without noise has strength 0, or None in a family where smaller numbers are stronger.
    """
    strength = family.arms[family.indices[position]].strength
    strongest = family.arms[family.indices[-1]].strength
    if strongest is None:
        return None
    if strength is not None and strength.family == strongest.family:
        return strength.value
    # The arm without noise. Early stopping approaches it as epochs grow, to a number unknown here.
    return None if strongest.reversed else 0.0
