"""The verdict on each arm of a study, from simultaneous intervals.

An arm is one noise scheme of the study. The plain arm is the arm without noise. The attack, the
metrics and the smallest effects that matter are fixed before the results are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mgaudit.analysis.chance_accuracy import chance_accuracy, has_learned_nothing
from mgaudit.analysis.deciding import needed_to_decide
from mgaudit.analysis.margins import Margins
from mgaudit.analysis.numbers import CHANGE, RATE, Numbers, Quantity, Terms
from mgaudit.analysis.verdict_metrics import VerdictMetric, verdict_metrics
from mgaudit.analysis.verdict_rules import (
    Contrasts,
    chance_outcome,
    combined_outcome,
    compared_outcome,
    contradicts,
    leaves_open,
)
from mgaudit.reports.arm_verdict import ArmVerdict, MetricVerdict, Needed, OtherAnswer, Outcome
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult

ERROR = 0.05  # probability that one or more of the limits that the rules read are wrong


def verdicts(
    arms: Sequence[AuditResult], arrays: Arrays, numbers: Numbers, margins: Margins
) -> list[ArmVerdict]:
    """Returns the verdict on each arm except the plain one, in the order of `arms`.

    Without a plain arm, or without other arms, every arm is compared with chance. So is an arm that
    shares too few models with the plain arm.
    """
    plain = next((index for index, arm in enumerate(arms) if arm.is_plain), None)
    if len(arms) == 1:
        plain = None
    judged = [index for index in range(len(arms)) if index != plain]
    metrics = verdict_metrics(arms, arrays, margins)
    level = level_of_limits(len(judged), len(metrics), has_plain=plain is not None)
    examples = arrays["membership"].shape[1]
    judge = _Judge(numbers, plain, len(judged), metrics, level, examples)
    chance = chance_accuracy(arrays)
    of_arms = []
    for index in judged:
        verdict = judge.verdict(index, arms[index])
        compared = [arms[index]]
        if plain is not None and verdict.against == "plain":
            compared.append(arms[plain])
        untrained = next((arm for arm in compared if has_learned_nothing(arm, chance)), None)
        if untrained is not None and chance is not None:
            update = {"learned_nothing": untrained.key, "chance_accuracy": chance.value}
            verdict = verdict.model_copy(update={**update, "outcome": None, "contradictions": []})
        of_arms.append(verdict)
    return of_arms


def level_of_limits(arms: int, metrics: int, has_plain: bool) -> float:
    """Returns the two-sided level at which all limits that the rules read hold together at 95 %.

    Bonferroni's method counts the limits, each with one tail. For each metric, the rules read the
    upper limit of the plain arm, and of each of the `arms` that are compared with it the upper
    limit and both limits of the difference. The three contrasts of a TPR are one test of the ratio
    of two TPRs (Fieller 1954), so they count once. Without a plain arm, both limits of each arm are
    read.

    >>> round(level_of_limits(1, 2, has_plain=True), 4)
    0.9875
    """
    limits = metrics * (1 + 3 * arms if has_plain else 2 * arms)
    return 1 - 2 * ERROR / limits


@dataclass(frozen=True)
class _Judge:
    """Applies the rules to the numbers of a study.

    `plain` is the index of the plain arm, `arms` the number of arms that are judged, and `level`
    the two-sided level of each interval.
    """

    numbers: Numbers
    plain: int | None
    arms: int
    metrics: Sequence[VerdictMetric]
    level: float
    examples: int

    def verdict(self, index: int, arm: AuditResult) -> ArmVerdict:
        """Returns the verdict on the arm with this index."""
        attack = arm.attacks[0].name
        auc, *others = [
            self._of_quantity(metric, *self._quantities(index, attack, metric))
            for metric in self.metrics
        ]
        tpr = others[0] if others else None
        return ArmVerdict(
            arm=arm.key,
            attack=attack,
            against="chance" if auc.difference is None else "plain",
            outcome=combined_outcome(auc.outcome, None if tpr is None else tpr.outcome),
            level=self.level,
            auc=auc,
            tpr=tpr,
            contradictions=self._contradictions(index, arm, auc.outcome),
        )

    def _contradictions(self, index: int, arm: AuditResult, first: Outcome) -> list[OtherAnswer]:
        """Returns the other attacks by an adaptive adversary whose AUC contradicts the outcome.

        The first attack with queries through the noise is another attack too, also if it does not
        confirm that the noise protects. The level is corrected for the number of arms and of other
        attacks.
        """
        metric = self.metrics[0]
        others = {
            attack.name: self._quantities(index, attack.name, metric)
            for attack in arm.attacks[1:]
            if attack.adversary == "adaptive"
        }
        queries = arm.noise_queries
        if queries is not None:
            own = Quantity(index, metric.name, queries.name)
            same_queries = Quantity(index, metric.name, queries.plain_name)
            others[queries.name] = own, same_queries if queries.plain_targets else None
        if not others:
            return []
        level = level_of_limits(self.arms, len(others), has_plain=self.plain is not None)
        judge = replace(self, level=level)
        answers = []
        for attack, (own, of_plain) in others.items():
            by_other = judge._of_quantity(metric, own, of_plain)
            is_through_noise = queries is not None and attack == queries.name
            if contradicts(by_other.outcome, first) or (
                is_through_noise and leaves_open(by_other.outcome, first)
            ):
                answer = OtherAnswer(
                    attack=attack,
                    outcome=by_other.outcome,
                    value=by_other.value,
                    difference=by_other.difference,
                )
                answers.append(answer)
        return answers

    def _quantities(
        self, index: int, attack: str, metric: VerdictMetric
    ) -> tuple[Quantity, Quantity | None]:
        """Returns the metric of an attack on the arm with this index, and on the plain arm."""
        own = Quantity(index, metric.name, attack)
        of_plain = None if self.plain is None else Quantity(self.plain, metric.name, attack)
        return own, of_plain

    def _of_quantity(
        self, metric: VerdictMetric, own: Quantity, of_plain: Quantity | None
    ) -> MetricVerdict:
        """Returns the verdict on a metric, against the plain arm if enough models are shared."""
        if of_plain is not None:
            difference = self.numbers.estimate(_minus(own, 1.0, of_plain), CHANGE, level=self.level)
            if difference is not None:
                return self._compared(metric, own, of_plain, difference)
        return self._alone(metric, own)

    def _alone(self, metric: VerdictMetric, own: Quantity) -> MetricVerdict:
        """Returns the verdict on a metric against chance."""
        value = self.numbers.own(own, RATE, self.level)
        excess = _plus(value, -metric.chance)
        outcome = chance_outcome(excess, metric.least_leak)
        needed = None
        if outcome == "undecided":
            reach = max(excess.value, metric.least_leak - excess.value)
            needed = self._needed(reach, [(1.0, own)])
        return MetricVerdict(
            metric=metric.name,
            outcome=outcome,
            value=value,
            chance=metric.chance,
            plain=None,
            difference=None,
            margin=metric.margin,
            sign=excess.sign,
            needed=needed,
        )

    def _compared(
        self, metric: VerdictMetric, own: Quantity, of_plain: Quantity, difference: Estimate
    ) -> MetricVerdict:
        """Returns the verdict on a metric against the plain arm."""
        value, plain = (self.numbers.own(each, RATE, self.level) for each in (own, of_plain))
        lower, upper = self._beyond_margin(metric, own, of_plain, difference)
        contrasts = Contrasts(
            own=_plus(value, -metric.chance),
            plain=_plus(plain, -metric.chance),
            change=difference,
            above_lower=lower,
            above_upper=upper,
            least_leak=metric.least_leak,
        )
        outcome = compared_outcome(contrasts)
        needed = None
        if outcome == "undecided":
            margin = metric.margin * plain.value if metric.is_relative else metric.margin
            change = abs(difference.value)
            needed = self._needed(max(change, margin - change), _minus(own, 1.0, of_plain))
        return MetricVerdict(
            metric=metric.name,
            outcome=outcome,
            value=value,
            chance=metric.chance,
            plain=plain,
            difference=difference,
            margin=metric.margin,
            sign=difference.sign,
            needed=needed,
        )

    def _beyond_margin(
        self, metric: VerdictMetric, own: Quantity, of_plain: Quantity, difference: Estimate
    ) -> tuple[Estimate, Estimate]:
        """Returns by how much the arm is above the plain arm minus, and plus, the margin."""
        if not metric.is_relative:
            return _plus(difference, metric.margin), _plus(difference, -metric.margin)
        contrasts = []
        for factor in (1 - metric.margin, 1 + metric.margin):
            terms = _minus(own, factor, of_plain)
            contrast = self.numbers.estimate(terms, (-factor, 1.0), level=self.level)
            assert contrast is not None  # as the difference of the same quantities is not
            contrasts.append(contrast)
        return contrasts[0], contrasts[1]

    def _needed(self, reach: float, terms: Terms) -> Needed | None:
        parts = self.numbers.variance_parts(terms)
        return needed_to_decide(reach, parts, self.level, self.examples)


def _minus(own: Quantity, factor: float, of_plain: Quantity) -> Terms:
    return [(1.0, own), (-factor, of_plain)]


def _plus(estimate: Estimate, shift: float) -> Estimate:
    return Estimate(
        value=estimate.value + shift, low=estimate.low + shift, high=estimate.high + shift
    )
