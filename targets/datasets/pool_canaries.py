"""Canaries in the pool of a study: unusual examples, whose membership is random like that of all.

They show how well the examples are protected that are exposed most, which averages over all
examples hide (Aerni et al. 2024, arXiv 2404.17399).
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.canaries import plant_canaries
from mgaudit.targets.datasets.dataset import Dataset, Inputs
from mgaudit.targets.seeds import numpy_generator

PoolCanaryKind = Literal["mislabelled", "blank", "noise"]
KINDS: tuple[PoolCanaryKind, ...] = get_args(PoolCanaryKind)
DESCRIPTIONS: dict[PoolCanaryKind, str] = {
    "mislabelled": "each has a wrong label",
    "blank": "each is empty but for one value, with a random label",
    "noise": "each is noise with a random label",
}


@dataclass(frozen=True)
class PoolCanaries:
    """Which examples of a pool are canaries: `indices` (canaries,), int64, ascending."""

    kind: PoolCanaryKind
    indices: NDArray[np.int64]


def plant_in_pool(
    dataset: Dataset, kind: PoolCanaryKind, number: int, seed: int
) -> tuple[Dataset, PoolCanaries]:
    """Returns the dataset in which canaries replace `number` random examples, and which they are.

    The test split does not change. The origin of each canary and a note say that it is one.

    - mislabelled: the example with another class, drawn uniformly.
    - blank: each value is the least of its channel (images) or feature, except for one, which is
      the largest. This value and the class are drawn such that no two canaries are equal.
    - noise: each value is drawn uniformly between the least and the largest of its channel or
      feature, and the class uniformly.

    Raises:
        UsageError: For fewer than 1 canary, and for more than half of the examples or than there
            are different canaries.
    """
    examples = len(dataset.labels)
    if not 1 <= number <= examples // 2:
        rule = f"must be between 1 and {examples // 2}, half of the examples"
        raise UsageError("canaries", rule, str(number), "use fewer canaries or more examples")
    if kind == "mislabelled":
        planted, chosen = plant_canaries(dataset, number, kind, seed)
    else:
        chosen = numpy_generator(seed, "canaries").permutation(examples)[:number].astype(np.int64)
        generator = numpy_generator(seed, f"{kind} canaries")
        draw = _blank if kind == "blank" else _noise
        drawn_inputs, drawn_labels = draw(dataset, number, generator)
        inputs, labels = dataset.inputs.copy(), dataset.labels.copy()
        inputs[chosen], labels[chosen] = drawn_inputs, drawn_labels
        planted = replace(dataset, inputs=inputs, labels=labels)
    origins = list(planted.origins)
    for count, index in enumerate(chosen.tolist()):
        is_example = kind == "mislabelled"
        origins[index] = (
            f"{origins[index]} (mislabelled canary)" if is_example else f"{kind} canary {count}"
        )
    note = f"{number} of {examples} examples are {kind} canaries: {DESCRIPTIONS[kind]}."
    noted = replace(planted, origins=tuple(origins), notes=(*planted.notes, note))
    return noted, PoolCanaries(kind, np.sort(chosen))


def _blank(
    dataset: Dataset, number: int, generator: np.random.Generator
) -> tuple[Inputs, NDArray[np.int64]]:
    """Returns the inputs and labels of blank canaries, which all differ."""
    classes, shape = len(dataset.classes), dataset.input_shape
    low, high = _ranges(dataset.inputs)
    varying = np.flatnonzero(np.broadcast_to(low < high, (1, *shape)))
    different = len(varying) * classes
    if number > different:
        rule = f"must be at most {different}, the number of different blank canaries"
        raise UsageError("canaries", rule, str(number), "use fewer, or noise")
    pairs = generator.permutation(different)[:number]
    lit, labels = varying[pairs // classes], pairs % classes
    inputs = np.broadcast_to(low, (number, *shape)).copy()
    largest = np.broadcast_to(high, (1, *shape)).ravel()
    inputs.reshape(number, -1)[np.arange(number), lit] = largest[lit]
    return inputs, labels.astype(np.int64)


def _noise(
    dataset: Dataset, number: int, generator: np.random.Generator
) -> tuple[Inputs, NDArray[np.int64]]:
    """Returns the inputs and labels of noise canaries."""
    low, high = _ranges(dataset.inputs)
    shape = (number, *dataset.input_shape)
    inputs: Inputs
    if dataset.inputs.dtype == np.uint8:
        above = high.astype(np.int64) + 1
        inputs = generator.integers(low.astype(np.int64), above, shape).astype(np.uint8)
    else:
        inputs = generator.uniform(low, high, shape).astype(np.float32)
    return inputs, generator.integers(0, len(dataset.classes), number)


def _ranges(inputs: Inputs) -> tuple[Inputs, Inputs]:
    """Returns the least and the largest value of each channel or feature, (1, channels, 1, …)."""
    axes = (0, *range(2, inputs.ndim))
    return inputs.min(axis=axes, keepdims=True), inputs.max(axis=axes, keepdims=True)
