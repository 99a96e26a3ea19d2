"""Estimate how long a comparison will take, and which effects it can detect.

A few training steps, queries and attacks are timed on this machine; no model is trained. A cell is
one study of the comparison, an arm is one noise scheme of a study, and a stack is a group of models
that are trained as one. All times are in seconds.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.analysis.detectable import AuditSize, Detectable, detectable
from mgaudit.analysis.verdict_metrics import fpr_of_verdict
from mgaudit.compute.parallel import jobs_on_cpu, pool_of
from mgaudit.compute.pool import Future, Pool
from mgaudit.settings.schemes import PLAIN
from mgaudit.storage.ensembles import ModelRecord, Outputs
from mgaudit.study.comparison import cell_name
from mgaudit.study.design import Design
from mgaudit.study.extras import Extra, extras_in
from mgaudit.study.mounting import SCORES_A_PROCESS, Mounting
from mgaudit.study.plan import Arm, Plan
from mgaudit.study.progress import Progress
from mgaudit.study.query import ArmOutputs
from mgaudit.study.questions import Question
from mgaudit.study.timing import (
    MountingTime,
    TimedTraining,
    Timing,
    TrainingTime,
    few_steps,
    mounting_time,
    query_seconds,
    second_time,
    started,
    steps_of,
    timed,
    training_time,
    untrained,
)
from mgaudit.study.train import TrainedArm, ensemble_folder, models_there
from mgaudit.study.trained_arm import audited_data, needs_of, planned_audit, questions_of
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import NoiseDraws, Queries
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.schemes.scheme import overrides
from mgaudit.targets.seeds import numpy_generator

# What a scheme does in every step; its other hooks change data or settings before the training.
STEP_HOOKS = ("extend", "inputs", "node_values", "weight_noise")


@dataclass(frozen=True)
class ArmTime:
    """The time for one arm.

    `models` is the number of its models, `there` is how many of them are in the cache already, and
    `training` are the seconds to train the others; None for a training function of which no model
    is kept.
    """

    label: str
    models: int
    there: int
    training: float | None


@dataclass(frozen=True)
class CellTime:
    """The time for one study; `auditing` are the seconds to query and attack all its models.

    `auditing` is None for training functions, whose attacks are not timed. `detectable` has the
    smallest effects that the study can detect, and `attacks` the attacks as in the settings.
    """

    name: str
    arms: list[ArmTime]
    auditing: float | None
    detectable: list[Detectable] = field(default_factory=list)
    attacks: list[str] = field(default_factory=list)

    @property
    def training(self) -> float | None:
        """The seconds of training; None if those of an arm are not known."""
        return _sum([arm.training for arm in self.arms])

    @property
    def seconds(self) -> float | None:
        """The seconds of training and auditing together; None if one of them is not known."""
        return _sum([self.auditing, self.training])


@dataclass(frozen=True)
class PlanTime:
    """The time for a grid; `starting` are the seconds until all workers train: plan and imports.

    `search_models` are the models that searches for settings train first, without their time.
    `memory` and `disk` are the bytes that the run needs at least, 0 where they are not known.
    """

    cells: list[CellTime]
    starting: float
    workers: int
    search_models: int = 0
    memory: float = 0.0
    disk: float = 0.0

    @property
    def seconds(self) -> float | None:
        """The seconds of all studies and of starting the workers; None if some are not known."""
        return _sum([self.starting, *(cell.seconds for cell in self.cells)])


def _sum(seconds: Sequence[float | None]) -> float | None:
    """Returns the sum of the seconds, or None if some are not known."""
    known = [number for number in seconds if number is not None]
    return sum(known) if len(known) == len(seconds) else None


def estimated(
    studies: Sequence[Plan], jobs: int, progress: Progress, planning: float = 0.0
) -> PlanTime:
    """Returns the time that the studies will take with `jobs` workers, without reports.

    Steps of each target under each kind of scheme, queries of one model, and attacks on two targets
    with random logits are timed. Each is timed once, in a worker, while the other workers time
    something else, because workers that work at once slow each other down. Nothing is kept.
    `planning` are the seconds that the plan took.
    """
    measure = _Measure(jobs, progress)
    measure.run([(arm, cell) for cell in studies for arm in cell.arms])
    cells = []
    for cell in studies:
        attacks = [attack.text for attack in cell.settings.attacks]
        times = measure.cell(cell)
        cells.append(CellTime(cell_name(cell), *times, _detectable(cell), attacks))
    return PlanTime(cells, planning + measure.starting, jobs)


def _detectable(cell: Plan) -> list[Detectable]:
    """Returns the smallest effects that the study can detect if all of its models converge.

    Examples that share a coin, such as exact copies, are counted once.
    """
    design = cell.design
    shared = 1.0
    if design.groups is not None:
        shared = len(design.groups.representatives) / len(design.groups.first)
    is_plain = [arm.settings.scheme.is_only(PLAIN) for arm in cell.arms]
    return detectable_effects(design.membership, shared, is_plain)


def detectable_effects(
    membership: NDArray[np.bool_], shared: float, is_plain: Sequence[bool]
) -> list[Detectable]:
    """Returns the smallest effects that a study with this membership can detect.

    Args:
        membership: Membership (models, examples), bool.
        shared: Number of coins for each example; less than 1 where examples share a coin.
        is_plain: Whether each arm is the plain one.
    """
    non_members = (~membership).sum(axis=1)
    fpr = fpr_of_verdict(int(non_members.min()))
    members = shared * float(membership.sum(axis=1).mean())
    has_plain = any(is_plain) and not all(is_plain)
    size = AuditSize(len(membership), members, shared * float(non_members.mean()))
    return detectable(size, fpr, len(is_plain) - has_plain, has_plain)


class _Measure:
    """Times training, queries and attacks, once for all arms of the same kind.

    `starting` are the seconds until the workers have started and have warmed up.
    """

    def __init__(self, jobs: int, progress: Progress) -> None:
        self.starting = 0.0
        self._jobs = jobs
        self._progress = progress
        # How many times as long as it computes a worker runs, because of others on the same cores.
        self._slowdown = self._attack_slowdown = 1.0
        self._training: dict[object, TrainingTime] = {}
        self._queries: dict[object, float] = {}
        self._attacks: dict[object, MountingTime] = {}
        self._gradients: dict[object, float] = {}
        self._mountings: dict[object, list[object]] = {}  # the kinds of an arm's mountings

    def run(self, arms: Sequence[tuple[Arm, Plan]]) -> None:
        """Times everything that the time of these arms, each of a study, follows from."""
        device = arms[0][1].design.device
        attack_jobs = jobs_on_cpu(self._jobs, device)
        is_on_gpu = device == "cuda"
        with ExitStack() as pools:
            pool = pools.enter_context(pool_of(self._jobs))
            attack_pool = pool
            if attack_jobs != self._jobs:
                attack_pool = pools.enter_context(pool_of(attack_jobs))
            self._start(pool)
            timings = _Timings(pool)
            for arm, cell in arms:
                self._submit_training(arm, cell, timings)
            if is_on_gpu:
                timings.run()
            attack_timings = _Timings(attack_pool) if is_on_gpu else timings
            for arm, cell in arms:
                self._submit_attacks(arm, cell, attack_timings)
            attack_timings.run()
        self._attack_slowdown = attack_timings.slowdown
        self._slowdown = 1.0 if is_on_gpu else timings.slowdown
        warming_up = sum(of_kind.warming_up for of_kind in self._training.values())
        self.starting += self._slowdown * warming_up / self._jobs

    def cell(self, cell: Plan) -> tuple[list[ArmTime], float]:
        """Returns the time of each arm of a study, and the seconds of querying and attacking."""
        there = [models_there(arm, cell.design) for arm in cell.arms]
        missing = [arm.settings.models - kept for arm, kept in zip(cell.arms, there, strict=True)]
        stacks = [
            math.ceil(models / arm.recipe.stack)
            for models, arm in zip(missing, cell.arms, strict=True)
        ]
        rounds = _rounds(stacks, self._jobs)
        arms, auditing = [], 0.0
        for arm, kept, models, of_arm in zip(cell.arms, there, missing, rounds, strict=True):
            of_arm *= self._slowdown
            training = of_arm * self._stack_seconds(arm, cell) if models else 0.0
            arms.append(ArmTime(arm.settings.label, arm.settings.models, kept, training))
            querying = sum(self._queries[kind] for kind, _ in _queries_of(arm, cell))
            auditing += of_arm * arm.recipe.stack * querying
            auditing += self._attacking(arm, cell)
        return arms, auditing

    def _start(self, pool: Pool) -> None:
        self._progress.stage("starting the workers")
        clock = time.perf_counter()
        for _ in range(pool.workers):
            pool.submit(started)
        for future in pool.completed():
            future.result()
        self.starting = time.perf_counter() - clock

    def _submit_training(self, arm: Arm, cell: Plan, timings: "_Timings") -> None:
        design, target = cell.design, arm.settings.target
        kind = _kind_of_training(arm, cell)
        if kind not in self._training and models_there(arm, design) < arm.settings.models:
            self._progress.stage(f"timing steps of {target}, {arm.settings.label}")
            timings.add(self._training, kind, training_time, _shortened(arm.recipe, design))
        for of_query, question in _queries_of(arm, cell):
            arguments = (arm.recipe, design.dataset, question, design.device)
            timings.add(self._queries, of_query, query_seconds, *arguments)

    def _submit_attacks(self, arm: Arm, cell: Plan, timings: "_Timings") -> None:
        kind = _kind_of_audit(arm, cell)
        if kind in self._mountings:
            return
        self._progress.stage(f"timing attacks on {arm.settings.target}")
        self._gradients[kind] = _gradient_seconds(arm, cell.design)
        mountings = _mountings(arm, cell)
        self._mountings[kind] = [_kind_of_mounting(mounting) for mounting in mountings]
        for of_mounting, mounting in zip(self._mountings[kind], mountings, strict=True):
            if _has_own(mounting):  # runs in this process, as in an audit
                self._attacks[of_mounting] = mounting_time(mounting)
            else:
                timings.add(self._attacks, of_mounting, mounting_time, mounting)

    def _stack_seconds(self, arm: Arm, cell: Plan) -> float:
        of_kind = self._training[_kind_of_training(arm, cell)]
        return of_kind.fixed + of_kind.step * steps_of(arm.recipe)

    def _attacking(self, arm: Arm, cell: Plan) -> float:
        kind, targets = _kind_of_audit(arm, cell), arm.settings.models
        has_own = any(choice.own_sha256 for choice in arm.settings.attacks)
        kinds = self._mountings[kind]
        scores = len(kinds) * targets * len(cell.design.dataset.labels)
        jobs = 1 if has_own else jobs_on_cpu(self._jobs, cell.design.device)
        workers = max(min(jobs, scores // SCORES_A_PROCESS), 1)
        seconds = sum(self._attacks[of_kind].seconds(targets, workers) for of_kind in kinds)
        return targets * self._gradients[kind] + self._attack_slowdown * seconds


class _Timings:
    """Timings that run as tasks of a pool, each kind once."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[Future[Timing], tuple[dict[object, Any], object]] = {}
        self._seconds = self._computing = 0.0

    @property
    def slowdown(self) -> float:
        """The time in which the tasks ran, divided by the time in which they computed."""
        return self._seconds / self._computing if self._computing > 0 else 1.0

    def add(
        self,
        times: dict[object, Any],
        kind: object,
        function: Callable[..., object],
        *arguments: object,
    ) -> None:
        """Adds `times[kind] = function(*arguments)`, unless this kind was added before."""
        if kind not in times:
            times[kind] = None
            future = self._pool.submit(timed, function, *arguments, name="a timing")
            self._waiting[future] = times, kind

    def run(self) -> None:
        """Runs what was added."""
        for future in self._pool.completed():
            times, kind = self._waiting.pop(future)
            timing = future.result()
            times[kind] = timing.value
            self._seconds += timing.seconds
            self._computing += timing.computing


