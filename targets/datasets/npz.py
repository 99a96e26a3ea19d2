"""Datasets of arrays in a .npz file."""

import math
from pathlib import Path
from typing import Annotated
from zipfile import ZipFile, is_zipfile

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.npy_array import SAVED_NPZ, SMALLER, load_member, member_shape
from mgaudit.targets.datasets.array_names import array_names, left_out_notes
from mgaudit.targets.datasets.arrays import from_named
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.regular_file import check_regular_file
from mgaudit.targets.datasets.split import TEST_FRACTION
from mgaudit.targets.free_memory import check_memory
from mgaudit.targets.own_module import one_line
from mgaudit.targets.ranges import Range

NPY_MAGIC = b"\x93NUMPY"
# Bytes: those of the file, two copies as float32 while it is standardised, and a byte to check it.
MEMORY_OF_A_VALUE = 10
SUFFIX = ".npy"  # of the arrays in the archive


def read_npz(
    path: str,
    examples: int | None,
    generator: np.random.Generator,
    *,
    test_fraction: Annotated[float, Range(0, 1, low_open=True, high_open=True)] = TEST_FRACTION,
) -> Dataset:
    """A .npz file with the arrays x_train, y_train, x_test and y_test, or with x and y.

    x is (examples, features), (examples, height, width) or (examples, channels, height, width),
    uint8 or float. y are numbers, texts or one-hot rows. Other usual names are read too, such as
    `train_images` and `train_labels`, or `features` and `labels`. If there is no test split, the
    fraction `test_fraction` of each class becomes test data. Files with Python objects are refused,
    because unpickling them may run code.
    """
    name = f"npz:{path}"
    key = f"dataset {name}"
    file = Path(path)
    check_regular_file(key, file, "use --dataset npz:PATH")
    try:
        _refuse_other_file(key, file)
        with ZipFile(file) as archive:
            files = [member for member in archive.namelist() if member.endswith(SUFFIX)]
            arrays = [member.removesuffix(SUFFIX) for member in files]
            shapes = {array: member_shape(archive, array) for array in arrays}
            chosen = array_names(key, shapes)
            count = sum(math.prod(shapes[array]) for array in chosen.names.values())
            check_memory(key, MEMORY_OF_A_VALUE * count, f"{count:,} values", SMALLER)
            values = {
                role: load_member(f"{key}: {array}", archive, array)
                for role, array in chosen.names.items()
            }
    except UsageError:
        raise
    except Exception as error:  # zipfile raises many kinds of errors for damaged files
        rule = "must be an npz archive of numbers"
        raise UsageError(key, rule, one_line(error), SAVED_NPZ) from error
    whole = from_named(name, values, test_fraction, left_out_notes(chosen.left_out))
    return whole.drawn(examples, generator)


def _refuse_other_file(key: str, file: Path) -> None:
    """Raises UsageError for a file that is no archive, with what it is if that is known."""
    if is_zipfile(file):
        return
    with file.open("rb") as opened:
        start = opened.read(len(NPY_MAGIC))
    value = "a file of another kind"
    if start == NPY_MAGIC:
        value = "a single array, as numpy.save writes it"
    elif not start:
        value = "an empty file"
    way_out = "write x_train, y_train, x_test and y_test with numpy.savez"
    raise UsageError(key, "must be an npz archive of numbers", value, way_out)
