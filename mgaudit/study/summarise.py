"""Summarise the audits of a study: from outcomes to the records of its result."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from mgaudit.analysis.numbers import CHANGE, RATE
from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.analysis.samples import Samples
from mgaudit.attacks.exposure import Exposure
from mgaudit.attacks.intervals import Interval, Resampled, two_way_interval
from mgaudit.attacks.metrics import FPR_LEVELS, METRICS, false_positives_allowed, tpr_name
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

MOST_EXPOSED = 20


def audit_results(audits: Sequence[Audit], plan: Plan) -> list[AuditResult]:
    """Returns the result of each audited arm, with its differences to the plain arm where that was audited."""
    plain = next(
        (audit for audit in audits if audit.trained.arm.settings.scheme.is_only(PLAIN)), None
    )
    return [_audit_result(audit, plain, plan.design, plan.settings) for audit in audits]


def study_result(
    plan: Plan,
    audits: Sequence[Audit],
    arms: list[AuditResult],
    lost: Sequence[TrainedArm],
    analysis: Analysis,
    times: Times,
) -> StudyResult:
    """Returns the result of the study; `arms` are those of the `audits`, `lost` those that could not be audited."""
    settings, design = plan.settings, plan.design
    dataset, target = design.dataset, settings.target
    return StudyResult(
        settings=settings.as_dict(),
        target=NamedChoice(
            **choice_record(target), label=target.label(title=target.build.__name__)
        ),
        queries=NamedChoice(**choice_record(settings.queries), label=settings.queries.text),
        dataset=DatasetSummary(
            name=dataset.name,
            choice=ChoiceRecord(**choice_record(settings.dataset)),
            sha256=design.sha256,
            examples=len(dataset.labels),
            test_examples=len(dataset.test_labels),
            input_shape=dataset.input_shape,
            classes=dataset.classes,
        ),
        metric_facts=metric_facts(),
        extras={extra.name: extra.sentence for extra in _extras(audits)},
        arms=arms,
        lost=[_lost_arm(trained) for trained in lost],
        analysis=analysis,
        provenance=provenance(design.device),
        times=times,
    )


def _lost_arm(trained: TrainedArm) -> LostArm:
    return LostArm(
        **_scheme_records(trained.arm), label=trained.arm.settings.label, diverged=trained.diverged
    )


def _extras(audits: Sequence[Audit]) -> list[Extra]:
    return extras_in(
        need for audit in audits for outcome in audit.outcomes for need in outcome.attack.needs
    )


def _audit_result(
    audit: Audit, plain: Audit | None, design: Design, settings: StudySettings
) -> AuditResult:
    trained, arm = audit.trained, audit.trained.arm
    paired = plain if audit is not plain else None
    trials = int(design.membership[trained.converged].sum(axis=1).min())
    tests = len(design.dataset.test_labels)
    examples = len(design.dataset.labels)
    claim = _claim(arm.recipe.plan)
    delta, guesses = bound_delta(trained, design), 2 * guesses_a_side(GUESSED_SHARE, examples)
    return AuditResult(
        **_scheme_records(arm),
        label=arm.settings.label,
        note=settings.notes.get(arm.settings.scheme, ""),
        strength=strength_of(arm.settings.scheme, None if claim is None else claim.epsilon),
        learning_rate=arm.recipe.training.rate(private=arm.recipe.plan is not None),
        train_accuracy=_estimate(two_way_interval(audit.train_accuracy, trials, RATE)),
        test_accuracy=_estimate(two_way_interval(audit.test_accuracy, tests, RATE)),
        test_accuracy_difference=None
        if paired is None
        else _paired(
            audit.test_accuracy,
            trained.converged,
            paired.test_accuracy,
            paired.trained.converged,
            tests,
        ),
        diverged=trained.diverged,
        claim=claim,
        delta=delta,
        guesses=guesses,
        epsilon_provable=provable(guesses, examples, delta, SIGNIFICANCE / 2),
        attacks=[
            _attack_result(
                outcome, None if paired is None else paired.outcome(outcome.choice), trials, design
            )
            for outcome in audit.outcomes
        ],
        power=[_power_point(shadows, metrics, trials) for shadows, metrics in audit.power.items()],
        most_exposed=_most_exposed(audit.exposure, design.dataset),
        by_class=_by_class(audit.auc_by_class, design.dataset),
    )


def _power_point(shadows: int, metrics: dict[str, Resampled], trials: int) -> PowerPoint:
    estimates = {
        name: _estimate(two_way_interval(metrics[name], trials, RATE)) for name in ANALYSED
    }
    return PowerPoint(shadows=shadows, metrics=estimates)


def choice_record(choice: Choice) -> dict[str, Any]:
    """Returns the fields of a choice in a result: its name, and the options that are not the defaults."""
    return {"name": choice.name, "options": dict(choice.options)}


def _scheme_records(arm: Arm) -> dict[str, Any]:
    """Returns what a result says of the arm's scheme: its key, its parts and their sources."""
    parts = arm.settings.scheme.parts
    return {
        "key": arm.settings.scheme.text,
        "scheme": [ChoiceRecord(**choice_record(part)) for part in parts],
        "sources": [part.built.source for part in parts if part.name != PLAIN],
    }