def _rounds(stacks: Sequence[int], workers: int) -> list[float]:
    """Returns, for each arm with this many stacks, how many stacks a worker trains one by one.

    A worker that has no stack of an arm left trains one of the next arm, or attacks. With a single
    arm it waits.
    """
    if sum(number > 0 for number in stacks) == 1:
        return [math.ceil(number / workers) for number in stacks]
    return [number / workers for number in stacks]


def _kind_of_training(arm: Arm, cell: Plan) -> object:
    """Returns what the time of a step depends on."""
    recipe, data = arm.recipe, cell.design.dataset
    schemes = tuple(
        choice.name
        for choice, part in zip(arm.settings.scheme.parts, recipe.scheme.parts, strict=True)
        if any(overrides(part, hook) for hook in STEP_HOOKS)
    )
    training, plan = recipe.training, recipe.plan
    private = None if plan is None else (plan.batch_size, plan.views)
    sizes = (training.batch_size, training.augment, training.precision, training.clients)
    shapes = (data.inputs.shape, len(data.classes))
    return arm.settings.target, shapes, schemes, sizes, private, recipe.stack


def _queries_of(arm: Arm, cell: Plan) -> list[tuple[object, Question]]:
    """Returns what an arm's models are queried for, each with what its time depends on."""
    data = cell.design.dataset
    shapes = (data.inputs.shape, data.test_inputs.shape, len(data.classes))
    questions: list[tuple[object, Question]] = []
    for question in questions_of(arm, cell.arms):
        queries = question.queries
        schemes = tuple(type(part).__name__ for part in _noise_of(queries))
        words = (type(queries).__name__, queries.number, schemes, question.is_mean)
        questions.append(((arm.settings.target, shapes, words), question))
    return questions


