"""The digits dataset of scikit-learn."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mgaudit.targets.datasets.dataset import Dataset


def read_digits(examples: int | None, generator: np.random.Generator) -> Dataset:
    """The 1,797 images of 8x8 handwritten digits in scikit-learn; every third one is test data."""
    images, labels = _images_and_labels()
    inputs = images.reshape(-1, 1, 8, 8).astype(np.float32)
    labels = labels.astype(np.int64)
    test = np.arange(len(labels)) % 3 == 0
    train = ~test
    whole = Dataset(
        "digits",
        inputs[train],
        labels[train],
        inputs[test],
        labels[test],
        classes=tuple(str(digit) for digit in range(10)),
        origins=tuple(f"load_digits()[{index}]" for index in np.flatnonzero(train)),
    )
    return whole.drawn(examples, generator)


@cache
def _images_and_labels() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns images (1797, 64), in 0..16, and labels (1797,), which must not be changed."""
    package = find_spec("sklearn")
    if package is not None and package.origin is not None:
        path = Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz"
        if path.exists():  # read without scikit-learn, whose import takes a second
            rows = np.loadtxt(path, delimiter=",")
            return rows[:, :-1], rows[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images, labels
