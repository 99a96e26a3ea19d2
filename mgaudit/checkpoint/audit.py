"""Audit a checkpoint: train the shadow models, query all models, attack the target."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.checkpoint.match import shadow_match
from mgaudit.checkpoint.plan import CheckpointPlan, arm_of, planned_outputs
from mgaudit.compute.parallel import jobs_on_cpu
from mgaudit.errors import UsageError
from mgaudit.outputs.model_outputs import ModelOutputs
from mgaudit.outputs.possible_attacks import left_out_attacks, possible_attacks
from mgaudit.outputs.study import OutputsPlan, run_outputs
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.input_checks import InputChecks
from mgaudit.reports.results import StudyResult, Times
from mgaudit.storage.checksums import arrays_sha256
from mgaudit.storage.ensembles import Outputs
from mgaudit.study.design import Design
from mgaudit.study.extras import EXTRAS, Values, extras_in
from mgaudit.study.progress import Progress
from mgaudit.study.provenance import provenance
from mgaudit.study.query import ArmOutputs
from mgaudit.study.study_record import dataset_summary, queries_record, target_record
from mgaudit.study.train import TrainedArm, train_arm
from mgaudit.study.trained_arm import needs_of
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Queries


@dataclass(frozen=True)
class _OneModel:
    """The target as a group of models whose outputs are not kept."""

    ensemble: Ensemble
    converged: tuple[int, ...] = (0,)

    def kept(
        self, what: str, inputs: tuple[str, ...], compute: Callable[[Ensemble], Outputs]
    ) -> Outputs:
        """Returns the outputs of the target."""
        return compute(self.ensemble)


def run_checkpoint_audit(
    plan: CheckpointPlan, jobs: int, progress: Progress
) -> tuple[StudyResult, Arrays]:
    """Returns the result of the audit, and the arrays that it was computed from, by name.

    The shadow models are trained, and the target attacked, in `jobs` processes. The models are kept
    and reused like all models.

    Raises:
        RuntimeError: If too few shadow models converged for an attack.
        ValueError: For outputs of the target that are not finite.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    trained = train_arm(plan.arm, plan.design, jobs, progress)
    if not trained.converged:
        raise RuntimeError(
            f"none of {plan.settings.models} shadow models converged; try a lower --learning-rate"
        )
    progress.stage(f"{plan.target.name}: querying the models")
    shadows = ArmOutputs(trained, plan.design)
    outputs = _outputs(plan, shadows)
    planned = _planned(plan, outputs, trained)
    attacking = jobs_on_cpu(jobs, plan.design.device)
    study, arrays = run_outputs(planned, progress, attacking)
    checks = _checks(plan, shadows, outputs, planned, study)
    times = Times(
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        training_seconds={study.arms[0].key: sum(fact["seconds"] for fact in trained.facts)},
        models_reused={study.arms[0].key: trained.models_reused},
    )
    return _with_facts(study, plan, checks, times), arrays


def _planned(plan: CheckpointPlan, outputs: ModelOutputs, trained: TrainedArm) -> OutputsPlan:
    """Returns the plan of the attacks; a shadow model that diverged has no outputs."""
    failed = [1 + index for index in trained.diverged]
    try:
        return planned_outputs(plan, arm_of(plan, outputs, failed))
    except UsageError as error:  # the attacks were possible with all shadow models
        raise RuntimeError(
            f"only {len(trained.converged)} of {plan.settings.models} shadow models converged: "
            f"{error}; try a lower --learning-rate"
        ) from error


def _outputs(plan: CheckpointPlan, shadows: ArmOutputs) -> ModelOutputs:
    """Returns the outputs of the target and then of the shadow models that converged."""
    design, rows = plan.design, plan.rows
    dataset = design.dataset
    logits = _both_logits(plan, shadows, plan.arm.queries)
    extras, population_extras = _extras(plan, shadows)
    models = [0, *(1 + index for index in shadows.converged)]
    return ModelOutputs(
        logits=logits["pool"],
        labels=dataset.labels[rows],
        membership=plan.membership[models],
        population_logits=logits["test"],
        population_labels=dataset.test_labels,
        true_labels=dataset.labels[rows],
        classes=dataset.classes,
        origins=tuple(dataset.origins[row] for row in rows),
        inputs=dataset.inputs[rows],
        groups=plan.groups,
        extras=extras,
        population_extras=population_extras,
    )


