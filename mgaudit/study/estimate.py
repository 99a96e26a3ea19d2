"""Estimate how long a comparison will take, and which effects it can detect.

A few training steps, queries and attacks are timed on this machine; no model is trained. A cell is
one study of the comparison, an arm is one noise scheme of a study, and a stack is a group of models
that are trained as one. All times are in seconds.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mgaudit.analysis.detectable import AuditSize, Detectable, detectable
from mgaudit.analysis.verdict_metrics import fpr_of_verdict
from mgaudit.compute import parallel
from mgaudit.settings.schemes import PLAIN
from mgaudit.storage.ensembles import ModelRecord, Outputs
from mgaudit.study.attack import audit
from mgaudit.study.comparison import cell_name
from mgaudit.study.design import Design
from mgaudit.study.extras import Extra, extras_in
from mgaudit.study.plan import Arm, Plan
from mgaudit.study.progress import Progress
from mgaudit.study.query import ArmOutputs
from mgaudit.study.train import TrainedArm, ensemble_folder, models_there
from mgaudit.study.trained_arm import audited_data, needs_of, planned_audit
from mgaudit.study.worker import TimedTraining, seconds_of_training
from mgaudit.targets.fitting.recipe import Recipe, initial_model
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import numpy_generator

FEW, MANY = 10, 50  # steps of the two trainings that are timed
ROUNDS = 3  # how often both are timed; the median counts
LONG = 1.0  # seconds; if FEW steps take longer, MANY steps need no timing


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
    """The time for a grid; `starting` are the seconds until the worker processes have started.

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


def estimated(studies: Sequence[Plan], jobs: int, progress: Progress) -> PlanTime:
    """Returns the time that each of the studies will take with `jobs` workers, without reports.

    For training, steps of each target under each kind of scheme are timed in as many workers at
    once as will train. For auditing, one model is queried and one arm of random logits is attacked.
    Nothing is kept.
    """
    measure = _Measure(progress)
    cells = []
    for cell in studies:
        arms = [_arm_time(arm, cell.design, jobs, measure) for arm in cell.arms]
        auditing = sum(measure.auditing(arm, cell, jobs) for arm in cell.arms)
        attacks = [attack.text for attack in cell.settings.attacks]
        cells.append(CellTime(cell_name(cell), arms, auditing, _detectable(cell), attacks))
    return PlanTime(cells, measure.starting, jobs)


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


def _arm_time(arm: Arm, design: Design, jobs: int, measure: "_Measure") -> ArmTime:
    """Returns the time for an arm; no training time if all its models are in the cache."""
    models, there = arm.settings.models, models_there(arm, design)
    stacks = math.ceil((models - there) / arm.recipe.stack)
    seconds = 0.0
    if stacks:
        workers = min(jobs, stacks)
        rounds = math.ceil(stacks / workers)
        seconds = rounds * measure.stack_seconds(arm, design, workers)
    return ArmTime(arm.settings.label, models, there, seconds)


class _Measure:
    """Times training and auditing, once for all arms of the same kind.

    `starting` are the seconds until the workers have started, 0 until a training is timed.
    """

    def __init__(self, progress: Progress) -> None:
        self.starting = 0.0
        self._progress = progress
        self._steps: dict[object, tuple[float, float]] = {}
        self._audits: dict[object, float] = {}

    def stack_seconds(self, arm: Arm, design: Design, workers: int) -> float:
        """Returns the seconds for one stack of the arm if `workers` processes train at once."""
        recipe, data = arm.recipe, design.dataset
        target = arm.settings.target
        names = tuple(part.name for part in arm.settings.scheme.parts)
        kind = (target, data.input_shape, len(data.classes), names, recipe.stack, workers)
        if kind not in self._steps:
            self._progress.stage(f"timing steps of {target}, {' + '.join(names)}")
            if not self._steps:
                self.starting = _starting(recipe, design, workers)
            self._steps[kind] = _fixed_and_per_step(recipe, design, workers)
        fixed, per_step = self._steps[kind]
        return fixed + per_step * _steps(recipe)

    def auditing(self, arm: Arm, cell: Plan, jobs: int) -> float:
        """Returns the seconds of querying this arm of the study, and of attacking it in `jobs`."""
        data = cell.design.dataset
        target = arm.settings.target
        naive = _shadows_of_naive(arm, cell)
        shapes = (data.inputs.shape, data.test_inputs.shape, len(data.classes))
        draws = None if arm.through is None else arm.through.count
        kind = (target, shapes, arm.queries.number, draws, naive is None)
        if kind not in self._audits:
            self._progress.stage(f"timing queries and attacks of {target}")
            querying = _querying(arm, naive, cell.design)
            self._audits[kind] = querying + _attacking(arm, naive, cell, jobs)
        return self._audits[kind]


def _starting(recipe: Recipe, design: Design, workers: int) -> float:
    """Returns the seconds until the workers have started."""
    started = time.perf_counter()
    training = _seconds(_shortened(recipe, design, FEW), workers)
    return time.perf_counter() - started - training