def _noise_of(queries: Queries) -> Sequence[Scheme]:
    """Returns the schemes whose noise the queries draw."""
    return queries.scheme.parts if isinstance(queries, NoiseDraws) else ()


def _kind_of_audit(arm: Arm, cell: Plan) -> object:
    """Returns what the time of attacking an arm of the study depends on."""
    data = cell.design.dataset
    shapes = (data.inputs.shape, data.test_inputs.shape, len(data.classes))
    draws = None if arm.through is None else arm.through.count
    attacks = tuple(choice.text for choice in arm.settings.attacks)
    has_naive = _shadows_of_naive(arm, cell) is not None
    extras = [extra for extra in _extras(arm) if extra.per_example_gradients]
    target = arm.settings.target if extras else None
    models = arm.settings.models
    return target, models, shapes, arm.queries.number, draws, attacks, has_naive


def _kind_of_mounting(mounting: Mounting) -> object:
    """Returns what the time of the attacks on a target depends on."""
    observed = mounting.observations
    population = None if observed.population_logits is None else observed.population_logits.shape
    shapes = (observed.logits.shape, population)
    repeats = tuple(group is not None for group in mounting.groups)
    sides = tuple(len(of_attack) for of_attack in mounting.sides)
    attacks = tuple(choice.text for choice in mounting.attacks)
    is_naive = mounting.shadows is not None
    return attacks, shapes, repeats, sides, is_naive, mounting.in_detail


