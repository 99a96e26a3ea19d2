"""Summarise the audits of a study: from outcomes to the records of its result.

An audit has the measurements of one arm (noise scheme), and an outcome those of one attack on it.
The plain arm is the arm without noise. Below, `trials` is the smallest number of members of a
target (attacked model); it limits how narrow an interval at 0 or 1 is.
"""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.analysis.numbers import CHANGE, RATE
from mgaudit.analysis.samples import Samples
from mgaudit.attacks.exposure import Exposure
from mgaudit.attacks.intervals import Interval, Resampled, two_way_interval
from mgaudit.attacks.metrics import (
    FPR_LEVELS,
    METRICS,
    Metric,
    false_positives_allowed,
    tpr_name,
)
from mgaudit.attacks.single_target import delong_interval, tpr_interval
from mgaudit.reports.arrays import Arrays, array_name
from mgaudit.reports.findings import ANALYSED, TEST_ACCURACY, Analysis
from mgaudit.reports.record import ChoiceRecord, Estimate, NamedChoice
from mgaudit.reports.results import (
    AttackResult,
    AuditResult,
    ClassExposure,
    DatasetSummary,
    ExposedExample,
    LostArm,
    MetricFacts,
    PowerPoint,
    PrivacyClaim,
    StudyResult,
    Times,
)
from mgaudit.settings.choices import Choice
from mgaudit.settings.schemes import PLAIN
from mgaudit.settings.study_settings import StudySettings
from mgaudit.study.attack import (
    GUESSED_SHARE,
    ROC_GRID,
    SIGNIFICANCE,
    AttackOutcome,
    Audit,
    bound_delta,
    guesses_a_side,
    provable,
)
from mgaudit.study.design import Design
from mgaudit.study.extras import Extra, extras_in
from mgaudit.study.plan import Arm, Plan
from mgaudit.study.provenance import provenance
from mgaudit.study.strength import strength_of
from mgaudit.study.train import TrainedArm
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan

MOST_EXPOSED = 20  # examples in the list of an arm's most exposed ones


def audit_results(audits: Sequence[Audit], plan: Plan) -> list[AuditResult]:
    """Returns the result of each audited arm, in the order of `audits`.

    It has the differences to the plain arm, if the study has one.
    """
    plain = next((audit for audit in audits if _is_plain(audit)), None)
    results = []
    for audit in audits:
        compared = None if audit is plain else plain
        results.append(_audit_result(audit, compared, plan.design, plan.settings))
    return results


def _is_plain(audit: Audit) -> bool:
    return audit.trained.arm.settings.scheme.is_only(PLAIN)


def study_result(
    plan: Plan,
    audits: Sequence[Audit],
    arms: list[AuditResult],
    lost: Sequence[TrainedArm],
    analysis: Analysis,
    times: Times,
) -> StudyResult:
    """Returns the result of the study.

    Args:
        plan: The plan of the study.
        audits: The audits, one for each arm that could be audited.
        arms: The results of the audits, in the same order.
        lost: The arms that could not be audited.
        analysis: What was computed from several arms at once.
        times: When the study ran, and for how long.
    """
    settings, design = plan.settings, plan.design
    extras = _extras(audits)
    return StudyResult(
        settings=settings.as_dict(),
        target=_target_record(settings.target),
        queries=_queries_record(settings.queries),
        dataset=_dataset_summary(settings.dataset, design),
        metric_facts=metric_facts(),
        extras={extra.name: extra.sentence for extra in extras},
        arms=arms,
        lost=[_lost_arm(trained) for trained in lost],
        analysis=analysis,
        provenance=provenance(design.device),
        times=times,
    )


def _target_record(target: Choice) -> NamedChoice:
    label = target.label(title=target.build.__name__)
    return NamedChoice(**choice_record(target), label=label)


def _queries_record(queries: Choice) -> NamedChoice:
    return NamedChoice(**choice_record(queries), label=queries.text)


def _dataset_summary(choice: Choice, design: Design) -> DatasetSummary:
    dataset = design.dataset
    return DatasetSummary(
        name=dataset.name,
        choice=ChoiceRecord(**choice_record(choice)),
        sha256=design.sha256,
        examples=len(dataset.labels),
        test_examples=len(dataset.test_labels),
        input_shape=dataset.input_shape,
        classes=dataset.classes,
    )


