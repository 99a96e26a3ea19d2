"""How long a comparison will take: a few steps, queries and attacks timed on this machine, without any training."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

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
from mgaudit.study.worker import TimedTraining, seconds_of_training
from mgaudit.targets.fitting.recipe import Recipe, initial_model
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Queries
from mgaudit.targets.seeds import numpy_generator

FEW, MANY = 10, 50  # steps
ROUNDS = 3
LONG = 1.0  # seconds; a run of FEW steps that takes longer says enough


@dataclass(frozen=True)
class ArmTime:
    """An arm of the plan: its models, how many `there` are already, and the seconds that training the others takes."""

    label: str
    models: int
    there: int
    training: float


@dataclass(frozen=True)
class CellTime:
    """A study of the plan; `auditing` are the seconds of querying and attacking in all of its arms."""

    name: str
    arms: list[ArmTime]
    auditing: float

    @property
    def seconds(self) -> float:
        """The whole of it."""
        return self.auditing + sum(arm.training for arm in self.arms)


@dataclass(frozen=True)
class PlanTime:
    """A grid of studies; `starting` is the time in seconds until the `workers` have started."""

    cells: list[CellTime]
    starting: float
    workers: int

    @property
    def seconds(self) -> float:
        """The whole of it."""
        return self.starting + sum(cell.seconds for cell in self.cells)


def estimated(studies: Sequence[Plan], jobs: int, progress: Progress) -> PlanTime:
    """Returns the time that each of the studies will take with that many workers, reports not counted.

    Training: steps of each target under each kind of scheme are timed in as many workers at once as will train.
    Auditing: one model is queried, and one arm of random answers is attacked. Nothing is kept.
    """
    measure = _Measure(progress)
    cells = [
        CellTime(
            cell_name(cell),
            [_arm_time(arm, cell.design, jobs, measure) for arm in cell.arms],
            sum(measure.auditing(arm, cell) for arm in cell.arms),
        )
        for cell in studies
    ]
    return PlanTime(cells, measure.starting, jobs)


def _arm_time(arm: Arm, design: Design, jobs: int, measure: "_Measure") -> ArmTime:
    models, there = arm.settings.models, models_there(arm, design)
    stacks = math.ceil((models - there) / arm.recipe.stack)
    seconds = 0.0
    if stacks:
        workers = min(jobs, stacks)
        seconds = math.ceil(stacks / workers) * measure.stack_seconds(arm, design, workers)
    return ArmTime(arm.settings.label, models, there, seconds)


class _Measure:
    """Times what has not been timed yet in a study of the same kind."""

    def __init__(self, progress: Progress) -> None:
        self.starting = 0.0
        self._progress = progress
        self._steps: dict[object, tuple[float, float]] = {}
        self._audits: dict[object, float] = {}

    def stack_seconds(self, arm: Arm, design: Design, workers: int) -> float:
        """Returns the seconds that training one stack of the arm takes."""
        recipe, data = arm.recipe, design.dataset
        names = tuple(part.name for part in arm.settings.scheme.parts)
        kind = (
            arm.settings.target,
            data.input_shape,
            len(data.classes),
            names,
            recipe.stack,
            workers,
        )
        if kind not in self._steps:
            self._progress.stage(f"timing steps of {arm.settings.target}, {' + '.join(names)}")
            if not self._steps:
                started = time.perf_counter()
                trained = _seconds(_shortened(recipe, design, FEW), workers)
                self.starting = time.perf_counter() - started - trained
            self._steps[kind] = _fixed_and_per_step(recipe, design, workers)
        fixed, per_step = self._steps[kind]
        return fixed + per_step * _steps(recipe)

    def auditing(self, arm: Arm, cell: Plan) -> float:
        """Returns the seconds that querying and attacking this arm of the study takes."""
        data = cell.design.dataset
        plain = next((one for one in cell.arms if one.settings.scheme.is_only(PLAIN)), None)
        naive = None if arm is plain else plain
        shapes = (data.inputs.shape, data.test_inputs.shape, len(data.classes))
        kind = (arm.settings.target, shapes, arm.queries.number, naive is None)
        if kind not in self._audits:
            self._progress.stage(f"timing queries and attacks of {arm.settings.target}")
            self._audits[kind] = _querying(arm, naive, cell.design) + _attacking(arm, naive, cell)
        return self._audits[kind]


def _steps(recipe: Recipe) -> int:
    """Returns the steps that a model takes."""
    if recipe.plan is not None:
        return recipe.plan.steps
    return recipe.training.last_epoch * recipe.training.steps_per_epoch(recipe.members)


def _fixed_and_per_step(recipe: Recipe, design: Design, workers: int) -> tuple[float, float]:
    """Returns the seconds of a stack's training that its steps have no part in, and the seconds of a step."""
    few, many = (_shortened(recipe, design, steps) for steps in (FEW, MANY))
    first = _seconds(few, workers)  # warms up
    if first > LONG:
        return 0.0, _seconds(few, workers) / _steps(few.recipe)
    rounds = [(_seconds(few, workers), _seconds(many, workers)) for _ in range(ROUNDS)]
    short, long = (statistics.median(times) for times in zip(*rounds, strict=True))
    if long <= short:  # on a busy machine, and the longer one is the less disturbed
        return 0.0, long / _steps(many.recipe)
    per_step = (long - short) / (_steps(many.recipe) - _steps(few.recipe))
    return max(short - per_step * _steps(few.recipe), 0.0), per_step


