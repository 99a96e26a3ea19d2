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

    places: list[int]
    epsilons: list[float]
    attack: str
    aucs: list[float]

    def terms(self, at: Crossing) -> Terms:
        ends = [(1 - at.weight, at.place), *([(at.weight, at.place + 1)] if at.weight > 0 else [])]
        return [(share, Quantity(self.places[one], "auc", self.attack)) for share, one in ends]

    def epsilon(self, at: Crossing) -> float:
        logs = [math.log(self.epsilons[one]) for one in (at.place, min(at.place + 1, len(self.places) - 1))]
        return math.exp((1 - at.weight) * logs[0] + at.weight * logs[1])


def dp_arms(arms: Sequence[AuditResult]) -> list[int]:
    """Returns the DP-SGD arms of the largest family of them, those of a finite epsilon, the smallest first."""
    found: list[list[int]] = [[]]
    for places in families(arms).values():
        private = [place for place in places if is_dp_sgd(arms[place]) and _epsilon(arms[place]) is not None]
        found.append(private[::-1])
    return max(found, key=len)


def dp_equivalent(arms: Sequence[AuditResult], numbers: Numbers) -> list[DPEquivalent]:
    """Returns the equivalent epsilon of each arm that is not DP-SGD, under each attack of an adaptive adversary.

    There must be at least two DP-SGD arms of finite epsilon.
    """
    places = dp_arms(arms)
    found = []
    for attack in (one.attack for one in arms[0].attacks if one.knowledge == "adaptive"):
        epsilons = [epsilon for place in places if (epsilon := _epsilon(arms[place])) is not None]
        curve = _Curve(places, epsilons, attack, [arms[place].metric(attack, "auc").value for place in places])
        found += [
            one
            for place, arm in enumerate(arms)
            if not is_dp_sgd(arm) and (one := _equivalent(place, arms, curve, numbers)) is not None
        ]
    return found


def rising(values: Sequence[float], wanted: float) -> Crossing | None:
    """Returns the first place at which straight lines between the values reach `wanted` from below; None: nowhere.

    >>> rising([0.5, 0.75, 1.0], 0.875)
    Crossing(place=1, weight=0.5)
    """
    for place, (first, second) in enumerate(pairwise(values)):
        if first <= wanted <= second:
            return Crossing(place, 0.0 if second == first else (wanted - first) / (second - first))
    return None


def _equivalent(place: int, arms: Sequence[AuditResult], curve: _Curve, numbers: Numbers) -> DPEquivalent | None:
    ours = Quantity(place, "auc", curve.attack)
    wanted = arms[place].metric(curve.attack, "auc").value
    grid = [
        Crossing(start, float(weight))
        for start in range(len(curve.places) - 1)
        for weight in np.linspace(0, 1, TRIED_BETWEEN, endpoint=False)
    ] + [Crossing(len(curve.places) - 1, 0.0)]
    tested = []
    for tried in grid:
        difference = numbers.estimate([(1.0, ours), *((-share, one) for share, one in curve.terms(tried))], CHANGE)
        if difference is None:
            return None
        tested.append((math.log(curve.epsilon(tried)), difference))
    smallest, largest = curve.epsilons[0], curve.epsilons[-1]
    possible = any(difference.sign == 0 for _, difference in tested)
    low, high = _where_it_covers_zero(tested)
    at = rising(curve.aucs, wanted)
    common = {"arm": arms[place].key, "attack": curve.attack}
    if at is None:
        below = wanted < curve.aucs[0]
        return DPEquivalent(
            **common,
            epsilon=None,
            low=low if possible or below else largest,
            high=high if possible or not below else smallest,
            beyond="smallest" if below else "largest",
            accuracy=None,
            accuracy_difference=None,
        )
    values = [arms[one].test_accuracy.value for one in curve.places]
    terms = interpolated(
        at,
        [Quantity(one, "auc", curve.attack) for one in curve.places],
        [accuracy_quantity(one) for one in curve.places],
        slope_at(at, curve.aucs, values),
        [(1.0, ours)],
    )
    lacking = [(1.0, accuracy_quantity(place)), *((-share, one) for share, one in terms)]
    return DPEquivalent(
        **common,
        epsilon=curve.epsilon(at),
        low=low,
        high=high,
        beyond=None,
        accuracy=numbers.estimate(terms, RATE),
        accuracy_difference=numbers.estimate(lacking, CHANGE),
    )


def _where_it_covers_zero(tested: Sequence[tuple[float, Estimate]]) -> tuple[float | None, float | None]:
    """Returns the least and the largest epsilon at which the difference may be 0; None where that is an end.

    Both are None where there is no such epsilon. `tested` holds log epsilon, rising, with the difference there. Between
    two of them the ends of the interval are taken to lie on straight lines.
    """
    covering = [place for place, (_, difference) in enumerate(tested) if difference.sign == 0]
    if not covering:
        return None, None
    first, last = covering[0], covering[-1]
    low = None if first == 0 else math.exp(_root(tested[first - 1], tested[first]))
    high = None if last == len(tested) - 1 else math.exp(_root(tested[last + 1], tested[last]))
    return low, high


def _root(outside: tuple[float, Estimate], inside: tuple[float, Estimate]) -> float:
    """Returns where, on the line from outside to inside, the end of the interval next to 0 is 0."""
    ends = [one.low if outside[1].sign > 0 else one.high for _, one in (outside, inside)]
    share = ends[0] / (ends[0] - ends[1])
    return outside[0] + share * (inside[0] - outside[0])


def _epsilon(arm: AuditResult) -> float | None:
    return None if arm.claim is None else arm.claim.epsilon