def _lost_arm(trained: TrainedArm) -> LostArm:
    """Returns the record of an arm that could not be audited, because its models diverged."""
    records = _scheme_records(trained.arm)
    return LostArm(**records, label=trained.arm.settings.label, diverged=trained.diverged)


def _extras(audits: Sequence[Audit]) -> list[Extra]:
    """Returns the extras that the attacks of the audits need."""
    needs: set[str] = set()
    for audit in audits:
        for outcome in audit.outcomes:
            needs.update(outcome.attack.needs)
    return extras_in(needs)


def _audit_result(
    audit: Audit, plain: Audit | None, design: Design, settings: StudySettings
) -> AuditResult:
    """Returns the result of an arm; `plain` is the audit that it is compared with, if any."""
    trained, arm = audit.trained, audit.trained.arm
    scheme, recipe = arm.settings.scheme, arm.recipe
    trials = int(design.membership[trained.converged].sum(axis=1).min())
    tests = len(design.dataset.test_labels)
    examples = len(design.dataset.labels)
    claim = _claim(recipe.plan)
    delta = bound_delta(trained, design)
    guesses = 2 * guesses_a_side(GUESSED_SHARE, examples)
    return AuditResult(
        **_scheme_records(arm),
        label=arm.settings.label,
        note=settings.notes.get(scheme, ""),
        strength=strength_of(scheme, None if claim is None else claim.epsilon),
        learning_rate=recipe.training.rate(private=recipe.plan is not None),
        train_accuracy=_rate(audit.train_accuracy, trials),
        accuracy=_rate(audit.test_accuracy, tests),
        accuracy_difference=_test_accuracy_difference(audit, plain, tests),
        diverged=trained.diverged,
        claim=claim,
        delta=delta,
        guesses=guesses,
        epsilon_provable=provable(guesses, examples, delta, SIGNIFICANCE / 2),
        attacks=_attack_results(audit, plain, trials, design),
        power=[_power_point(shadows, metrics, trials) for shadows, metrics in audit.power.items()],
        most_exposed=_most_exposed(audit.exposure, design.dataset),
        by_class=_by_class(audit.auc_by_class, design.dataset),
    )


def _test_accuracy_difference(audit: Audit, plain: Audit | None, tests: int) -> Estimate | None:
    """Returns the test accuracy minus that of the plain arm, over models that converged in both.

    Returns None for the plain arm itself, and with fewer than FEWEST_MODELS such models. `tests` is
    the number of test examples.
    """
    if plain is None:
        return None
    return _paired(
        audit.test_accuracy,
        audit.trained.converged,
        plain.test_accuracy,
        plain.trained.converged,
        tests,
    )


def _attack_results(
    audit: Audit, plain: Audit | None, trials: int, design: Design
) -> list[AttackResult]:
    """Returns the results of the attacks on an arm, adaptive ones first.

    On the plain arm both adversaries are the same, so both are compared with its adaptive attack.
    """
    results = []
    for outcome in audit.outcomes:
        compared = None if plain is None else plain.outcome(outcome.choice)
        results.append(_attack_result(outcome, compared, trials, design))
    return results


def _power_point(shadows: int, metrics: dict[str, Resampled], trials: int) -> PowerPoint:
    """Returns the metrics of the first attack with that many shadow models, with intervals."""
    estimates = {name: _rate(metrics[name], trials) for name in ANALYSED}
    return PowerPoint(shadows=shadows, metrics=estimates)


def choice_record(choice: Choice) -> dict[str, Any]:
    """Returns the fields of a choice in a result: its name and the options that are set."""
    return {"name": choice.name, "options": dict(choice.options)}


def _scheme_records(arm: Arm) -> dict[str, Any]:
    """Returns the fields of the arm's scheme in a result: its key, its parts and their sources."""
    scheme = arm.settings.scheme
    parts = scheme.parts
    return {
        "key": scheme.text,
        "scheme": [ChoiceRecord(**choice_record(part)) for part in parts],
        "sources": [part.built.source for part in parts if part.name != PLAIN],
    }


