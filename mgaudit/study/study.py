"""Many arms on one design: from settings to a StudyResult."""

import math
import time
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mgaudit.analysis.numbers import CHANGE, RATE
from mgaudit.analysis.samples import FEWEST_MODELS, Samples, analysed
from mgaudit.attacks.exposure import Exposure
from mgaudit.attacks.intervals import Interval, Resampled, two_way_interval
from mgaudit.attacks.metrics import FPR_LEVELS, METRICS, false_positives_allowed, tpr_name
from mgaudit.attacks.single_target import delong_interval, tpr_interval
from mgaudit.reports.findings import ANALYSED, TEST_ACCURACY
from mgaudit.reports.record import ChoiceRecord, Estimate, NamedChoice
from mgaudit.reports.results import (
    Arrays,
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
from mgaudit.storage.run_folder import path_word
from mgaudit.study.arm import Arm, plan_arm, train_arm
from mgaudit.study.attack import (
    ROC_GRID,
    SIGNIFICANCE,
    AttackOutcome,
    Audit,
    audit,
    bound_delta,
    guesses_a_side,
    provable,
)
from mgaudit.study.design import Design, draw_design
from mgaudit.study.extras import Extra, extras_in
from mgaudit.study.progress import Progress
from mgaudit.study.provenance import provenance, run_sha256
from mgaudit.study.stacking import with_stack
from mgaudit.study.strength import strength_of
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.dp_sgd import PrivacyPlan

MOST_EXPOSED = 20


@dataclass(frozen=True)
class Plan:
    """A study that has been checked against its data and can be run."""

    settings: StudySettings
    design: Design
    arms: list[Arm]

    @property
    def slug(self) -> str:
        """What is audited, in a word that may stand in a path."""
        audited = [scheme.text for scheme in self.settings.schemes if not scheme.is_only(PLAIN)]
        return path_word(self.settings.dataset.name, self.settings.target.text, *audited[:1])

    @property
    def sha256(self) -> str:
        """The hash of all that determines the result: settings, data, code and versions."""
        return run_sha256(self.settings.as_dict(), self.settings.arms(), self.design)


def plan_study(settings: StudySettings) -> Plan:
    """Returns the plan: data loaded, coins tossed, networks built once, noise multipliers found.

    Raises ValueError or OSError for all that the user can mend; what passes is ready to train.
    """
    design = draw_design(settings)
    settings = with_stack(settings, design)
    return Plan(settings, design, [plan_arm(arm, design) for arm in settings.arms()])


def run_study(plan: Plan, jobs: int, progress: Progress) -> tuple[StudyResult, Arrays]:
    """Returns the result of every arm, and the arrays behind it.

    An arm of which fewer than FEWEST_MODELS models converged cannot be audited, and the result says so. Raises
    RuntimeError where that is all of them.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    settings, design = plan.settings, plan.design
    trained = [train_arm(arm, design, jobs, progress) for arm in plan.arms]
    plain = next((one for one in trained if one.arm.settings.scheme.is_only(PLAIN)), None)
    audits, lost = [], []
    for one in trained:
        if len(one.converged) < FEWEST_MODELS:
            lost.append(one)
            continue
        progress.stage(f"{one.arm.settings.label}: querying and attacking")
        naive = None if one is plain or plain is None or len(plain.converged) < FEWEST_MODELS else plain
        audits.append(audit(one, naive, design))
    if not audits:
        raise RuntimeError(
            f"in every arm fewer than {FEWEST_MODELS} of {settings.models} models converged; "
            "try a lower --learning-rate or less noise"
        )
    progress.stage("comparing the arms")
    plain_audit = next((one for one in audits if one.trained is plain), None)
    dataset, target = design.dataset, settings.target
    arms = [_audit_result(one, plain_audit, design, settings) for one in audits]
    arrays = _arrays(arms, audits, design)
    study = StudyResult(
        settings=settings.as_dict(),
        target=NamedChoice(**choice_record(target), label=target.label(title=target.build.__name__)),
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
        lost=[LostArm(**_scheme_records(one.arm), label=one.arm.settings.label, diverged=one.diverged) for one in lost],
        analysis=analysed(arms, arrays),
        provenance=provenance(design.device),
        times=Times(
            started=started.isoformat(timespec="seconds"),
            seconds=time.perf_counter() - clock,
            training_seconds={
                one.arm.settings.scheme.text: sum(fact["seconds"] for fact in one.facts) for one in trained
            },
            models_reused={one.arm.settings.scheme.text: one.models_reused for one in trained},
        ),
    )
    return study, arrays


def _extras(audits: list[Audit]) -> list[Extra]:
    return extras_in(need for one in audits for outcome in one.outcomes for need in outcome.attack.needs)


def _audit_result(one: Audit, plain: Audit | None, design: Design, settings: StudySettings) -> AuditResult:
    paired = plain if one is not plain else None
    trials = int(design.membership[one.trained.converged].sum(axis=1).min())
    tests = len(design.dataset.test_labels)
    arm = one.trained.arm
    claim = _claim(arm.recipe.plan)
    examples = len(design.dataset.labels)
    delta, guesses = bound_delta(one.trained, design), 2 * guesses_a_side(examples)
    return AuditResult(
        **_scheme_records(arm),
        label=arm.settings.label,
        note=settings.notes.get(arm.settings.scheme, ""),
        strength=strength_of(arm.settings.scheme, None if claim is None else claim.epsilon),
        learning_rate=arm.recipe.training.rate(private=arm.recipe.plan is not None),
        train_accuracy=_estimate(two_way_interval(one.train_accuracy, trials, RATE)),
        test_accuracy=_estimate(two_way_interval(one.test_accuracy, tests, RATE)),
        test_accuracy_difference=None
        if paired is None
        else _paired(one.test_accuracy, one.trained.converged, paired.test_accuracy, paired.trained.converged, tests),
        diverged=one.trained.diverged,
        claim=claim,
        delta=delta,
        guesses=guesses,
        epsilon_provable=provable(guesses, examples, delta, SIGNIFICANCE / 2),
        attacks=[
            _attack_result(outcome, None if paired is None else paired.outcome(outcome.choice), trials, design)
            for outcome in one.outcomes
        ],
        power=[
            PowerPoint(
                shadows=shadows,
                metrics={key: _estimate(two_way_interval(found[key], trials, RATE)) for key in ANALYSED},
            )
            for shadows, found in one.power.items()
        ],
        most_exposed=_most_exposed(one.exposure, design.dataset),
        by_class=_by_class(one.auc_by_class, design.dataset),
    )


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
    value, low, high = (float(getattr(exposure, f"{name}_{side}")[example]) for name in ("rank", "low", "high"))
    return None if math.isnan(value) else Estimate(value=value, low=low, high=high)


def _by_class(found: dict[int, Interval | None], dataset: Dataset) -> list[ClassExposure]:
    return [
        ClassExposure(
            label=dataset.classes[label],
            examples=int((dataset.labels == label).sum()),
            auc=None if interval is None else _estimate(interval),
        )
        for label, interval in found.items()
    ]


def _attack_result(outcome: AttackOutcome, paired: AttackOutcome | None, trials: int, design: Design) -> AttackResult:
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
            metric.name: _estimate(two_way_interval(outcome.metrics[metric.name], trials, metric.range))
            for metric in METRICS
        },
        per_target={key: numbers.per_target.tolist() for key, numbers in outcome.metrics.items()},
        single_targets=_single_targets(outcome, design),
        differences={key: change for key, change in differences.items() if change is not None},
        correct_guesses=outcome.correct_guesses,
        epsilon_lower_bound=outcome.epsilon_lower_bound,
        false_positives_allowed={
            tpr_name(level): int(false_positives_allowed(level, non_members)) for level in FPR_LEVELS
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
    first, second = ours.at([targets.index(one) for one in both]), theirs.at([their_targets.index(one) for one in both])
    return _estimate(two_way_interval(first - second, trials, CHANGE))


def _single_targets(outcome: AttackOutcome, design: Design) -> dict[str, list[Estimate]]:
    pairs = list(zip(outcome.scores, design.membership[outcome.targets], strict=True))
    found = {"auc": [_estimate(delong_interval(*pair)) for pair in pairs]}
    for level in FPR_LEVELS:
        found[tpr_name(level)] = [_estimate(tpr_interval(*pair, level)) for pair in pairs]
    return found


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


def _arrays(arms: list[AuditResult], audits: list[Audit], design: Design) -> Arrays:
    """Returns what lies behind the result; `membership` and `labels` are the study's, all else is by arm and attack."""
    arrays: Arrays = {"membership": design.membership, "labels": design.dataset.labels, "roc_fpr": ROC_GRID}
    for index, (arm, one) in enumerate(zip(arms, audits, strict=True)):
        arrays |= Samples.arrays(index, None, TEST_ACCURACY, one.test_accuracy)
        arrays[f"arm{index}/ranks"] = one.ranks.astype(np.float32)
        for result, outcome in zip(arm.attacks, one.outcomes, strict=True):
            arrays[f"arm{index}/{result.name}/scores"] = outcome.scores
            arrays[f"arm{index}/{result.name}/roc_tpr"] = np.asarray(outcome.mean_roc)
            for metric in ANALYSED:
                arrays |= Samples.arrays(index, result.name, metric, outcome.metrics[metric])
        for field in fields(one.exposure):
            arrays[f"arm{index}/exposure/{field.name}"] = getattr(one.exposure, field.name)
        shown = [exposed.example for exposed in arm.most_exposed]
        if design.pictures is not None:
            arrays[f"arm{index}/most_exposed_pictures"] = design.pictures[shown]
    return arrays
