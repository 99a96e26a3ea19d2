"""Audit outputs of models that mgaudit did not train, and summarise the audit as a study."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.analysis.limits import FEWEST_CANARIES, FEWEST_MODELS
from mgaudit.analysis.margins import Margins
from mgaudit.analysis.samples import analyse_study
from mgaudit.attacks import Observations
from mgaudit.attacks.intervals import Resampled, resample_counts
from mgaudit.attacks.jackknife import random_halves
from mgaudit.attacks.membership_layout import MembershipLayout, membership_layout
from mgaudit.attacks.references import ReferenceLimits
from mgaudit.outputs.checks import (
    blind_baseline,
    clipping,
    membership_check,
    success_by_group,
)
from mgaudit.outputs.model_outputs import ModelOutputs, ModelScores, OutputsArm
from mgaudit.outputs.possible_attacks import (
    left_out_attacks,
    missing,
    mounted_attacks,
    possible_attacks,
)
from mgaudit.outputs.resamples import check_members, with_members
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.input_checks import BlindBaseline, InputChecks
from mgaudit.reports.record import ChoiceRecord, NamedChoice
from mgaudit.reports.results import (
    PLAIN,
    AuditResult,
    DatasetSummary,
    LostArm,
    StudyResult,
    Times,
)
from mgaudit.settings.choices import Choice
from mgaudit.settings.study_settings import attack_choice
from mgaudit.study.attack import (
    AttackFacts,
    Audit,
    NaiveView,
    PlannedAudit,
    audit,
    audit_of,
    outcome_of,
)
from mgaudit.study.audited import Answers, AuditedArm, AuditedData
from mgaudit.study.mounting import measured
from mgaudit.study.progress import Progress
from mgaudit.study.provenance import outputs_provenance
from mgaudit.study.summarise import audit_results, metric_facts, study_arrays
from mgaudit.targets.fitting.privacy_plan import default_delta
from mgaudit.targets.seeds import numpy_generator

SHARED_COINS = (
    f"fewer than {FEWEST_CANARIES} examples have a coin of their own; the others share that of "
    "their group"
)
READY_MADE = AttackFacts(
    "scores", ChoiceRecord(name="scores"), "scores of the user", needs=frozenset()
)


@dataclass(frozen=True)
class OutputsSettings:
    """How outputs are audited, and how the study names them.

    Args:
        attacks: The attacks; None mounts the default ones that the outputs allow.
        targets: Indices of the attacked models; None attacks each model in turn.
        seed: Random seed of resamples, guesses and folds.
        models_from: Who made the models, as in `StudyResult`.
        model_name: The models, for readers.
        data_name: The data, for readers.
        data_sha256: SHA-256 of the content of data and outputs.
        own_coins: Whether mgaudit drew the membership, so that it needs no test.
        values: The settings as they go to the result and to settings.toml.
        notes: Further sentences for the reader.
        seconds_before: Seconds of the audit before the attacks, in which models were trained.
        training_seconds: Seconds of training of each arm, by its key.
        models_reused: Models of each arm that an earlier run trained, by its key.
    """

    attacks: Sequence[object] | None
    targets: list[int] | None
    seed: int
    models_from: Literal["function", "outputs", "checkpoint"]
    model_name: str
    data_name: str
    data_sha256: str
    own_coins: bool
    values: dict[str, Any]
    notes: tuple[str, ...] = ()
    seconds_before: float = 0.0
    training_seconds: Mapping[str, float] = field(default_factory=dict)
    models_reused: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputsPlan:
    """Outputs that were checked and can be audited.

    `arms` can be audited, `lost` have too few models. `layout` is how membership was drawn.
    """

    arms: list[OutputsArm]
    lost: list[OutputsArm]
    settings: OutputsSettings
    attacks: tuple[Choice, ...]
    data: AuditedData
    layout: MembershipLayout


def plan_outputs(
    arms: Sequence[OutputsArm], membership: NDArray[np.bool_], settings: OutputsSettings
) -> OutputsPlan:
    """Returns the plan: the layout of the membership is tested, and the attacks are chosen.

    Args:
        arms: The arms, which share labels, membership, inputs and groups.
        membership: Membership (models, examples), bool, also of models that failed.
        settings: How the outputs are audited.

    Raises:
        UsageError: For attacks that the outputs do not allow.
        RuntimeError: If too many models of every arm failed.
    """
    fewest = 1 if settings.models_from in ("outputs", "checkpoint") else FEWEST_MODELS
    kept = [arm for arm in arms if len(membership) - len(arm.failed) >= fewest]
    if settings.own_coins:  # the attacks were checked before the training, for all models
        kept = [arm for arm in kept if _allows(arm.outputs, settings.attacks)]
    keys = {arm.key for arm in kept}
    lost = [arm for arm in arms if arm.key not in keys]
    if not kept:
        raise RuntimeError(
            f"in every arm fewer than {FEWEST_MODELS} of {len(membership)} trainings succeeded"
        )
    targets = range(len(membership)) if settings.targets is None else settings.targets
    if not settings.own_coins:
        check_members(membership, targets, kept[0].outputs.groups)
    layout = _layout(membership, settings, kept[0].outputs.groups)
    data = _audited_data(kept[0].outputs, membership, targets, settings.seed, layout)
    attacks: tuple[Choice, ...] = ()
    for arm in kept:
        if isinstance(arm.outputs, ModelOutputs):
            attacks = mounted_attacks(settings.attacks, arm.outputs, layout.limits)
    return OutputsPlan(kept, lost, settings, attacks, data, layout)


def _allows(outputs: ModelOutputs | ModelScores, attacks: Sequence[object] | None) -> bool:
    """Returns whether enough models are left for all attacks."""
    assert isinstance(outputs, ModelOutputs)  # as those of training functions are
    choices = [attack_choice(attack) for attack in attacks or ()]
    return not any(missing(choice.built, outputs, None) for choice in choices)


def with_seconds_before(plan: OutputsPlan, seconds: float) -> OutputsPlan:
    """Returns the plan of an audit in which `seconds` have passed before the attacks."""
    return replace(plan, settings=replace(plan.settings, seconds_before=seconds))


def _layout(
    membership: NDArray[np.bool_], settings: OutputsSettings, groups: NDArray[np.int64] | None
) -> MembershipLayout:
    if settings.own_coins:
        layout = MembershipLayout([], None, "")
    else:
        targets = range(len(membership)) if settings.targets is None else settings.targets
        layout = membership_layout(membership, targets, groups)
    canaries = _canaries(groups)
    if not layout.reason and canaries is not None and len(canaries) < FEWEST_CANARIES:
        return replace(layout, reason=SHARED_COINS)
    return layout


def _audited_data(
    outputs: ModelOutputs | ModelScores,
    membership: NDArray[np.bool_],
    targets: Sequence[int],
    seed: int,
    layout: MembershipLayout,
) -> AuditedData:
    """Returns the data as the attacks use them; groups are resampled as a whole."""
    examples = membership.shape[1]
    needs_halves = bool(layout.reason) or outputs.groups is not None
    generator = numpy_generator(seed, "example resamples")
    unit_of_example = np.arange(examples)
    if outputs.groups is None:
        example_resamples = resample_counts(examples, generator)
    else:
        numbers, unit_of_example = np.unique(outputs.groups, return_inverse=True)
        example_resamples = resample_counts(len(numbers), generator)[:, unit_of_example]
    example_resamples = with_members(example_resamples, membership[list(targets)])
    test_resamples = None
    if isinstance(outputs, ModelOutputs) and outputs.population_labels is not None:
        generator = numpy_generator(seed, "test resamples")
        if outputs.population_groups is None:
            test_resamples = resample_counts(len(outputs.population_labels), generator)
        else:
            tests, group_of_test = np.unique(outputs.population_groups, return_inverse=True)
            test_resamples = resample_counts(len(tests), generator)[:, group_of_test]
    return AuditedData(
        labels=outputs.true_labels,
        classes=outputs.classes,
        origins=outputs.origins,
        membership=membership,
        expected_members=examples / 2,
        example_resamples=example_resamples,
        test_resamples=test_resamples,
        splits=random_halves(unit_of_example, numpy_generator(seed, "jackknife halves")),
        pictures=None,
        seed=seed,
        is_grouped=outputs.groups is not None,
        units=_units(outputs.groups),
        canaries=_canaries(outputs.groups),
        halves=_halves(outputs.groups, examples, seed) if needs_halves else None,
    )


def _units(groups: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """Returns the index of the first example of each group; None without groups."""
    return None if groups is None else np.unique(groups, return_index=True)[1]


def _canaries(groups: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """Returns the examples that are the only ones of their groups; None without groups."""
    if groups is None:
        return None
    _, group_of_example = np.unique(groups, return_inverse=True)
    is_single: NDArray[np.bool_] = np.bincount(group_of_example)[group_of_example] == 1
    return np.flatnonzero(is_single)


def _halves(groups: NDArray[np.int64] | None, examples: int, seed: int) -> NDArray[np.bool_]:
    """Returns whether an example is in the first random half (examples,); groups stay together.

    Halves by even and odd rows are no random halves where membership may depend on the order.
    """
    numbers = np.arange(examples) if groups is None else groups
    units, unit_of_example = np.unique(numbers, return_inverse=True)
    order = numpy_generator(seed, "halves").permutation(len(units))
    halves: NDArray[np.bool_] = (order % 2 == 0)[unit_of_example]
    return halves


def run_outputs(plan: OutputsPlan, progress: Progress, jobs: int = 1) -> tuple[StudyResult, Arrays]:
    """Returns the result of the study, and the arrays that it was computed from, by name.

    The models are attacked in `jobs` processes.
    """
    seconds_before = plan.settings.seconds_before
    started = datetime.now(UTC) - timedelta(seconds=seconds_before)
    clock = time.perf_counter() - seconds_before
    data = plan.data
    progress.stage("checking membership and sources")
    blind = _blind(plan)
    if blind is not None and blind.beats_chance and not plan.layout.reason:
        reason = "members and non-members differ without any model"
        plan = replace(plan, layout=replace(plan.layout, reason=reason))
    plain = next((arm for arm in plan.arms if arm.is_plain), None)
    audits = []
    for arm in plan.arms:
        progress.stage(f"{arm.label}: attacking")
        audits.append(_audit(arm, None if arm is plain else plain, plan, jobs))
    arms = audit_results(audits, data)
    arrays = study_arrays(arms, audits, data)
    progress.stage("summarising the attacks")
    checks = _checks(plan, audits, arms, blind)
    analysis = analyse_study(arms, arrays, Margins.of(plan.settings.values))
    seconds = time.perf_counter() - clock
    times = Times(
        started=started.isoformat(timespec="seconds"),
        seconds=seconds,
        training_seconds=dict(plan.settings.training_seconds),
        models_reused=dict(plan.settings.models_reused),
    )
    settings, outputs = plan.settings, plan.arms[0].outputs
    study = StudyResult(
        settings={**settings.values, "models": len(data.membership), "seed": settings.seed},
        target=NamedChoice(name=settings.models_from, label=settings.model_name),
        queries=_queries(outputs),
        dataset=_dataset(outputs, settings, data),
        metric_facts=metric_facts(),
        extras={},
        arms=arms,
        lost=[_lost(arm) for arm in plan.lost],
        analysis=analysis,
        provenance=outputs_provenance(),
        times=times,
        models_from=settings.models_from,
        checks=checks,
    )
    return study, arrays


def _audit(arm: OutputsArm, plain: OutputsArm | None, plan: OutputsPlan, jobs: int) -> Audit:
    """Returns the audit of an arm; with the plain arm, also by a naive adversary."""
    facts, data = _facts(arm, plan), plan.data
    if isinstance(arm.outputs, ModelScores):
        scores, membership = arm.outputs.scores[facts.target_rows], data.membership[facts.targets]
        outcome = outcome_of(READY_MADE, facts, data, measured(scores, membership, data))
        power: dict[int, dict[str, Resampled]] = {}
        return audit_of(facts, data, [outcome], None, power)
    limits = plan.layout.limits
    observations = arm.outputs.observations(limits)
    naive = None if plain is None else _naive_view(arm, plain, facts, limits)
    answers = _answers(arm.outputs)
    planned = PlannedAudit(facts, data, plan.attacks, observations, answers, naive)
    return audit(planned, jobs)


def _facts(arm: OutputsArm, plan: OutputsPlan) -> AuditedArm:
    models = [index for index in range(len(plan.data.membership)) if index not in arm.failed]
    targets = plan.settings.targets
    is_bound_valid = not plan.layout.reason
    return AuditedArm(
        key=arm.key,
        label=arm.label,
        scheme=[ChoiceRecord(name=PLAIN if arm.is_plain else arm.key)],
        sources=[],
        note="",
        strength=None,
        learning_rate=arm.learning_rate,
        claim=None,
        delta=default_delta(plan.data.expected_members) if is_bound_valid else None,
        diverged=list(arm.failed),
        models=models,
        targets=models if targets is None else targets,
    )


def _naive_view(
    arm: OutputsArm, plain: OutputsArm, facts: AuditedArm, limits: ReferenceLimits | None
) -> NaiveView | None:
    """Returns what an adversary sees whose shadow models are those of the plain arm."""
    if isinstance(arm.outputs, ModelScores) or isinstance(plain.outputs, ModelScores):
        return None
    targets = [index for index in facts.targets if index not in plain.failed]
    if len(targets) < FEWEST_MODELS:
        return None
    rows = [facts.models.index(index) for index in targets]
    observed = arm.outputs.observations(limits).of_models(rows)
    plain_rows = [index - sum(failed < index for failed in plain.failed) for index in targets]
    shadows: Observations = plain.outputs.observations(limits).of_models(plain_rows)
    return NaiveView(targets, observed, shadows)


def _answers(outputs: ModelOutputs) -> Answers | None:
    """Returns which predictions are correct, for the first query; None for confidences alone."""
    if outputs.only_confidences:
        return None
    predictions = outputs.logits[:, :, 0].argmax(axis=-1)
    tests = None
    if outputs.population_logits is not None:
        tests = outputs.population_logits[:, :, 0].argmax(axis=-1) == outputs.population_labels
    return Answers(predictions == outputs.labels, tests)


def _blind(plan: OutputsPlan) -> BlindBaseline | None:
    """Returns the blind baseline; None for membership that mgaudit drew."""
    if plan.settings.own_coins:
        return None
    outputs, targets = plan.arms[0].outputs, plan.settings.targets
    attacked = range(len(plan.data.membership)) if targets is None else targets
    return blind_baseline(plan.data, outputs.inputs, outputs.groups, attacked)


def _checks(
    plan: OutputsPlan,
    audits: Sequence[Audit],
    arms: list[AuditResult],
    blind: BlindBaseline | None,
) -> InputChecks:
    outputs, limits, data = plan.arms[0].outputs, plan.layout.limits, plan.data
    allowed, left_out, clipped = [], [], None
    if isinstance(outputs, ModelOutputs):
        mounted = {choice.name for choice in plan.attacks}
        possible = possible_attacks(outputs, limits)
        allowed = [name for name in possible if name not in mounted]
        left_out = left_out_attacks(outputs, limits)
        rows = audits[0].arm.target_rows
        clipped = clipping(outputs, limits, plan.attacks[0], arms[0], rows)
    return InputChecks(
        membership=membership_check(plan.layout),
        blind=blind,
        allowed=allowed,
        left_out=left_out,
        clipping=clipped,
        is_grouped=data.is_grouped,
        by_group=success_by_group(audits, data, outputs.groups),
        notes=list(plan.settings.notes),
    )


def _queries(outputs: ModelOutputs | ModelScores) -> NamedChoice:
    number = outputs.logits.shape[2] if isinstance(outputs, ModelOutputs) else 1
    if number == 1:
        return NamedChoice(name="plain", label="plain")
    return NamedChoice(name="several", label=f"{number} queries of the user")


def _dataset(
    outputs: ModelOutputs | ModelScores, settings: OutputsSettings, data: AuditedData
) -> DatasetSummary:
    shape = () if outputs.inputs is None else outputs.inputs.shape[1:]
    tests = 0 if data.test_resamples is None else data.test_resamples.shape[1]
    return DatasetSummary(
        name=settings.data_name,
        choice=ChoiceRecord(name=settings.data_name),
        sha256=settings.data_sha256,
        examples=data.membership.shape[1],
        test_examples=tests,
        input_shape=shape,
        classes=tuple(data.classes),
    )


def _lost(arm: OutputsArm) -> LostArm:
    record = ChoiceRecord(name=PLAIN if arm.is_plain else arm.key)
    return LostArm(
        key=arm.key, scheme=[record], sources=[], label=arm.label, diverged=list(arm.failed)
    )