def _both_logits(plan: CheckpointPlan, shadows: ArmOutputs, queries: Queries) -> Outputs:
    """Returns logits of the target and of the shadows, for audited examples and the test split.

    Queries are drawn for all examples, so that they are the same for all models.
    """
    ensemble, seed = plan.ensemble(), plan.settings.seed
    of_shadows = shadows.logits(queries)
    logits = {}
    for split, inputs in (("pool", plan.target.inputs), ("test", plan.target.test_inputs)):
        of_target = ensemble.logits(inputs, plan.design.device, queries, seed)
        _refuse_infinite(of_target, split)
        logits[split] = np.concatenate([of_target, of_shadows[split]])
    logits["pool"] = logits["pool"][:, plan.rows]
    return logits


def _refuse_infinite(logits: NDArray[np.float32], split: str) -> None:
    """Raises ValueError for logits (1, examples, queries, classes) that are not finite."""
    finite = np.isfinite(logits[0]).all(axis=(1, 2))
    if not finite.all():
        raise ValueError(
            "the outputs of the checkpoint must be finite, got NaN or infinity for example "
            f"{int((~finite).argmax())} of {split}; check its inputs"
        )


def _extras(plan: CheckpointPlan, shadows: ArmOutputs) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what the attacks need beside logits, of examples and of the population, by name."""
    target_design = _design_of_target(plan)
    of_examples, of_population = {}, {}
    for extra in extras_in(needs_of(plan.arm.settings.attacks)):
        # Features are of the data and not of a model, so they are those of the shadow models.
        design = target_design if extra.per_example_gradients else plan.design
        target = _OneModel(plan.ensemble())
        of_target, of_shadows = extra.compute(target, design), extra.compute(shadows, plan.design)
        values = _joined(of_target, of_shadows)
        of_examples[extra.name] = values.of_examples[:, plan.rows]
        if values.of_population is not None:
            of_population[extra.name] = values.of_population
    return of_examples, of_population


def _design_of_target(plan: CheckpointPlan) -> Design:
    dataset = replace(
        plan.design.dataset, inputs=plan.target.inputs, test_inputs=plan.target.test_inputs
    )
    return replace(plan.design, dataset=dataset)


def _joined(first: Values, second: Values) -> Values:
    of_examples = np.concatenate([first.of_examples, second.of_examples])
    if first.of_population is None or second.of_population is None:
        return Values(of_examples)
    return Values(of_examples, np.concatenate([first.of_population, second.of_population]))


def _checks(
    plan: CheckpointPlan,
    shadows: ArmOutputs,
    outputs: ModelOutputs,
    planned: OutputsPlan,
    study: StudyResult,
) -> InputChecks:
    """Returns the checks, with the comparison of the target and its shadow models.

    Attacks that need extras are possible too: extras are computed if an attack needs them.
    """
    assert study.checks is not None  # run_outputs makes them
    # The models are compared on the examples as they are, whatever the attacks query.
    logits = outputs.logits
    if plan.arm.queries != Queries():
        logits = _both_logits(plan, shadows, Queries())["pool"]
    match = shadow_match(logits[:, :, 0], outputs.labels, outputs.membership)
    models, examples = outputs.logits.shape[:2]
    tests = len(plan.design.dataset.test_labels)
    zero = np.zeros((), dtype=np.float32)
    with_extras = replace(
        outputs,
        extras={name: np.broadcast_to(zero, (models, examples)) for name in EXTRAS},
        population_extras={name: np.broadcast_to(zero, (models, tests)) for name in EXTRAS},
    )
    limits = planned.layout.limits
    mounted = {choice.name for choice in planned.attacks}
    possible = [name for name in possible_attacks(with_extras, limits) if name not in mounted]
    left_out = left_out_attacks(with_extras, limits)
    changes = {"match": match, "allowed": possible, "left_out": left_out}
    return study.checks.model_copy(update=changes)


def _with_facts(
    study: StudyResult, plan: CheckpointPlan, checks: InputChecks, times: Times
) -> StudyResult:
    """Returns the result with what is known of the target, the data and the shadow models."""
    settings, dataset = plan.settings, plan.design.dataset
    summary = dataset_summary(settings.dataset, plan.design)
    facts = {
        "checkpoint": plan.target.name if plan.target.path is None else str(plan.target.path),
        "checkpoint_sha256": arrays_sha256(plan.target.weights),
        "members": int(plan.membership[0].sum()),
        "non_members": int((~plan.membership[0]).sum()),
        "training_examples": len(dataset.labels),
    }
    extras = extras_in(needs_of(settings.attacks))
    changes = {
        "settings": {**facts, **settings.as_dict()},
        "target": target_record(settings.target),
        "queries": queries_record(settings.queries),
        "dataset": summary.model_copy(update={"examples": len(plan.rows)}),
        "extras": {extra.name: extra.sentence for extra in extras},
        "provenance": provenance(plan.design.device),
        "times": times,
        "checks": checks,
    }
    return study.model_copy(update=changes)
