"""A training function for worker processes, in a module that imports little."""

from collections.abc import Callable
from typing import Any

import numpy as np


def centroids(x: Any, y: Any, *, seed: int) -> Callable[[Any], Any]:
    """Fits one mean for each class; the seed moves the means."""
    shift = np.random.default_rng(seed).normal(scale=0.1)
    inputs, labels = np.asarray(x, float), np.asarray(y)
    means = np.stack([inputs[labels == number].mean(axis=0) for number in (0, 1)]) + shift

    def predict(rows: Any) -> Any:
        return -((np.asarray(rows, float)[:, None] - means) ** 2).sum(axis=-1)

    return predict
