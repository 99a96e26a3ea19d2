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

from mgaudit.analysis.detectable import Detectable
from mgaudit.compute.parallel import jobs_on_cpu, pool_of
from mgaudit.compute.pool import Future, Pool
from mgaudit.settings.schemes import PLAIN
from mgaudit.storage.ensembles import ModelRecord, Outputs
from mgaudit.study.comparison import cell_name
from mgaudit.study.design import Design
from mgaudit.study.kinds_of_work import (
    extras_of,
    kind_of_audit,
    kind_of_mounting,
    kind_of_training,
    queries_of,
    shadows_of_naive,
)
from mgaudit.study.mounting import SCORES_A_PROCESS, Mounting
from mgaudit.study.plan import Arm, Plan
from mgaudit.study.plan_time import ArmTime, CellTime, PlanTime, detectable_effects
from mgaudit.study.progress import Progress
from mgaudit.study.query import ArmOutputs
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
from mgaudit.study.trained_arm import audited_data, planned_audit
from mgaudit.targets.fitting.recipe import Recipe
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import numpy_generator

# Seconds, about: the first plan of a process took 3.4 s of a core, and others 0.2 to 0.5 s.
ACCOUNTANT_IMPORTS = 3.0
ACCOUNTANTS_OF_A_PLAN = 0.3


def estimated(
    studies: Sequence[Plan], jobs: int, progress: Progress, planning: float = 0.0
) -> PlanTime:
    """Returns the time that the studies will take with `jobs` workers, without reports.

    Steps of each target under each kind of scheme, queries of one model, and attacks on two targets
    with random logits are timed. Each is timed once, in a worker, while the other workers time
    something else, because workers that work at once slow each other down. Nothing is kept.
    `planning` are the seconds that the plan took, without the accountants of DP-SGD.
    """
    measure = _Measure(jobs, progress)
    arms = [(arm, cell) for cell in studies for arm in cell.arms]
    measure.run(arms)
    planning += _accountant_seconds([arm for arm, _ in arms])
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


def _accountant_seconds(arms: Sequence[Arm]) -> float:
    """Returns about how long the accountants will take that `plan_without_accountants` leaves out.

    They are not timed, because that would take as long as all other timings together.
    """
    plans = [arm.recipe.plan for arm in arms if arm.recipe.plan is not None]
    to_compute = len({repr(plan) for plan in plans if not plan.accountant})
    return ACCOUNTANT_IMPORTS + ACCOUNTANTS_OF_A_PLAN * to_compute if to_compute else 0.0


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
            attack_timings = _Timings(attack_pool)
            timings = _Timings(pool) if is_on_gpu else attack_timings
            for arm, cell in arms:  # first, because they take longest
                self._submit_attacks(arm, cell, attack_timings)
            if is_on_gpu:  # the pool may be the same one
                attack_timings.run()
            for arm, cell in arms:
                self._submit_training(arm, cell, timings)
            timings.run()
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
            querying = sum(self._queries[kind] for kind, _ in queries_of(arm, cell))
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
        kind = kind_of_training(arm, cell)
        if kind not in self._training and models_there(arm, design) < arm.settings.models:
            self._progress.stage(f"timing steps of {target}, {arm.settings.label}")
            timings.add(self._training, kind, training_time, _shortened(arm.recipe, design))
        for of_query, question in queries_of(arm, cell):
            arguments = (arm.recipe, design.dataset, question, design.device)
            timings.add(self._queries, of_query, query_seconds, *arguments)

    def _submit_attacks(self, arm: Arm, cell: Plan, timings: "_Timings") -> None:
        kind = kind_of_audit(arm, cell)
        if kind in self._mountings:
            return
        self._progress.stage(f"timing attacks on {arm.settings.target}")
        self._gradients[kind] = _gradient_seconds(arm, cell.design)
        mountings = _mountings(arm, cell)
        self._mountings[kind] = [kind_of_mounting(mounting) for mounting in mountings]
        for of_mounting, mounting in zip(self._mountings[kind], mountings, strict=True):
            if _has_own(mounting):  # runs in this process, as in an audit
                self._attacks[of_mounting] = mounting_time(mounting)
            else:
                timings.add(self._attacks, of_mounting, mounting_time, mounting)

    def _stack_seconds(self, arm: Arm, cell: Plan) -> float:
        of_kind = self._training[kind_of_training(arm, cell)]
        return of_kind.fixed + of_kind.step * steps_of(arm.recipe)

    def _attacking(self, arm: Arm, cell: Plan) -> float:
        kind, targets = kind_of_audit(arm, cell), arm.settings.models
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


def _has_own(mounting: Mounting) -> bool:
    return any(choice.own_sha256 for choice in mounting.attacks)


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
    extras = [extra for extra in extras_of(arm) if extra.per_example_gradients]
    return sum(
        second_time(partial(extra.compute, model, design), design.device) for extra in extras
    )


def _mountings(arm: Arm, cell: Plan) -> list[Mounting]:
    """Returns the attacks on an arm of the study, with random logits."""
    naive = shadows_of_naive(arm, cell)
    outputs = _RandomOutputs.of(arm, cell.design)
    plain = None if naive is None else _RandomOutputs.of(naive, cell.design)
    return planned_audit(outputs, plain, audited_data(cell.design)).mountings


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
