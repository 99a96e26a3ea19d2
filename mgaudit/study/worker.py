"""The work of a worker process: train one stack of models and keep them, or time their training.

The module imports little, because each worker imports it before it starts to train.
"""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.settings.choices import Choice, own_code
from mgaudit.storage.ensembles import EnsembleFolder
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, train

SCRIPT = "__main__:"  # before the names of classes in the script that was started


@dataclass(frozen=True)
class TrainingTask:
    """One stack to train, that is, a group of models that are trained as one.

    `indices` are the indices of its models, and `membership` (models, examples), bool, has a row
    for each of these models.

    `own_code` has the SHA-256 of each source file of the user's own classes among the `choices`.
    """

    folder: EnsembleFolder
    recipe: Recipe
    dataset: Dataset
    membership: NDArray[np.bool_]
    indices: list[int]
    device: str
    choices: tuple[Choice, ...]
    own_code: dict[str, str]


def train_and_keep(task: TrainingTask) -> int:
    """Trains the stack and saves its models in the folder. Returns the number of models."""
    # A worker imports the classes again, except for those of the script that was started, which
    # it receives with their code.
    imported = [choice for choice in task.choices if not choice.name.startswith(SCRIPT)]
    expected = {name: sha for name, sha in task.own_code.items() if not name.startswith(SCRIPT)}
    if own_code(imported) != expected:
        raise RuntimeError(
            f"the source of {', '.join(task.own_code)} was edited during the run; run again"
        )
    trained = train(task.recipe, task.dataset, task.membership, task.indices, task.device)
    for index, model in zip(task.indices, trained, strict=True):
        facts = {"steps": model.steps, "seconds": model.seconds, "diverged": model.diverged}
        task.folder.save_model(index, model.weights, facts)
    return len(trained)


@dataclass(frozen=True)
class TimedTraining:
    """One stack whose training is timed; `membership` is (models, examples), bool."""

    recipe: Recipe
    dataset: Dataset
    membership: NDArray[np.bool_]
    device: str


def seconds_of_training(timed: TimedTraining) -> float:
    """Returns the seconds that training the stack takes."""
    started = time.perf_counter()
    indices = range(len(timed.membership))
    train(timed.recipe, timed.dataset, timed.membership, indices, timed.device)
    return time.perf_counter() - started