def metric_facts() -> list[MetricFacts]:
    """Returns how each metric is shown."""
    return [
        MetricFacts(
            name=metric.name,
            title=metric.title,
            unit=metric.unit,
            digits=metric.digits,
            low=metric.range[0],
            high=metric.range[1],
            guessing=metric.guessing,
        )
        for metric in METRICS
    ]


def _most_exposed(exposure: Exposure, dataset: Dataset) -> list[ExposedExample]:
    return [
        ExposedExample(
            example=example,
            origin=dataset.origins[example],
            label=dataset.classes[dataset.labels[example]],
            score=float(exposure.score_in[example]),
            rank_in=_rank(exposure, "in", example),
            rank_out=_rank(exposure, "out", example),
            targets=int(exposure.targets_in[example]),
        )
        for example in exposure.most_exposed()[:MOST_EXPOSED].tolist()
    ]


def _rank(exposure: Exposure, side: str, example: int) -> Estimate | None:
    value, low, high = (
        float(getattr(exposure, f"{name}_{side}")[example]) for name in ("rank", "low", "high")
    )
    return None if math.isnan(value) else Estimate(value=value, low=low, high=high)


def _by_class(auc_by_class: dict[int, Interval | None], dataset: Dataset) -> list[ClassExposure]:
    return [
        ClassExposure(
            label=dataset.classes[label],
            examples=int((dataset.labels == label).sum()),
            auc=None if interval is None else _estimate(interval),
        )
        for label, interval in auc_by_class.items()
    ]


def _attack_result(
    outcome: AttackOutcome, paired: AttackOutcome | None, trials: int, design: Design
) -> AttackResult:
    non_members = int((~design.membership[outcome.targets]).sum(axis=1).min())
    differences: dict[str, Estimate | None] = {}
    if paired is not None:
        differences = {
            key: _paired(numbers, outcome.targets, paired.metrics[key], paired.targets, trials)
            for key, numbers in outcome.metrics.items()
        }
    return AttackResult(
        attack=outcome.choice.text,
        choice=ChoiceRecord(**choice_record(outcome.choice)),
        knowledge=outcome.knowledge,
        targets=outcome.targets,
        source=outcome.attack.source,
        needs=sorted(outcome.attack.needs),
        metrics={
            metric.name: _estimate(
                two_way_interval(outcome.metrics[metric.name], trials, metric.range)
            )
            for metric in METRICS
        },
        per_target={key: numbers.per_target.tolist() for key, numbers in outcome.metrics.items()},
        single_targets=_single_targets(outcome, design),
        differences={key: change for key, change in differences.items() if change is not None},
        correct_guesses=outcome.correct_guesses,
        epsilon_lower_bound=outcome.epsilon_lower_bound,
        false_positives_allowed={
            tpr_name(level): int(false_positives_allowed(level, non_members))
            for level in FPR_LEVELS
        },
        non_members=non_members,
    )


def _paired(
    ours: Resampled, targets: list[int], theirs: Resampled, their_targets: list[int], trials: int
) -> Estimate | None:
    """Returns our number less theirs over the targets that both have; None where they are too few."""
    both = [target for target in targets if target in set(their_targets)]
    if len(both) < FEWEST_MODELS:
        return None
    first = ours.at([targets.index(target) for target in both])
    second = theirs.at([their_targets.index(target) for target in both])
    return _estimate(two_way_interval(first - second, trials, CHANGE))


def _single_targets(outcome: AttackOutcome, design: Design) -> dict[str, list[Estimate]]:
    pairs = list(zip(outcome.scores, design.membership[outcome.targets], strict=True))
    estimates = {"auc": [_estimate(delong_interval(*pair)) for pair in pairs]}
    for level in FPR_LEVELS:
        estimates[tpr_name(level)] = [_estimate(tpr_interval(*pair, level)) for pair in pairs]
    return estimates


def _estimate(interval: Interval) -> Estimate:
    return Estimate(value=interval.value, low=interval.low, high=interval.high)


def _claim(plan: PrivacyPlan | None) -> PrivacyClaim | None:
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
    """Returns what lies behind the result; `membership` and `labels` are the study's, all else is by arm and attack."""
    arrays: Arrays = {
        "membership": design.membership,
        "labels": design.dataset.labels,
        "roc_fpr": ROC_GRID,
    }
    for index, (arm, audit) in enumerate(zip(arms, audits, strict=True)):
        arrays |= Samples.arrays(index, None, TEST_ACCURACY, audit.test_accuracy)
        arrays[array_name(index, "ranks")] = audit.ranks.astype(np.float32)
        for result, outcome in zip(arm.attacks, audit.outcomes, strict=True):
            arrays[array_name(index, result.name, "scores")] = outcome.scores
            arrays[array_name(index, result.name, "roc_tpr")] = np.asarray(outcome.mean_roc)
            for metric in ANALYSED:
                arrays |= Samples.arrays(index, result.name, metric, outcome.metrics[metric])
        for field in fields(audit.exposure):
            arrays[array_name(index, "exposure", field.name)] = getattr(audit.exposure, field.name)
        if design.pictures is not None:
            exposed = [exposed.example for exposed in arm.most_exposed]
            arrays[array_name(index, "most_exposed_pictures")] = design.pictures[exposed]
    return arrays