def _shortened(recipe: Recipe, design: Design, steps: int) -> TimedTraining:
    """Returns the training of one stack cut down to about that many steps, on no more examples than they take."""
    batch, size = recipe.training.batch_size, recipe.stack
    rows = design.membership[:size]
    if recipe.plan is None:
        rows = rows & (rows.cumsum(axis=1) <= FEW * batch)
    last = int(np.flatnonzero(rows.any(axis=0))[-1]) + 1
    data = design.dataset
    dataset = replace(
        data, inputs=data.inputs[:last], labels=data.labels[:last], origins=data.origins[:last]
    )
    members = float(rows.sum(axis=1).mean())
    once = recipe.training.steps_per_epoch(members)
    training = replace(recipe.training, epochs=max(round(steps / once), 1), stop_epoch=None)
    plan = None if recipe.plan is None else replace(recipe.plan, steps=steps)
    return TimedTraining(
        replace(recipe, training=training, plan=plan, members=members),
        dataset,
        rows[:, :last],
        design.device,
    )


def _seconds(timed: TimedTraining, workers: int) -> float:
    """Returns the mean seconds of the training in that many workers at once."""
    return float(np.mean(list(parallel.run(seconds_of_training, [timed] * workers, workers))))


def _querying(arm: Arm, naive: Arm | None, design: Design) -> float:
    """Returns the seconds that the models of an arm take to answer, and those of a naive adversary's shadows."""
    data, recipe = design.dataset, arm.recipe
    ensemble = _untrained(arm, design)

    def asked(queries: Queries) -> None:
        for inputs in (data.inputs, data.test_inputs):
            ensemble.logits(inputs, design.device, queries, recipe.seed)

    seconds = _second_time(lambda: asked(Queries()))  # accuracy comes of them
    if arm.queries != Queries():
        seconds += _second_time(lambda: asked(arm.queries)) * (1 if naive is None else 2)
    for extra in _extras(arm):
        if extra.per_example_gradients:  # those of the data alone are in the time of attacking
            one = _OneModel(ensemble)
            seconds += _second_time(lambda extra=extra, one=one: extra.compute(one, design))  # type: ignore[misc]
    return arm.settings.models * seconds


def _untrained(arm: Arm, design: Design) -> Ensemble:
    """Returns one model of the arm with its initial weights."""
    data = design.dataset
    model = initial_model(arm.recipe.target, data.input_shape, len(data.classes), seed=0)
    return Ensemble(
        model, [{name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}]
    )


def _attacking(arm: Arm, naive: Arm | None, cell: Plan) -> float:
    """Returns the seconds that attacking an arm takes, by an adaptive adversary and by a naive one."""
    ours = _RandomOutputs.of(arm, cell.design)
    theirs = None if naive is None else _RandomOutputs.of(naive, cell.design)
    for extra in _extras(arm):
        extra.compute(ours, cell.design)
    started = time.perf_counter()
    audit(ours, theirs)
    return time.perf_counter() - started


def _extras(arm: Arm) -> list[Extra]:
    return extras_in(need for attack in arm.settings.attacks for need in attack.built.needs)


@dataclass(frozen=True)
class _OneModel:
    """An ensemble of a single model, of which nothing is kept."""

    ensemble: Ensemble
    converged: list[int] = field(default_factory=lambda: [0])

    def kept(
        self, what: str, inputs: tuple[str, ...], compute: Callable[[Ensemble], Outputs]
    ) -> Outputs:
        """Returns what is computed of the model."""
        return compute(self.ensemble)


@dataclass(frozen=True)
class _RandomOutputs(ArmOutputs):
    """Random logits of the right shape for an arm, so that an attack can be timed without training.

    Nothing is read from the store or kept there. `outputs` holds, by name, what was computed once on a model with
    initial weights and repeated for every model of the arm.
    """

    outputs: dict[str, Outputs] = field(default_factory=dict)

    @classmethod
    def of(cls, arm: Arm, design: Design) -> "_RandomOutputs":
        """Returns outputs of an arm with all of its models recorded as converged."""
        record = ModelRecord("", {"diverged": False})
        return cls(
            TrainedArm(arm, ensemble_folder(arm, design), [record] * arm.settings.models, 0), design
        )

    def logits(self, queries: Queries) -> Outputs:
        """Returns standard normal logits in the shapes of the logits of trained models."""
        data, generator = self.design.dataset, numpy_generator(self.design.seed, "random answers")
        shape = (queries.number, len(data.classes))
        models = len(self.converged)
        return {
            "pool": generator.standard_normal((models, len(data.labels), *shape), np.float32),
            "test": generator.standard_normal((models, len(data.test_labels), *shape), np.float32),
        }

    def kept(
        self, what: str, inputs: tuple[str, ...], compute: Callable[[Ensemble], Outputs]
    ) -> Outputs:
        """Returns what is computed on one model with initial weights, repeated for every model of the arm."""
        if what not in self.outputs:
            ensemble, models = _untrained(self.trained.arm, self.design), len(self.converged)
            self.outputs[what] = {
                split: np.repeat(values, models, 0) for split, values in compute(ensemble).items()
            }
        return self.outputs[what]


def _second_time(work: Callable[[], object]) -> float:
    """Returns the seconds that the work takes when it is done again."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
