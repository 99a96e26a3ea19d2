"""One evaluation of a search: a model is trained with a trial's settings and asked for labels.

The module imports little, because each worker process imports it before it starts to train.
"""

import time
from dataclasses import dataclass

import numpy as np

from mgaudit.study.held_out import Fold
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, initial_model, train
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Plain


@dataclass(frozen=True)
class Evaluation:
    """A training on one fold of the held-out `dataset`, which is standardised."""

    trial: int
    fold_number: int
    fold: Fold
    recipe: Recipe
    dataset: Dataset
    device: str
    key: str


@dataclass(frozen=True)
class Evaluated:
    """The accuracy on a fold's validated examples; 0 for a model that diverged."""

    trial: int
    fold_number: int
    key: str
    accuracy: float
    seconds: float


def evaluate(task: Evaluation) -> Evaluated:
    """Trains the model, and returns its accuracy on the fold's validated examples."""
    started = time.perf_counter()
    dataset, recipe, rows = task.dataset, task.recipe, task.fold.validated
    mask = task.fold.trained[None]
    (model,) = train(recipe, dataset, mask, [task.fold_number], task.device)
    accuracy = 0.0
    if not model.diverged:
        network = initial_model(recipe.target, dataset.input_shape, len(dataset.classes), seed=0)
        ensemble = Ensemble(network, [model.weights], recipe.traits)
        logits = ensemble.logits(dataset.inputs[rows], task.device, Plain(), recipe.seed)
        accuracy = float(np.mean(logits[0, :, 0].argmax(axis=-1) == dataset.labels[rows]))
    seconds = time.perf_counter() - started
    return Evaluated(task.trial, task.fold_number, task.key, accuracy, seconds)
