"""Canaries: in an audit of DP-SGD, the examples that are included in training at random.

Every model trains on all other examples.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.seeds import numpy_generator

CanaryKind = Literal["natural", "mislabelled"]


def plant_canaries(
    dataset: Dataset, canaries: int, kind: CanaryKind, seed: int
) -> tuple[Dataset, NDArray[np.int64]]:
    """Returns the dataset with canaries, and the indices (canaries,) of the canaries.

    `canaries` is the number of canaries, which are drawn at random among the examples. Natural
    canaries are unchanged. Each mislabelled canary gets another class, drawn uniformly, which is
    the same for every model.

    Raises:
        UsageError: For fewer than 1 canary, and for more canaries than examples.
    """
    examples = len(dataset.labels)
    if not 1 <= canaries <= examples:
        rule = f"must be between 1 and {examples}, the number of examples"
        raise UsageError("canaries", rule, str(canaries))
    generator = numpy_generator(seed, "canaries")
    chosen = generator.permutation(examples)[:canaries].astype(np.int64)
    if kind == "natural":
        return dataset, chosen
    labels = dataset.labels.copy()
    classes = len(dataset.classes)
    shifts = generator.integers(1, classes, canaries)
    labels[chosen] = (labels[chosen] + shifts) % classes
    return replace(dataset, labels=labels), chosen
