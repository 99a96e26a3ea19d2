"""Datasets from four arrays: training examples and test examples, each with labels."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.dataset import Dataset, Inputs

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
Array = NDArray[np.generic]


def from_arrays(name: str, x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> Dataset:
    """Returns the dataset of these arrays.

    Args:
        name: Name of the dataset.
        x_train: Training examples (examples, features), (examples, height, width) or (examples,
            channels, height, width), of dtype uint8 or of other numbers, which are converted to
            float32.
        y_train: Whole class numbers (examples,) from 0.
        x_test: Test examples, as `x_train`.
        y_test: Class numbers of the test examples, as `y_train`.

    Raises:
        UsageError: For other arrays; the message names the array and the rule.
    """
    inputs, labels = _split(name, x_train, y_train, "train")
    test_inputs, test_labels = _split(name, x_test, y_test, "test")
    highest = int(labels.max(initial=0))
    # Every class up to the highest number gets a name, so a huge number would exhaust memory.
    if highest >= max(len(labels), 2):
        rule = f"must number the classes from 0, with fewer classes than {len(labels)} examples"
        raise UsageError(f"dataset {name}: y_train", rule, str(highest))
    names = tuple(str(label) for label in range(highest + 1))
    origins = tuple(f"x_train[{index}]" for index in range(len(inputs)))
    return Dataset(name, inputs, labels, test_inputs, test_labels, names, origins)


def _split(name: str, x: Array, y: Array, split: str) -> tuple[Inputs, NDArray[np.int64]]:
    """Returns inputs (examples, *input_shape), uint8 or float32, and labels (examples,), int64.

    `split` is "train" or "test". Images without a channel axis get one.

    Raises:
        UsageError: For arrays that break a rule of `from_arrays`.
    """
    x_key = f"dataset {name}: x_{split}"
    y_key = f"dataset {name}: y_{split}"
    if x.ndim not in (2, 3, 4):
        rule = (
            "must be (examples, features), (examples, height, width) "
            "or (examples, channels, height, width)"
        )
        raise UsageError(x_key, rule, f"shape {x.shape}")
    channels_last = x.ndim == 4 and x.shape[1] > 4 and x.shape[3] in (1, 3, 4)
    if channels_last:
        way_out = "use x.transpose(0, 3, 1, 2)"
        raise UsageError(x_key, "must have its channels first", f"shape {x.shape}", way_out)
    if y.ndim != 1 or y.dtype.kind not in "iu":
        value = f"{y.dtype} of shape {y.shape}"
        raise UsageError(y_key, "must be a vector of whole class numbers", value)
    if x.dtype.kind not in "biuf":
        raise UsageError(x_key, "must hold real numbers", str(x.dtype))
    if len(x) != len(y):
        raise UsageError(y_key, f"must hold a label for each of {len(x)} examples", str(len(y)))
    if x.ndim == 3:
        x = x[:, np.newaxis]
    labels = y.astype(np.int64)
    if x.dtype == np.uint8:
        return x, labels
    # Values beyond the range of float32 become infinity, which is an error in a dataset.
    with np.errstate(over="ignore"):
        return x.astype(np.float32), labels
