"""Arrays in a .npz file."""

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile

from mgaudit.targets.datasets.arrays import ARRAYS, from_arrays
from mgaudit.targets.datasets.dataset import Dataset


def read_npz(path: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """A .npz file with x_train, y_train, x_test, y_test.

    x is (examples, features), (examples, height, width) or (examples, channels, height, width), uint8 or float; y holds
    whole class numbers from 0. Python objects in the file are refused, never unpickled.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"dataset npz:{path}: no file at {path!r}; use --dataset npz:PATH")
    try:
        with Path(path).open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, NpzFile):
                raise ValueError("it is no npz archive")
            missing = [name for name in ARRAYS if name not in archive]
            if missing:
                raise ValueError(f"it must hold the arrays {', '.join(ARRAYS)}; missing {', '.join(missing)}")
            arrays = [archive[name] for name in ARRAYS]
    except (ValueError, OSError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"dataset npz:{path}: {error}") from error
    return from_arrays(f"npz:{path}", *arrays).drawn(examples, generator)
