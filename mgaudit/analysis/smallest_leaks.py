"""The smallest leaks that a finished audit would have found, from its own standard errors.

`mgaudit.analysis.detectable` plans an audit from its numbers of models and examples. Here the audit
is finished, so the parts of the variance are those that were measured, from which the intervals of
the report are computed. With the quantiles of `detectable.multiples` in place of those of
`mgaudit.attacks.intervals.two_way_interval`, an effect e is detected with the power POWER if

    f(e) >= sqrt(q^2 V_models + (z_(1-a/2) + z_(1-b))^2 (V_examples + c e / n)),

where f(e) is the distance from e to 0 on the scale of the interval's logit. c e / n is the part of
the variance that grows with a leak, as in `detectable`. The variance of a TPR also grows because
the TPR does, in proportion to `detectable.tpr_variance`.

With few targets, V_models is estimated too imprecisely: where it happens to be small, so is the
effect, and its power was 65 % with 4 simulated targets. So with fewer than FEWEST_DEGREES degrees
of freedom, the effect is no smaller than the planned one.
"""

import math
from collections.abc import Callable

import numpy as np

from mgaudit.analysis.detectable import (
    POWER,
    SHARED,
    AuditSize,
    auc_excess,
    multiples,
    smallest_effect,
    tpr_excess,
    tpr_variance,
)
from mgaudit.analysis.margins import Margins
from mgaudit.analysis.numbers import RATE, Quantity
from mgaudit.analysis.samples import Samples
from mgaudit.analysis.verdict_metrics import VerdictMetric, verdict_metrics
from mgaudit.attacks.intervals import Variances
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.metric_names import fpr_of
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult, Result, StudyResult
from mgaudit.reports.smallest_leak import SmallestLeak

FEWEST_DEGREES = 7  # of freedom, with which the measured variances are enough


def with_smallest_leaks(result: Result, arrays: list[Arrays]) -> Result:
    """Returns the result with the smallest leaks of its studies, whose arrays are `arrays`."""
    studies = [
        study.model_copy(update={"smallest_leaks": smallest_leaks(study, own_arrays)})
        for study, own_arrays in zip(result.studies, arrays, strict=True)
    ]
    return result.model_copy(update={"studies": studies})


def smallest_leaks(study: StudyResult, arrays: Arrays) -> list[SmallestLeak]:
    """Returns the smallest leak of each arm without a proven leak, in the order of the arms.

    A leak is proved if the interval of AUC or TPR, at the level of the verdicts, is above guessing.
    Arms without an outcome are left out, and so are arms whose attack does worse than guessing.
    """
    outcomes = study.analysis.verdicts
    judged = [verdict for verdict in outcomes if verdict.outcome is not None]
    if not judged:
        return []
    level = judged[0].level
    keys = {verdict.arm for verdict in judged}
    if study.plain is not None:
        keys.add(study.plain.key)
    audit = _Audit(study, arrays, level)
    leaks = [audit.leak(index) for index, arm in enumerate(study.arms) if arm.key in keys]
    return [leak for leak in leaks if leak is not None]


def smallest_value(
    variances: Variances,
    level: float,
    chance: float,
    examples: float,
    growth: Callable[[float], float] = lambda _: 1.0,
) -> float | None:
    """Returns the smallest expected value of a metric that is detected; None if none is.

    Args:
        variances: The parts of the variance of the metric's mean over targets.
        level: The two-sided level of the interval that must be above `chance`.
        chance: The expected value for an attack that guesses.
        examples: Number of audited examples.
        growth: The ratio of the variance with an effect to the measured one.
    """
    own, common = multiples(0 if variances.targets == 1 else variances.degrees_of_freedom, level)

    def needed(effect: float) -> float:
        factor = growth(effect)
        of_leak = SHARED * effect / examples
        of_models = own**2 * factor * variances.over_models
        of_examples = common**2 * (factor * variances.over_examples + of_leak)
        if variances.targets == 1:
            return math.sqrt(of_examples)
        if variances.is_jackknife:
            return math.sqrt(of_models + of_examples)
        shared = max(variances.over_examples - variances.over_cells, 0.0)
        of_shared = common**2 * (factor * shared + of_leak)
        return math.sqrt(max(of_models + of_shared, of_examples))

    effect = smallest_effect(needed, chance, RATE)
    return None if effect is None else chance + effect


class _Audit:
    """A study with its measured quantities, at one `level`."""

    def __init__(self, study: StudyResult, arrays: Arrays, level: float) -> None:
        self.arms = study.arms
        self.level = level
        self.samples = Samples.of(study.arms, arrays)
        self.metrics = verdict_metrics(study.arms, arrays, Margins.of(study.settings))
        self.membership = arrays["membership"].astype(bool)
        groups = study.checks.by_group if study.checks is not None else []
        self.examples = groups[0].groups if groups else self.membership.shape[1]

    def leak(self, index: int) -> SmallestLeak | None:
        """Returns the smallest leak of an arm; None if its leak is proved."""
        arm = self.arms[index]
        values = [self._value(index, arm, metric) for metric in self.metrics]
        pairs = list(zip(self.metrics, values, strict=True))
        if any(value.low > metric.chance for metric, value in pairs):
            return None
        if values[0].high < self.metrics[0].chance:
            return None
        smallest = [self._smallest(index, arm, metric, value) for metric, value in pairs]
        has_tpr = len(smallest) > 1
        return SmallestLeak(
            arm=index,
            attack=arm.attacks[0].name,
            level=self.level,
            power=POWER,
            auc=smallest[0],
            tpr_metric=self.metrics[1].name if has_tpr else None,
            tpr=smallest[1] if has_tpr else None,
        )

    def _value(self, index: int, arm: AuditResult, metric: VerdictMetric) -> Estimate:
        quantity = Quantity(index, metric.name, arm.attacks[0].name)
        return self.samples.own(quantity, RATE, self.level)

    def _smallest(
        self, index: int, arm: AuditResult, metric: VerdictMetric, value: Estimate
    ) -> float | None:
        """Returns the smallest value of a metric that is detected.

        At a bound of the metric, the resamples do not vary, and nothing can be said.
        """
        if value.value in RATE:
            return None
        variances = self.samples.variances(Quantity(index, metric.name, arm.attacks[0].name))
        size = self._size(arm)
        if metric.name == "auc":
            measured = smallest_value(variances, self.level, metric.chance, self.examples)
            planned = auc_excess(size, self.level)
        else:
            fpr = fpr_of(metric.name)
            now = tpr_variance(size, fpr, max(value.value - metric.chance, 0.0))

            def growth(effect: float) -> float:
                return tpr_variance(size, fpr, effect) / now

            measured = smallest_value(variances, self.level, metric.chance, self.examples, growth)
            planned = tpr_excess(size, self.level, fpr)
        if variances.targets == 1 or variances.degrees_of_freedom >= FEWEST_DEGREES:
            return measured
        if measured is None or planned is None:
            return None
        return max(measured, metric.chance + planned)

    def _size(self, arm: AuditResult) -> AuditSize:
        """Returns the numbers of the targets of an arm, of their members and non-members.

        Groups of examples that share a coin count once.
        """
        members = self.membership[arm.attacks[0].targets].sum(axis=1)
        share = float(np.mean(members)) / self.membership.shape[1]
        return AuditSize(len(members), share * self.examples, (1 - share) * self.examples)