def metric_facts() -> list[MetricFacts]:
    """Returns the title, unit, digits, range and chance level of each metric."""
    return [_facts_of(metric) for metric in METRICS]


def _facts_of(metric: Metric) -> MetricFacts:
    low, high = metric.range
    return MetricFacts(
        name=metric.name,
        title=metric.title,
        unit=metric.unit,
        digits=metric.digits,
        low=low,
        high=high,
        guessing=metric.guessing,
    )


def _most_exposed(exposure: Exposure, dataset: Dataset) -> list[ExposedExample]:
    """Returns the MOST_EXPOSED most exposed examples, the most exposed first."""
    examples = exposure.most_exposed()[:MOST_EXPOSED].tolist()
    return [_exposed_example(example, exposure, dataset) for example in examples]


def _exposed_example(example: int, exposure: Exposure, dataset: Dataset) -> ExposedExample:
    return ExposedExample(
        example=example,
        origin=dataset.origins[example],
        label=dataset.classes[dataset.labels[example]],
        score=float(exposure.score_in[example]),
        rank_in=_rank(exposure.rank_in, exposure.low_in, exposure.high_in, example),
        rank_out=_rank(exposure.rank_out, exposure.low_out, exposure.high_out, example),
        targets=int(exposure.targets_in[example]),
    )


def _rank(
    ranks: NDArray[np.float64],
    lows: NDArray[np.float64],
    highs: NDArray[np.float64],
    example: int,
) -> Estimate | None:
    """Returns the mean rank of an example with its 95 % interval; None if no target has a rank."""
    rank = float(ranks[example])
    if math.isnan(rank):
        return None
    return Estimate(value=rank, low=float(lows[example]), high=float(highs[example]))


def _by_class(auc_by_class: dict[int, Interval | None], dataset: Dataset) -> list[ClassExposure]:
    """Returns the AUC within each class; None for a class with too few members or non-members."""
    exposures = []
    for label, interval in auc_by_class.items():
        examples = int((dataset.labels == label).sum())
        auc = None if interval is None else _estimate(interval)
        name = dataset.classes[label]
        exposures.append(ClassExposure(label=name, examples=examples, auc=auc))
    return exposures


def _attack_result(
    outcome: AttackOutcome, paired: AttackOutcome | None, trials: int, design: Design
) -> AttackResult:
    """Returns the result of an attack; `paired` is the same attack on the plain arm, if any."""
    membership = design.membership[outcome.targets]
    non_members = int((~membership).sum(axis=1).min())
    return AttackResult(
        attack=outcome.choice.text,
        choice=ChoiceRecord(**choice_record(outcome.choice)),
        adversary=outcome.adversary,
        targets=outcome.targets,
        source=outcome.attack.source,
        needs=sorted(outcome.attack.needs),
        metrics=_metric_estimates(outcome, trials),
        per_target={key: numbers.per_target.tolist() for key, numbers in outcome.metrics.items()},
        single_targets=_single_targets(outcome, membership),
        differences={} if paired is None else _differences(outcome, paired, trials),
        correct_guesses=outcome.correct_guesses,
        epsilon_lower_bound=outcome.epsilon_lower_bound,
        false_positives_allowed=_allowed_by_level(non_members),
        non_members=non_members,
    )


def _metric_estimates(outcome: AttackOutcome, trials: int) -> dict[str, Estimate]:
    """Returns each metric by name, the mean over targets with its 95 % interval."""
    estimates = {}
    for metric in METRICS:
        interval = two_way_interval(outcome.metrics[metric.name], trials, metric.range)
        estimates[metric.name] = _estimate(interval)
    return estimates


def _differences(outcome: AttackOutcome, paired: AttackOutcome, trials: int) -> dict[str, Estimate]:
    """Returns each metric minus that of the same attack on the plain arm, by name.

    The dictionary is empty if fewer than FEWEST_MODELS targets are shared.
    """
    differences = {}
    for key, numbers in outcome.metrics.items():
        plain_numbers = paired.metrics[key]
        change = _paired(numbers, outcome.targets, plain_numbers, paired.targets, trials)
        if change is not None:
            differences[key] = change
    return differences


