"""Synthetic data with a known distribution."""

import math
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.free_memory import check_memory
from mgaudit.targets.limits import CLASSES, SYNTHETIC_VALUES
from mgaudit.targets.ranges import Range

TEACHER_WIDTH = 64
# Bytes of 1.5 float64: those of test examples too, the noise, the means, the sum, and float32.
MEMORY_OF_A_VALUE = 48
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
    """Gaussian clusters, or Gaussian inputs that are labelled by a random network (`teacher`).

    clusters: x ~ N(mean of its class, I), with means at distance `separation` from one another and
    equally large classes. teacher: x ~ N(0, I) with label argmax(separation * f(x) + N(0, I)),
    where f is a random ReLU network whose outputs have mean 0 and variance 1. At separation 0 the
    labels are independent of the inputs. There are `size` training examples and half as many test
    examples, with `features` numbers each.
    """
    _check(kind, features, classes, size)
    count = size + size // 2
    draw = _clusters if kind == "clusters" else _teacher
    inputs, labels = draw(count, features, classes, separation, generator)
    inputs = inputs.astype(np.float32)
    whole = Dataset(
        f"synthetic:{kind}",
        inputs[:size],
        labels[:size],
        inputs[size:],
        labels[size:],
        classes=tuple(str(label) for label in range(classes)),
    )
    return whole.drawn(examples, generator)


def _check(kind: SyntheticKind, features: int, classes: int, size: int) -> None:
    """Raises UsageError for options that contradict one another or need too much memory."""
    if kind == "clusters" and features < classes:
        raise UsageError(
            "synthetic.features",
            f"must be >= {classes}, the number of classes, for equidistant clusters",
            str(features),
        )
    CLASSES.check("synthetic.classes", classes)
    values = (size + features) * max(features, classes, TEACHER_WIDTH)
    SYNTHETIC_VALUES.check("synthetic.size", values)
    what = f"{values:,} values"
    check_memory("synthetic.size", MEMORY_OF_A_VALUE * values, what, SYNTHETIC_VALUES.way_out)
    if size < 2 * classes:
        rule = f"must be >= {2 * classes}, so that each class can be tested"
        raise UsageError("synthetic.size", rule, str(size))


Drawn = tuple[NDArray[np.float64], NDArray[np.int64]]


def _clusters(
    count: int, features: int, classes: int, separation: float, generator: np.random.Generator
) -> Drawn:
    """Returns inputs (count, features) in clusters, and their labels (count,), 0, 1, ..., 0, ..."""
    # Points on orthogonal axes, at 1/sqrt(2) from the origin, are at distance 1 from one another.
    random_matrix = generator.standard_normal((features, classes))
    axes = np.linalg.qr(random_matrix).Q.T
    labels = np.arange(count) % classes
    noise = generator.standard_normal((count, features))
    means = separation / math.sqrt(2) * axes[labels]
    return noise + means, labels


def _teacher(
    count: int, features: int, classes: int, separation: float, generator: np.random.Generator
) -> Drawn:
    """Returns normal inputs (count, features) and the labels (count,) of a random network."""
    hidden = generator.standard_normal((TEACHER_WIDTH, features))
    hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
    outer = generator.standard_normal((classes, TEACHER_WIDTH))
    inputs = generator.standard_normal((count, features))
    noise = generator.standard_normal((count, classes))
    outputs = separation * teacher_outputs(inputs, hidden, outer)
    return inputs, (outputs + noise).argmax(axis=1)


def teacher_outputs(
    inputs: NDArray[np.float64], hidden: NDArray[np.float64], outer: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the outputs (examples, classes) of a ReLU network, with mean 0 and variance 1.

        f(x) = outer (relu(hidden x) - mean), divided by the standard deviation for each class

    Mean and variance are those over x ~ N(0, I). `inputs` x are (examples, features), `hidden`
    (width, features) with rows of norm 1, and `outer` (classes, width). For two rows h and h' of
    `hidden` with the angle t between them (Cho and Saul, "Kernel methods for deep learning", 2009,
    section 2)

        E relu(h x) relu(h' x) = (sin t + (pi - t) cos t) / (2 pi),    E relu(h x) = 1 / sqrt(2 pi).
    """
    cosine = np.clip(hidden @ hidden.T, -1, 1)
    angle = np.arccos(cosine)
    second_moment = np.sin(angle) + (np.pi - angle) * cosine
    covariance = (second_moment - 1) / (2 * np.pi)
    variance = np.einsum("ch,hk,ck->c", outer, covariance, outer)
    rectified = np.maximum(inputs @ hidden.T, 0)
    centred = rectified - 1 / math.sqrt(2 * np.pi)
    outputs: NDArray[np.float64] = centred @ outer.T / np.sqrt(variance)
    return outputs
