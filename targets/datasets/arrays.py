"""Datasets from four arrays, as users have them."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.targets.datasets.dataset import Dataset, Inputs

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
Array = NDArray[np.generic]


def from_arrays(name: str, x_train: Array, y_train: Array, x_test: Array, y_test: Array) -> Dataset:
    """Returns the dataset of these arrays.

    x is (examples, features), (examples, height, width) or (examples, channels, height, width), uint8 or other numbers,
    which become float32; y holds whole class numbers from 0. Raises ValueError that names the array and the rule.
    """
    inputs, labels = _split(name, x_train, y_train, "train")
    test_inputs, test_labels = _split(name, x_test, y_test, "test")
    names = tuple(str(label) for label in range(int(labels.max(initial=0)) + 1))
    origins = tuple(f"x_train[{index}]" for index in range(len(inputs)))
    return Dataset(name, inputs, labels, test_inputs, test_labels, names, origins)


def _split(name: str, x: Array, y: Array, split: str) -> tuple[Inputs, NDArray[np.int64]]:
    if x.ndim not in (2, 3, 4):
        raise ValueError(
            f"dataset {name}: x_{split} must be (examples, features), (examples, height, width) or "
            f"(examples, channels, height, width), got shape {x.shape}"
        )
    if x.ndim == 4 and x.shape[1] > 4 and x.shape[3] in (1, 3, 4):
        raise ValueError(
            f"dataset {name}: x_{split} must have its channels first, got shape {x.shape}; use x.transpose(0, 3, 1, 2)"
        )
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"dataset {name}: y_{split} must be a vector of whole class numbers, got {y.dtype} of shape {y.shape}"
        )
    if not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise ValueError(f"dataset {name}: x_{split} must hold numbers, got {x.dtype}")
    if len(x) != len(y):
        raise ValueError(
            f"dataset {name}: x_{split} and y_{split} must hold as many labels as examples, got {len(y)} and {len(x)}"
        )
    if x.ndim == 3:
        x = x[:, np.newaxis]
    return (x if x.dtype == np.uint8 else x.astype(np.float32)), y.astype(np.int64)
