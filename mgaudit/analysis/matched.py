"""Privacy at matched accuracy: what each family of schemes gives at the test accuracy of another arm."""

from collections.abc import Sequence
from dataclasses import dataclass

from mgaudit.analysis.numbers import CHANGE, RATE, Numbers, Quantity, Terms, accuracy_quantity
from mgaudit.reports.families import families
from mgaudit.reports.findings import ANALYSED, Matched
from mgaudit.reports.results import AuditResult


@dataclass(frozen=True)
class Crossing:
    """The point at the share `weight` of the way from one number of a list to the next."""

    place: int
    weight: float


@dataclass(frozen=True)
class NotReached:
    """No point of the lines comes down to the value: it is `above` all numbers, or below the last one."""

    above: bool


def matched(arms: Sequence[AuditResult], attack: str, numbers: Numbers) -> list[Matched]:
    """Returns each family at the test accuracy of each arm that is not of the family."""
    return [
        _matched(family, places, reference, arms, attack, numbers)
        for family, places in families(arms).items()
        for reference in range(len(arms))
        if reference not in places or arms[reference].strength is None
    ]


def crossing(values: Sequence[float], level: float) -> Crossing | NotReached:
    """Returns the last place at which straight lines between the values come down to `level`, or on which side it is.

    >>> crossing([1.0, 0.75, 0.25], 0.5)
    Crossing(place=1, weight=0.5)
    >>> crossing([0.9, 0.8], 0.95)
    NotReached(above=True)
    >>> crossing([0.9, 0.8], 0.7)
    NotReached(above=False)
    """
    if values[-1] > level:
        return NotReached(above=False)
    for place in range(len(values) - 1, -1, -1):
        if values[place] == level:
            return Crossing(place, 0.0)
        if place and values[place - 1] > level > values[place]:
            return Crossing(place - 1, (values[place - 1] - level) / (values[place - 1] - values[place]))
    return NotReached(above=True)


def interpolated(place: Crossing, along: Sequence[Quantity], of: Sequence[Quantity], slope: float, at: Terms) -> Terms:
    """Returns, to first order, the sum that `of` is where `along` has the value of the sum `at`.

    Both are quantities of the same arms in the same order, and lines between them are straight. The point depends on
    `along` and `at` too, and with the line's `slope` d of / d along so does the sum: the terms of `slope` add up to 0
    as measured, and not in each target and resample.
    """
    shares = [(1 - place.weight, place.place)]
    if place.weight > 0:
        shares.append((place.weight, place.place + 1))
    return [
        *((share, of[one]) for share, one in shares),
        *((slope * factor, quantity) for factor, quantity in at),
        *((-slope * share, along[one]) for share, one in shares),
    ]


def slope_at(place: Crossing, along: Sequence[float], of: Sequence[float]) -> float:
    """Returns the slope d of / d along of the line at the crossing; at a point, that of the line to the next one."""
    first = min(place.place, len(along) - 2)
    run = along[first + 1] - along[first]
    return 0.0 if first < 0 or run == 0 else (of[first + 1] - of[first]) / run


def _matched(
    family: str, places: list[int], reference: int, arms: Sequence[AuditResult], attack: str, numbers: Numbers
) -> Matched:
    level = arms[reference].test_accuracy.value
    along = [arms[place].test_accuracy.value for place in places]
    nothing = {"family": family, "reference": arms[reference].key, "accuracy": level, "strength": None}
    point = crossing(along, level)
    if isinstance(point, NotReached):
        if point.above:
            why = f"never that accurate: {max(along) * 100:.1f} % at most"
        else:
            why = f"more accurate at its strongest: {along[-1] * 100:.1f} %"
        return Matched(**nothing, not_reached=why, metrics={}, differences={})
    metrics, differences = {}, {}
    for metric in ANALYSED:
        quantities = [Quantity(place, metric, attack) for place in places]
        values = [arms[place].metric(attack, metric).value for place in places]
        terms = interpolated(
            point,
            [accuracy_quantity(place) for place in places],
            quantities,
            slope_at(point, along, values),
            [(1.0, accuracy_quantity(reference))],
        )
        here = numbers.estimate(terms, RATE)
        change = numbers.estimate([*terms, (-1.0, Quantity(reference, metric, attack))], CHANGE)
        if here is None or change is None:
            why = "too few models converged in all of its arms"
            return Matched(**nothing, not_reached=why, metrics={}, differences={})
        metrics[metric], differences[metric] = here, change
    return Matched(
        **{**nothing, "strength": _strength(point, places, arms)},
        not_reached=None,
        metrics=metrics,
        differences=differences,
    )


def _strength(point: Crossing, places: list[int], arms: Sequence[AuditResult]) -> float | None:
    """Returns the strength at the crossing; None where it lies next to an infinite one."""
    ends = []
    for place in places[point.place : point.place + (2 if point.weight > 0 else 1)]:
        one = arms[place].strength
        family = arms[places[-1]].strength
        if one is None or family is None or one.family != family.family:
            if family is None or family.reversed:
                return None  # the origin of early stopping is some number of epochs that no arm names
            ends.append(0.0)
        elif one.value is None:
            return None
        else:
            ends.append(one.value)
    return ends[0] if len(ends) == 1 else (1 - point.weight) * ends[0] + point.weight * ends[1]
