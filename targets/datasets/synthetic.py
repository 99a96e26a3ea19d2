"""Data whose law is known."""

import math
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.ranges import Range

TEACHER_WIDTH = 64
MOST_VALUES = 10**9
SyntheticKind = Literal["clusters", "teacher"]


def draw_synthetic(
    examples: int | None,
    generator: np.random.Generator,
    *,
    kind: SyntheticKind = "clusters",
    features: Annotated[int, Range(1)] = 20,
    classes: Annotated[int, Range(2)] = 4,
    size: int = 2000,
    separation: Annotated[float, Range(0)] = 2.0,
) -> Dataset:
    """Gaussian clusters, or Gaussian inputs that a random network labels (`teacher`); half as much again for testing.

    clusters: x ~ N(mean of its class, I), the means `separation` apart from one another, classes equally large.
    teacher: x ~ N(0, I), and the label is argmax(separation * f(x) + N(0, I)), f a random ReLU network whose outputs
    have mean 0 and variance 1. At separation 0 the labels have nothing to do with the inputs.
    """
    _check(kind, features, classes, size)
    count = size + size // 2
    draw = _clusters if kind == "clusters" else _teacher
    inputs, labels = draw(count, features, classes, separation, generator)
    inputs = inputs.astype(np.float32)
    names = tuple(str(label) for label in range(classes))
    name = f"synthetic:{kind}"
    whole = Dataset(name, inputs[:size], labels[:size], inputs[size:], labels[size:], names)
    return whole.drawn(examples, generator)


def _check(kind: SyntheticKind, features: int, classes: int, size: int) -> None:
    if kind == "clusters" and features < classes:
        raise UsageError(
            "synthetic.features",
            f"must be >= {classes}, the classes, for clusters that are all equally far apart",
            str(features),
        )
    if size * max(features, classes, TEACHER_WIDTH) > MOST_VALUES:
        rule = f"must be <= {MOST_VALUES:g} when multiplied by the features, the classes or {TEACHER_WIDTH}"
        raise UsageError(
            "synthetic.size", rule, str(size), "use fewer examples, features or classes"
        )
    if size < 2 * classes:
        raise UsageError(
            "synthetic.size",
            f"must be >= {2 * classes}, so that each class can be tested",
            str(size),
        )


Drawn = tuple[NDArray[np.float64], NDArray[np.int64]]


def _clusters(
    count: int, features: int, classes: int, separation: float, generator: np.random.Generator
) -> Drawn:
    # Points on orthogonal axes, each at 1/sqrt(2), are at distance 1 from one another.
    axes = np.linalg.qr(generator.standard_normal((features, classes))).Q.T
    labels = np.arange(count) % classes
    inputs = generator.standard_normal((count, features)) + separation / math.sqrt(2) * axes[labels]
    return inputs, labels


def _teacher(
    count: int, features: int, classes: int, separation: float, generator: np.random.Generator
) -> Drawn:
    hidden = generator.standard_normal((TEACHER_WIDTH, features))
    hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
    outer = generator.standard_normal((classes, TEACHER_WIDTH))
    inputs = generator.standard_normal((count, features))
    noise = generator.standard_normal((count, classes))
    return inputs, (separation * teacher_outputs(inputs, hidden, outer) + noise).argmax(axis=1)


def teacher_outputs(
    inputs: NDArray[np.float64], hidden: NDArray[np.float64], outer: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns f(x) = outer (relu(hidden x) - mean), scaled to variance 1 over x ~ N(0, I); (examples, classes).

    `inputs` (examples, features), `hidden` (width, features) with rows of length 1, `outer` (classes, width). With the
    angle t between two rows of `hidden`, E relu relu' = (sin t + (pi - t) cos t) / (2 pi) and E relu = 1 / sqrt(2 pi)
    (Cho and Saul, "Kernel methods for deep learning", 2009, section 2).
    """
    cosine = np.clip(hidden @ hidden.T, -1, 1)
    angle = np.arccos(cosine)
    covariance = (np.sin(angle) + (np.pi - angle) * cosine - 1) / (2 * np.pi)
    variance = np.einsum("ch,hk,ck->c", outer, covariance, outer)
    centred = np.maximum(inputs @ hidden.T, 0) - 1 / math.sqrt(2 * np.pi)
    outputs: NDArray[np.float64] = centred @ outer.T / np.sqrt(variance)
    return outputs