def _has_own(mounting: Mounting) -> bool:
    return any(choice.own_sha256 for choice in mounting.attacks)


def _shadows_of_naive(arm: Arm, cell: Plan) -> Arm | None:
    """Returns the plain arm of the study, whose models are the shadows of a naive adversary.

    Returns None for the plain arm itself, and in a study without a plain arm.
    """
    for other in cell.arms:
        if other.settings.scheme.is_only(PLAIN):
            return None if other is arm else other
    return None


def _shortened(recipe: Recipe, design: Design) -> TimedTraining:
    """Returns the training of one stack on only the examples that a few steps need."""
    membership = design.membership[: recipe.stack]
    if recipe.plan is None:  # DP-SGD keeps all members: its batches depend on their number
        enough = few_steps(recipe) * recipe.training.batch_size
        membership = membership & (membership.cumsum(axis=1) <= enough)
    used = np.flatnonzero(membership.any(axis=0))
    end = int(used[-1]) + 1
    data = design.dataset
    dataset = replace(
        data,
        inputs=data.inputs[:end],
        labels=data.labels[:end],
        origins=data.origins[:end],
        indices=data.indices[:end],
    )
    members = float(membership.sum(axis=1).mean())
    shortened = replace(recipe, members=members)
    return TimedTraining(shortened, dataset, membership[:, :end], design.device)