def _shadows_of_naive(arm: Arm, cell: Plan) -> Arm | None:
    """Returns the plain arm of the study, whose models are the shadows of a naive adversary.

    Returns None for the plain arm itself, and in a study without a plain arm.
    """
    for other in cell.arms:
        if other.settings.scheme.is_only(PLAIN):
            return None if other is arm else other
    return None


def _steps(recipe: Recipe) -> int:
    """Returns the number of steps that train a model."""
    if recipe.plan is not None:
        return recipe.plan.steps
    training = recipe.training
    return training.last_epoch * training.steps_per_epoch(recipe.members)


def _fixed_and_per_step(recipe: Recipe, design: Design, workers: int) -> tuple[float, float]:
    """Returns the seconds of a stack's training outside of its steps, and the seconds of a step.

    Both follow from trainings of FEW and MANY steps, in that many workers at once.
    """
    few = _shortened(recipe, design, FEW)
    many = _shortened(recipe, design, MANY)
    few_steps, many_steps = _steps(few.recipe), _steps(many.recipe)
    first = _seconds(few, workers)  # warms up
    if first > LONG:
        return 0.0, _seconds(few, workers) / few_steps
    rounds = [(_seconds(few, workers), _seconds(many, workers)) for _ in range(ROUNDS)]
    short, long = (statistics.median(times) for times in zip(*rounds, strict=True))
    if long <= short:
        # Other work disturbed the timing. It disturbs the longer training less.
        return 0.0, long / many_steps
    per_step = (long - short) / (many_steps - few_steps)
    fixed = max(short - per_step * few_steps, 0.0)
    return fixed, per_step


def _shortened(recipe: Recipe, design: Design, steps: int) -> TimedTraining:
    """Returns the training of one stack for about `steps` steps, on only the examples it needs."""
    membership = design.membership[: recipe.stack]
    if recipe.plan is None:  # DP-SGD keeps all members: its batches depend on their number
        enough = FEW * recipe.training.batch_size
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
    epochs = max(round(steps / recipe.training.steps_per_epoch(members)), 1)
    training = replace(recipe.training, epochs=epochs, stop_epoch=None)
    plan = None if recipe.plan is None else replace(recipe.plan, steps=steps)
    shortened = replace(recipe, training=training, plan=plan, members=members)
    return TimedTraining(shortened, dataset, membership[:, :end], design.device)


def _seconds(timed: TimedTraining, workers: int) -> float:
    """Returns the seconds of the training, the mean over `workers` processes that train at once."""
    seconds = parallel.run(seconds_of_training, [timed] * workers, workers)
    return float(np.mean(list(seconds)))


def _querying(arm: Arm, naive: Arm | None, design: Design) -> float:
    """Returns the seconds to query the models of an arm, and the shadows of a naive adversary.

    `naive` is the arm with these shadows; None if there is no naive adversary.
    """
    ensemble = _untrained(arm, design)
    seconds = _query_seconds(ensemble, Queries(), arm.recipe.seed, design)  # for accuracy
    if arm.queries != Queries():
        arms = 1 if naive is None else 2
        seconds += arms * _query_seconds(ensemble, arm.queries, arm.recipe.seed, design)
    if arm.through is not None:
        arms = 1 if naive is None else 2
        seconds += arms * _query_seconds(ensemble, arm.through, arm.recipe.seed, design)
    model = _OneModel(ensemble)
    for extra in _extras(arm):
        # Extras of the data alone are part of the time of attacking.
        if extra.per_example_gradients:
            compute = partial(extra.compute, model, design)
            seconds += _second_time(compute)
    return arm.settings.models * seconds


def _query_seconds(ensemble: Ensemble, queries: Queries, seed: int, design: Design) -> float:
    """Returns the seconds of querying the ensemble for all audited examples and test examples."""
    data = design.dataset

    def query() -> None:
        for inputs in (data.inputs, data.test_inputs):
            ensemble.logits(inputs, design.device, queries, seed)

    return _second_time(query)


def _untrained(arm: Arm, design: Design) -> Ensemble:
    """Returns one model of the arm with its initial weights."""
    data = design.dataset
    model = initial_model(arm.recipe.target, data.input_shape, len(data.classes), seed=0)
    weights = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    return Ensemble(model, [weights], arm.recipe.traits)


def _attacking(arm: Arm, naive: Arm | None, cell: Plan, jobs: int) -> float:
    """Returns the seconds of attacking an arm of the study `cell`, with random logits.

    `naive` is the arm with the shadows of a naive adversary; None if there is none.
    """
    outputs = _RandomOutputs.of(arm, cell.design)
    plain = None if naive is None else _RandomOutputs.of(naive, cell.design)
    for extra in _extras(arm):
        extra.compute(outputs, cell.design)
    started = time.perf_counter()
    audit(planned_audit(outputs, plain, audited_data(cell.design)), jobs)
    return time.perf_counter() - started


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
            outputs = compute(_untrained(self.trained.arm, self.design))
            self.outputs[what] = {
                split: np.repeat(values, models, 0) for split, values in outputs.items()
            }
        return self.outputs[what]


def _second_time(work: Callable[[], object]) -> float:
    """Returns the seconds of the second call, which does not include any warming up."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
