"""Reading of npy files and of the arrays in npz files, without pickle."""

import math
from pathlib import Path
from typing import IO
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.array_like import Array
from mgaudit.targets.free_memory import check_memory
from mgaudit.targets.own_module import one_line

OBJECTS = "save numbers or texts, as in values.astype(float) or values.astype(str)"
SMALLER = "leave out examples, or use uint8 or float16"
SAVED_NPY = "write it again with numpy.save"
SAVED_NPZ = "write it again with numpy.savez"


def load_npy(key: str, path: Path) -> Array:
    """Returns the array in an npy file, mapped into memory; `key` begins the message of errors.

    Raises:
        UsageError: For a file that is missing, damaged, no npy file or contains Python objects.
    """
    try:
        with path.open("rb") as file:
            _refuse_objects(key, file)
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except UsageError:
        raise
    except Exception as error:  # numpy raises many kinds of errors for damaged files
        rule = "must be an npy file"
        raise UsageError(key, rule, one_line(error), SAVED_NPY) from error


def load_member(key: str, archive: ZipFile, name: str) -> Array:
    """Returns the array `name` of an npz archive; `key` begins the message of errors.

    Raises:
        UsageError: For an array that is damaged, contains Python objects or exceeds the memory.
    """
    info = archive.getinfo(f"{name}.npy")
    try:
        with archive.open(info) as file:
            shape, dtype = _refuse_objects(key, file)
            header = file.tell()
        size = math.prod(shape) * dtype.itemsize
        if size != info.file_size - header:
            rule = f"must have {size} bytes of numbers, as its shape {shape} requires"
            raise UsageError(key, rule, str(info.file_size - header), SAVED_NPZ)
        check_memory(key, size, f"an array of shape {shape}", SMALLER)
        with archive.open(info) as file:
            return np.asarray(npy.read_array(file, allow_pickle=False))
    except UsageError:
        raise
    except MemoryError as error:
        value = f"an array of shape {shape}"
        raise UsageError(key, "must fit into the free memory", value, SMALLER) from error
    except Exception as error:  # numpy and zipfile raise many kinds of errors for damaged files
        raise UsageError(key, "must be an array", one_line(error), SAVED_NPZ) from error


def member_shape(archive: ZipFile, name: str) -> tuple[int, ...]:
    """Returns the shape of the array `name` of an npz archive; () if it cannot be read."""
    try:
        with archive.open(f"{name}.npy") as file:
            shape, _ = _header(file)
    except Exception:  # numpy and zipfile raise many kinds of errors for damaged files
        return ()
    return shape


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Returns shape and type of an npy file. Raises ValueError for another file."""
    version = npy.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = npy.read_array_header_1_0(file)
    else:
        shape, _, dtype = npy.read_array_header_2_0(file)
    return shape, dtype


def _refuse_objects(key: str, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Returns shape and type of an npy file from its header, which the function reads.

    Raises:
        UsageError: For Python objects and records.
        ValueError: For another file.
    """
    shape, dtype = _header(file)
    if dtype.hasobject:
        rule = "must have no Python objects, because reading them may run code"
        raise UsageError(key, rule, f"an array of objects of shape {shape}", OBJECTS)
    if dtype.names is not None:
        raise UsageError(key, "must be an array of numbers", "an array of records", OBJECTS)
    return shape, dtype