def _gradient_seconds(arm: Arm, design: Design) -> float:
    """Returns the seconds of the gradients of a model, which some attacks need, in this process."""
    model = _OneModel(untrained(arm.recipe, design.dataset))
    extras = [extra for extra in _extras(arm) if extra.per_example_gradients]
    return sum(
        second_time(partial(extra.compute, model, design), design.device) for extra in extras
    )


def _mountings(arm: Arm, cell: Plan) -> list[Mounting]:
    """Returns the attacks on an arm of the study, with random logits."""
    naive = _shadows_of_naive(arm, cell)
    outputs = _RandomOutputs.of(arm, cell.design)
    plain = None if naive is None else _RandomOutputs.of(naive, cell.design)
    return planned_audit(outputs, plain, audited_data(cell.design)).mountings


def _extras(arm: Arm) -> list[Extra]:
    """Returns the extras that the attacks on the arm need."""
    return extras_in(needs_of(arm.settings.attacks))


@dataclass(frozen=True)
class _OneModel:
    """The `Models` that extras are computed for: a single model, whose outputs are not kept."""

    ensemble: Ensemble
    converged: list[int] = field(default_factory=lambda: [0])

    def kept(
        self, what: str, inputs: tuple[str, ...], compute: Callable[[Ensemble], Outputs]
    ) -> Outputs:
        """Returns the outputs that `compute` has for the model."""
        return compute(self.ensemble)


@dataclass(frozen=True)
class _RandomOutputs(ArmOutputs):
    """Random logits of the right shape for an arm, so that an attack can be timed without training.

    The store is neither read nor written. `outputs` has, by name, the outputs of a model with its
    initial weights, repeated for every model of the arm.
    """

    outputs: dict[str, Outputs] = field(default_factory=dict)

    @classmethod
    def of(cls, arm: Arm, design: Design) -> "_RandomOutputs":
        """Returns outputs of an arm with all of its models recorded as converged."""
        record = ModelRecord("", {"diverged": False})
        records = [record] * arm.settings.models
        return cls(TrainedArm(arm, ensemble_folder(arm, design), records, 0), design)

    def logits(self, queries: Queries) -> Outputs:
        """Returns standard normal logits in the shapes of the logits of trained models."""
        data = self.design.dataset
        generator = numpy_generator(self.design.seed, "random answers")
        logits: Outputs = {}
        for split, examples in (("pool", len(data.labels)), ("test", len(data.test_labels))):
            shape = (len(self.converged), examples, queries.number, len(data.classes))
            logits[split] = generator.standard_normal(shape, np.float32)
        return logits

    def mean_logits(self, queries: Queries) -> Outputs:
        """Returns standard normal logits of one query."""
        return self.logits(Queries())

    def kept(
        self, what: str, inputs: tuple[str, ...], compute: Callable[[Ensemble], Outputs]
    ) -> Outputs:
        """Returns the outputs of a model with initial weights, once for every model of the arm."""
        if what not in self.outputs:
            models = len(self.converged)
            outputs = compute(untrained(self.trained.arm.recipe, self.design.dataset))
            self.outputs[what] = {
                split: np.repeat(values, models, 0) for split, values in outputs.items()
            }
        return self.outputs[what]
