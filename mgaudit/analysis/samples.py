"""The measured quantities of a study: sums over targets and resamples, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from mgaudit.analysis.comparisons import analyse
from mgaudit.analysis.numbers import Quantity, Terms
from mgaudit.attacks.intervals import Resampled, two_way_interval, two_way_p_value
from mgaudit.reports.arrays import Arrays, array_name
from mgaudit.reports.findings import Analysis
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult

FEWEST_MODELS = 3  # an interval over fewer targets says nothing


@dataclass(frozen=True)
class Samples:
    """The quantities of a study as its arrays hold them; `trials` are the fewest members that a target has."""

    values: Arrays
    targets: dict[tuple[int, str | None], list[int]]
    trials: int

    @classmethod
    def of(cls, arms: Sequence[AuditResult], arrays: Arrays) -> "Samples":
        """Returns the quantities of the arms."""
        targets: dict[tuple[int, str | None], list[int]] = {}
        for place, arm in enumerate(arms):
            targets[place, None] = arm.attacks[0].targets
            targets |= {(place, attack.name): attack.targets for attack in arm.attacks}
        return cls(arrays, targets, int(arrays["membership"].sum(axis=1).min()))

    @staticmethod
    def arrays(arm: int, attack: str | None, metric: str, numbers: Resampled) -> Arrays:
        """Returns a quantity as arrays: in each target (targets,) and in each resample (targets, resamples)."""
        per_target, in_resamples = _names(Quantity(arm, metric, attack))
        return {per_target: numbers.per_target, in_resamples: numbers.in_resamples.astype(np.float32)}

    def estimate(self, terms: Terms, bounds: tuple[float, float], over: Sequence[Quantity] = ()) -> Estimate | None:
        """Returns the weighted sum with its 95 % interval, or None where too few targets have all quantities."""
        total = self._sum(terms, over)
        if total is None:
            return None
        interval = two_way_interval(total, self.trials, bounds)
        return Estimate(value=interval.value, low=interval.low, high=interval.high)

    def p_value(self, terms: Terms) -> float | None:
        """Returns the two-sided p-value of a sum of 0, or None where the terms share too few targets."""
        total = self._sum(terms)
        return None if total is None else two_way_p_value(total)

    def _sum(self, terms: Terms, over: Sequence[Quantity] = ()) -> Resampled | None:
        quantities = [*(quantity for _, quantity in terms), *over]
        targets = [self.targets[quantity.arm, quantity.attack] for quantity in quantities]
        shared = sorted(set(targets[0]).intersection(*targets[1:]))
        if len(shared) < FEWEST_MODELS:
            return None
        return reduce(add, (weight * self._at(quantity, shared) for weight, quantity in terms if weight != 0))

    def _at(self, quantity: Quantity, targets: Sequence[int]) -> Resampled:
        """Returns a quantity in these of the targets that it has."""
        per_target, in_resamples = _names(quantity)
        resampled = Resampled(self.values[per_target], self.values[in_resamples])
        own = self.targets[quantity.arm, quantity.attack]
        return resampled.at([own.index(target) for target in targets])


def analyse_study(arms: Sequence[AuditResult], arrays: Arrays) -> Analysis:
    """Returns the comparisons between the arms of a study."""
    return analyse(arms, arrays, Samples.of(arms, arrays))


def _names(quantity: Quantity) -> tuple[str, str]:
    """Returns the names of the arrays of a quantity: in each target, and in each resample."""
    attack = () if quantity.attack is None else (quantity.attack,)
    of_targets, of_resamples = (
        array_name(quantity.arm, *attack, quantity.metric, part) for part in ("per_target", "in_resamples")
    )
    return of_targets, of_resamples
