"""Trainings from the same start with and without one example; a worker of the audit runs them.

The module imports little, because each worker process imports it before it starts to train.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.signals import logit_confidence
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, initial_model, train
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Plain


@dataclass(frozen=True)
class SomeRuns:
    """Some of the trainings: `indices` in the audit, and their membership (runs, examples).

    The last example of `dataset` is the canary.
    """

    recipe: Recipe
    dataset: Dataset
    membership: NDArray[np.bool_]
    indices: tuple[int, ...]
    device: str


def canary_scores(runs: SomeRuns) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Returns the indices of the runs, and the logit confidence of the canary's label (runs,).

    Raises:
        RuntimeError: If a model diverged.
    """
    recipe, dataset = runs.recipe, runs.dataset
    weights = []
    for index, members in zip(runs.indices, runs.membership, strict=True):
        (model,) = train(recipe, dataset, members[None], [index], runs.device)
        if model.diverged:
            raise RuntimeError("a model diverged; try a lower --learning-rate")
        weights.append(model.weights)
    network = initial_model(recipe.target, dataset.input_shape, len(dataset.classes), seed=0)
    ensemble = Ensemble(network, weights, recipe.traits)
    logits = ensemble.logits(dataset.inputs[-1:], runs.device, Plain(), recipe.seed)
    return runs.indices, logit_confidence(logits, dataset.labels[-1:])[:, 0, 0]
