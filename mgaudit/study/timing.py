"""The work of a worker for an estimate: it times short trainings, queries and attacks.

Nothing is kept. A stack is a group of models that are trained as one. All times are in seconds. On
a CPU they are those in which the process computed, so that other processes on the same cores do not
change them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.study.mounting import Mounting, mount_part
from mgaudit.study.questions import Question
from mgaudit.study.risk import most_halved
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, initial_model, train
from mgaudit.targets.querying.ensemble import Ensemble

FEW, FEW_PRIVATE = 10, 2  # steps of the shorter training, and of that with DP-SGD
MOST_LONGER = 5  # how many times as many steps the longer training has, at most
ENOUGH = 0.15  # seconds; what has been timed for as long is not timed again
ROUNDS = 3  # how often the shorter and the longer training are timed, at most


@dataclass(frozen=True)
class TimedTraining:
    """One stack whose training is timed; `membership` is (models, examples), bool."""

    recipe: Recipe
    dataset: Dataset
    membership: NDArray[np.bool_]
    device: str


@dataclass(frozen=True)
class TrainingTime:
    """The time to train a stack.

    `warming_up` is what only the first training of a worker needs, such as imports, `fixed` what
    each training needs beside its steps, and `step` one step.
    """

    warming_up: float
    fixed: float
    step: float


@dataclass(frozen=True)
class MountingTime:
    """The time of attacks on a target.

    `fixed` is what a worker needs once for all targets, such as the signals of all models. The
    first `halved` targets need `of_halved` each, because they are attacked again with halves of the
    shadow models, and the others `of_target`.
    """

    fixed: float
    halved: int
    of_halved: float
    of_target: float

    def seconds(self, targets: int, workers: int) -> float:
        """Returns the time of all targets, which are divided among the workers."""
        halved = min(self.halved, targets)
        of_all = halved * self.of_halved + (targets - halved) * self.of_target
        return self.fixed + of_all / workers


@dataclass(frozen=True)
class Timing:
    """What a task returned, and the seconds in which it ran and in which it computed."""

    value: Any
    seconds: float
    computing: float


def timed(function: Callable[..., object], *arguments: object) -> Timing:
    """Returns `function(*arguments)` and its time."""
    clock, computing = time.perf_counter(), time.process_time()
    value = function(*arguments)
    return Timing(value, time.perf_counter() - clock, time.process_time() - computing)


def started() -> None:
    """Does nothing. A worker that has run this task has imported what all tasks need."""


def steps_of(recipe: Recipe) -> int:
    """Returns the number of steps that train a model."""
    if recipe.plan is not None:
        return recipe.plan.steps
    training = recipe.training
    return training.last_epoch * training.steps_per_epoch(recipe.members)


def few_steps(recipe: Recipe) -> int:
    """Returns the number of steps of the shorter training, at most that of the recipe."""
    return FEW if recipe.plan is None else FEW_PRIVATE


def training_time(timed: TimedTraining) -> TrainingTime:
    """Returns the time to train the stack, from a shorter and a longer training."""
    few = few_steps(timed.recipe)
    shorter = _with_steps(timed.recipe, few)
    first = _seconds_of_training(timed, shorter)
    rounds: list[tuple[float, float]] = []
    spent, longer = 0.0, shorter
    while not rounds or (spent < ENOUGH and len(rounds) < ROUNDS):
        short = _seconds_of_training(timed, shorter)
        times = min(max(round(ENOUGH / short), 2), MOST_LONGER)
        longer = longer if rounds else _with_steps(timed.recipe, times * few)
        rounds.append((short, _seconds_of_training(timed, longer)))
        spent += sum(rounds[-1])
    # The least time is the one that other work disturbed least.
    short, long = (min(seconds) for seconds in zip(*rounds, strict=True))
    steps, more_steps = steps_of(shorter), steps_of(longer)
    if long <= short or more_steps <= steps:
        fixed, step = 0.0, long / more_steps
    else:
        step = (long - short) / (more_steps - steps)
        fixed = max(short - step * steps, 0.0)
    return TrainingTime(max(first - short, 0.0), fixed, step)


def query_seconds(recipe: Recipe, dataset: Dataset, question: Question, device: str) -> float:
    """Returns the time to query one model, which has its initial weights."""
    ensemble = untrained(recipe, dataset)
    return second_time(lambda: question.answer(ensemble, dataset, device, recipe.seed), device)


def untrained(recipe: Recipe, dataset: Dataset) -> Ensemble:
    """Returns one model with its initial weights."""
    model = initial_model(recipe.target, dataset.input_shape, len(dataset.classes), seed=0)
    weights = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    return Ensemble(model, [weights], recipe.traits)


def mounting_time(mounting: Mounting) -> MountingTime:
    """Returns the time of the attacks of a mounting, from those on its first and last target."""
    first, last = mounting.rows[0], mounting.rows[-1]
    cold = _seconds(lambda: mount_part(mounting, [first]))  # with the signals of all models
    of_target = _seconds(lambda: mount_part(mounting, [last]))
    halved, of_halved = 0, of_target
    if mounting.in_detail:
        halved = min(most_halved(mounting.attacks[0].built), len(mounting.rows))
        of_halved = _seconds(lambda: mount_part(mounting, [first]))
    return MountingTime(max(cold - of_halved, 0.0), halved, of_halved, of_target)


def second_time(work: Callable[[], object], device: str) -> float:
    """Returns the seconds of the second call, which does not include any warming up.

    There is no second call if the first took so long that warming up hardly counts.
    """
    first = _seconds(work, device)
    return first if first > ENOUGH else _seconds(work, device)


def _seconds(work: Callable[[], object], device: str = "cpu") -> float:
    # A process that waits for a GPU may not compute.
    clock = time.perf_counter if device == "cuda" else time.process_time
    before = clock()
    work()
    return clock() - before


def _with_steps(recipe: Recipe, steps: int) -> Recipe:
    """Returns the recipe with about `steps` steps."""
    epochs = max(round(steps / recipe.training.steps_per_epoch(recipe.members)), 1)
    training = replace(recipe.training, epochs=epochs, stop_epoch=None)
    plan = None if recipe.plan is None else replace(recipe.plan, steps=steps)
    return replace(recipe, training=training, plan=plan)


def _seconds_of_training(timed: TimedTraining, recipe: Recipe) -> float:
    """Returns the seconds that training the stack by this recipe takes."""
    indices = range(len(timed.membership))

    def work() -> None:
        train(recipe, timed.dataset, timed.membership, indices, timed.device)

    return _seconds(work, timed.device)
