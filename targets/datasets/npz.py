"""Datasets of arrays in a .npz file."""

from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.arrays import ARRAYS, from_arrays
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.own_module import one_line


def read_npz(path: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """A .npz file with the arrays x_train, y_train, x_test and y_test.

    x is (examples, features), (examples, height, width) or (examples, channels, height, width),
    uint8 or float; y are whole class numbers from 0. Files with Python objects are refused, because
    unpickling them may run code.
    """
    key = f"dataset npz:{path}"
    if not Path(path).is_file():
        raise UsageError(key, "must be a file", f"no file at {path!r}", "use --dataset npz:PATH")
    try:
        with Path(path).open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            names = list(archive) if isinstance(archive, NpzFile) else []
            arrays = [archive[name] for name in ARRAYS if name in names]
    except Exception as error:  # numpy and zipfile raise many kinds of errors for damaged files
        rule = "must be an npz archive of numbers"
        raise UsageError(key, rule, one_line(error), "write it with numpy.savez") from error
    missing = [name for name in ARRAYS if name not in names]
    if missing:
        rule = f"must hold the arrays {', '.join(ARRAYS)}; missing {', '.join(missing)}"
        raise UsageError(key, rule, None, "write it with numpy.savez")
    for name, array in zip(ARRAYS, arrays, strict=True):
        if not isinstance(array, np.ndarray):  # a file in the archive that is not a .npy file
            value = type(array).__name__
            raise UsageError(
                f"{key}: {name}", "must be an array", value, "write it with numpy.savez"
            )
    whole = from_arrays(f"npz:{path}", *arrays)
    return whole.drawn(examples, generator)
