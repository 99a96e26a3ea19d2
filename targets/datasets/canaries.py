"""Canaries: the examples whose membership an audit of DP-SGD tosses coins for; all others are always trained on."""

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
    """Returns the dataset with canaries in it, and which of its examples they are (canaries,).

    Drawn at random among the examples. Natural ones stay as they are; each mislabelled one gets another class, drawn
    uniformly, the same for every model. Raises UsageError where there are too few examples.
    """
    examples = len(dataset.labels)
    if not 1 <= canaries <= examples:
        raise UsageError(
            "canaries", f"must be between 1 and {examples}, all examples", str(canaries)
        )
    generator = numpy_generator(seed, "canaries")
    chosen = generator.permutation(examples)[:canaries].astype(np.int64)
    if kind == "natural":
        return dataset, chosen
    labels = dataset.labels.copy()
    labels[chosen] = (labels[chosen] + generator.integers(1, len(dataset.classes), canaries)) % len(
        dataset.classes
    )
    return replace(dataset, labels=labels), chosen
