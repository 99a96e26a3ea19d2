"""The measured quantities of a study: weighted sums of them, with intervals.

A quantity is a metric of an attack, or the test accuracy, in each target (attacked model) of an arm
and in each bootstrap resample of the examples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from mgaudit.analysis.comparisons import analyse
from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.analysis.margins import Margins
from mgaudit.analysis.numbers import Quantity, Terms, VarianceParts
from mgaudit.attacks.intervals import (
    LEVEL,
    Resampled,
    Variances,
    two_way_interval,
    two_way_p_value,
)
from mgaudit.attacks.jackknife import Jackknife, ModelGroups
from mgaudit.reports.arrays import Arrays, array_name
from mgaudit.reports.findings import Analysis
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult


@dataclass(frozen=True)
class Samples:
    """The quantities in the arrays of a study; it implements `Numbers`.

    `targets` has the indices of the targets, in the order of the arrays' rows, by index of the arm
    and name of the attack (None for the test accuracy). `trials` is the smallest number of members
    of any target; it limits how narrow an interval at a bound is.
    """

    values: Arrays
    targets: dict[tuple[int, str | None], list[int]]
    trials: int

    @classmethod
    def of(cls, arms: Sequence[AuditResult], arrays: Arrays) -> "Samples":
        """Returns the quantities of the arms, which are in the order of the names in `arrays`."""
        targets: dict[tuple[int, str | None], list[int]] = {}
        for index, arm in enumerate(arms):
            targets[index, None] = arm.attacks[0].targets
            for attack in arm.attacks:
                targets[index, attack.name] = attack.targets
            if arm.noise_queries is not None:
                targets[index, arm.noise_queries.name] = arm.noise_queries.targets
                targets[index, arm.noise_queries.plain_name] = arm.noise_queries.plain_targets
        members = arrays["membership"].sum(axis=1)
        return cls(arrays, targets, int(members.min()))

    @staticmethod
    def arrays(arm: int, attack: str | None, metric: str, numbers: Resampled) -> Arrays:
        """Returns the arrays in which a quantity is stored, by name.

        They hold the quantity in each target (targets,), in each resample (targets, resamples), and
        in its jackknife (2, groups, targets) if it has one. `numbers` are its values, and `attack`
        None means the test accuracy.
        """
        per_target, in_resamples, jackknife = _names(Quantity(arm, metric, attack))
        arrays: Arrays = {
            per_target: numbers.per_target,
            in_resamples: numbers.in_resamples.astype(np.float32),
        }
        if numbers.jackknife is not None:
            arrays[jackknife] = numbers.jackknife.values
        return arrays

    def estimate(
        self,
        terms: Terms,
        bounds: tuple[float, float],
        over: Sequence[Quantity] = (),
        level: float = LEVEL,
    ) -> Estimate | None:
        """Returns the mean of the weighted sum over targets with its interval within `bounds`.

        Returns None if fewer than three targets have all quantities of `terms` and `over`.
        """
        total = self._sum(terms, over)
        if total is None:
            return None
        interval = two_way_interval(total, self.trials, bounds, level)
        return Estimate(value=interval.value, low=interval.low, high=interval.high)

    def p_value(self, terms: Terms) -> float | None:
        """Returns the two-sided p-value of the hypothesis that a weighted sum is 0.

        Returns None if the terms share fewer than three targets.
        """
        total = self._sum(terms)
        return None if total is None else two_way_p_value(total)

    def own(self, quantity: Quantity, bounds: tuple[float, float], level: float) -> Estimate:
        """Returns the mean of a quantity over all its targets, of which there may be one or two."""
        numbers = self._at(quantity, self.targets[quantity.arm, quantity.attack])
        interval = two_way_interval(numbers, self.trials, bounds, level)
        return Estimate(value=interval.value, low=interval.low, high=interval.high)

    def variances(self, quantity: Quantity) -> Variances:
        """Returns the parts of the variance from which `own` computes its interval."""
        return Variances.of(self._at(quantity, self.targets[quantity.arm, quantity.attack]))

    def variance_parts(self, terms: Terms) -> VarianceParts:
        """Returns the parts of the variance of the mean of a weighted sum, over shared targets."""
        total = self._sum(terms, fewest=1)
        assert total is not None  # the caller's quantities share targets
        variances = Variances.of(total)
        models = variances.targets
        if models == 1:
            return VarianceParts(1, 0.0, variances.over_examples)
        of_models = variances.over_models
        if variances.is_jackknife:
            # The noise that each target has for itself shrinks with the models, too.
            of_models += variances.over_cells
        of_examples = max(variances.over_examples - variances.over_cells, 0.0)
        return VarianceParts(models, of_models, of_examples)

    def _sum(
        self, terms: Terms, over: Sequence[Quantity] = (), fewest: int = FEWEST_MODELS
    ) -> Resampled | None:
        """Returns the weighted sum in the targets that have all quantities; None if too few do."""
        quantities = [*(quantity for _, quantity in terms), *over]
        shared = self._shared_targets(quantities)
        if len(shared) < fewest:
            return None
        weighted = [
            weight * self._at(quantity, shared) for weight, quantity in terms if weight != 0
        ]
        return reduce(add, weighted)

    def _shared_targets(self, quantities: Sequence[Quantity]) -> list[int]:
        """Returns the targets in which all quantities were measured, in ascending order."""
        first, *others = (self.targets[quantity.arm, quantity.attack] for quantity in quantities)
        shared = set(first).intersection(*others)
        return sorted(shared)

    def _at(self, quantity: Quantity, targets: Sequence[int]) -> Resampled:
        """Returns a quantity in these targets, which must be among its own, in their order."""
        per_target, in_resamples, of_models = _names(quantity)
        own_targets = self.targets[quantity.arm, quantity.attack]
        jackknife = None
        if of_models in self.values:
            values = self.values[of_models]
            groups = ModelGroups.of(np.array(own_targets), values.shape[2])
            jackknife = Jackknife(values, groups.of_model)
        resampled = Resampled(self.values[per_target], self.values[in_resamples], jackknife)
        return resampled.at([own_targets.index(target) for target in targets])


def analyse_study(
    arms: Sequence[AuditResult], arrays: Arrays, margins: Margins | None = None
) -> Analysis:
    """Returns the comparisons between the arms of a study, and the verdict on each.

    `margins` are the smallest effects that matter; None are the default ones.
    """
    samples = Samples.of(arms, arrays)
    return analyse(arms, arrays, samples, margins or Margins())


def _names(quantity: Quantity) -> tuple[str, str, str]:
    """Returns the names of a quantity's arrays: per target, in each resample, in the jackknife."""
    words = [quantity.metric] if quantity.attack is None else [quantity.attack, quantity.metric]
    per_target = array_name(quantity.arm, *words, "per_target")
    in_resamples = array_name(quantity.arm, *words, "in_resamples")
    return per_target, in_resamples, array_name(quantity.arm, *words, "jackknife")
