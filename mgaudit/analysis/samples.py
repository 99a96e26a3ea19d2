"""The measured quantities of a study: sums over targets and resamples, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from mgaudit.analysis.comparisons import analyse
from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.analysis.numbers import Quantity, Terms
from mgaudit.attacks.intervals import Resampled, two_way_interval, two_way_p_value
from mgaudit.reports.arrays import Arrays, array_name
from mgaudit.reports.findings import Analysis
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult


@dataclass(frozen=True)
class Samples:
    """The quantities in the arrays of a study.

    `targets` are the targets of each arm and attack, in the order of the arrays' rows. `trials` is
    the smallest number of members of any target.
    """

    values: Arrays
    targets: dict[tuple[int, str | None], list[int]]
    trials: int

    @classmethod
    def of(cls, arms: Sequence[AuditResult], arrays: Arrays) -> "Samples":
        """Returns the quantities of the arms."""
        targets: dict[tuple[int, str | None], list[int]] = {}
        for index, arm in enumerate(arms):
            targets[index, None] = arm.attacks[0].targets
            for attack in arm.attacks:
                targets[index, attack.name] = attack.targets
        members = arrays["membership"].sum(axis=1)
        return cls(arrays, targets, int(members.min()))

    @staticmethod
    def arrays(arm: int, attack: str | None, metric: str, numbers: Resampled) -> Arrays:
        """Returns the arrays of a quantity by name.

        They hold it in each target (targets,) and in each resample (targets, resamples).
        """
        per_target, in_resamples = _names(Quantity(arm, metric, attack))
        return {
            per_target: numbers.per_target,
            in_resamples: numbers.in_resamples.astype(np.float32),
        }

    def estimate(
        self, terms: Terms, bounds: tuple[float, float], over: Sequence[Quantity] = ()
    ) -> Estimate | None:
        """Returns the weighted sum with its 95 % interval.

        None where too few targets have all quantities.
        """
        total = self._sum(terms, over)
        if total is None:
            return None
        interval = two_way_interval(total, self.trials, bounds)
        return Estimate(value=interval.value, low=interval.low, high=interval.high)

    def p_value(self, terms: Terms) -> float | None:
        """Returns the two-sided p-value of a sum of 0.

        None where the terms share too few targets.
        """
        total = self._sum(terms)
        return None if total is None else two_way_p_value(total)

    def _sum(self, terms: Terms, over: Sequence[Quantity] = ()) -> Resampled | None:
        quantities = [*(quantity for _, quantity in terms), *over]
        shared = self._shared_targets(quantities)
        if len(shared) < FEWEST_MODELS:
            return None
        weighted = [
            weight * self._at(quantity, shared) for weight, quantity in terms if weight != 0
        ]
        return reduce(add, weighted)

    def _shared_targets(self, quantities: Sequence[Quantity]) -> list[int]:
        first, *others = (self.targets[quantity.arm, quantity.attack] for quantity in quantities)
        shared = set(first).intersection(*others)
        return sorted(shared)

    def _at(self, quantity: Quantity, targets: Sequence[int]) -> Resampled:
        """Returns a quantity in some of its targets."""
        per_target, in_resamples = _names(quantity)
        resampled = Resampled(self.values[per_target], self.values[in_resamples])
        own_targets = self.targets[quantity.arm, quantity.attack]
        return resampled.at([own_targets.index(target) for target in targets])


def analyse_study(arms: Sequence[AuditResult], arrays: Arrays) -> Analysis:
    """Returns the comparisons between the arms of a study."""
    samples = Samples.of(arms, arrays)
    return analyse(arms, arrays, samples)


def _names(quantity: Quantity) -> tuple[str, str]:
    """Returns the names of the arrays of a quantity: in each target, and in each resample."""
    words = [quantity.metric] if quantity.attack is None else [quantity.attack, quantity.metric]
    per_target = array_name(quantity.arm, *words, "per_target")
    in_resamples = array_name(quantity.arm, *words, "in_resamples")
    return per_target, in_resamples