def _allowed_by_level(non_members: int) -> dict[str, int]:
    """Returns how many of the non-members may be false positives, by name of the TPR metric."""
    return {
        tpr_name(level): int(false_positives_allowed(level, non_members)) for level in FPR_LEVELS
    }


def _paired(
    ours: Resampled, targets: list[int], theirs: Resampled, their_targets: list[int], trials: int
) -> Estimate | None:
    """Returns the difference ours - theirs with its 95 % interval, over the targets of both.

    `targets` and `their_targets` are the indices of the models in the rows of both. Returns None if
    fewer than FEWEST_MODELS are shared.
    """
    both = [target for target in targets if target in their_targets]
    if len(both) < FEWEST_MODELS:
        return None
    first = ours.at([targets.index(target) for target in both])
    second = theirs.at([their_targets.index(target) for target in both])
    return _estimate(two_way_interval(first - second, trials, CHANGE))


def _single_targets(
    outcome: AttackOutcome, membership: NDArray[np.bool_]
) -> dict[str, list[Estimate]]:
    """Returns by name each metric of each target, with its 95 % interval for new examples.

    `membership` is (targets, examples), in the order of the outcome's targets.
    """
    pairs = list(zip(outcome.scores, membership, strict=True))
    estimates = {"auc": [_estimate(delong_interval(*pair)) for pair in pairs]}
    for level in FPR_LEVELS:
        intervals = [tpr_interval(*pair, level) for pair in pairs]
        estimates[tpr_name(level)] = [_estimate(interval) for interval in intervals]
    return estimates


def _rate(numbers: Resampled, trials: int) -> Estimate:
    """Returns the mean over targets of a rate in [0, 1] with its 95 % interval."""
    return _estimate(two_way_interval(numbers, trials, RATE))


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=interval.value, low=interval.low, high=interval.high)


def _claim(plan: PrivacyPlan | None) -> PrivacyClaim | None:
    """Returns the privacy that is proved for the arm; None for an arm without DP-SGD."""
    if plan is None:
        return None
    return PrivacyClaim(
        epsilon=plan.epsilon if math.isfinite(plan.epsilon) else None,
        delta=plan.delta,
        noise_multiplier=plan.noise_multiplier,
        max_grad_norm=plan.max_grad_norm,
        sample_rate=plan.sample_rate,
        steps=plan.steps,
        accountant="PRV",
        adjacency="add/remove",
    )


def study_arrays(arms: Sequence[AuditResult], audits: Sequence[Audit], design: Design) -> Arrays:
    """Returns the arrays that the result was computed from, by name.

    `membership`, `labels` and `roc_fpr` are shared; the other names contain the arm and the attack.
    """
    arrays: Arrays = {
        "membership": design.membership,
        "labels": design.dataset.labels,
        "roc_fpr": ROC_GRID,
    }
    for index, (arm, audit) in enumerate(zip(arms, audits, strict=True)):
        arrays |= _arm_arrays(index, arm, audit, design)
    return arrays


def _arm_arrays(index: int, arm: AuditResult, audit: Audit, design: Design) -> Arrays:
    arrays: Arrays = {}
    arrays |= Samples.arrays(index, None, TEST_ACCURACY, audit.test_accuracy)
    arrays[array_name(index, "ranks")] = audit.ranks.astype(np.float32)
    for result, outcome in zip(arm.attacks, audit.outcomes, strict=True):
        arrays[array_name(index, result.name, "scores")] = outcome.scores
        arrays[array_name(index, result.name, "roc_tpr")] = np.asarray(outcome.mean_roc)
        for metric in ANALYSED:
            arrays |= Samples.arrays(index, result.name, metric, outcome.metrics[metric])
    for field in fields(audit.exposure):
        values = getattr(audit.exposure, field.name)
        arrays[array_name(index, "exposure", field.name)] = values
    if design.pictures is not None:
        examples = [exposed.example for exposed in arm.most_exposed]
        arrays[array_name(index, "most_exposed_pictures")] = design.pictures[examples]
    return arrays
