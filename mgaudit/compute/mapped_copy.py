"""Copies of files that are mapped into memory, by this process and by its workers.

The pages of such a file are in memory once for all processes, and the system can take them back,
because it can read them again.
"""

import shutil
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mgaudit.compute.run_files import RunFiles


class MappedCopy(np.memmap[Any, np.dtype[np.uint8]]):
    """The bytes of a copy of a file, which only this process and its workers know."""


class Place(NamedTuple):
    """Where an array is: the path of a mapped copy, the first byte, its dtype and its shape."""

    path: str
    offset: int
    dtype: str
    shape: tuple[int, ...]


def mapped_copy(path: Path) -> NDArray[np.uint8]:
    """Returns the bytes of a copy of the file, mapped read-only.

    The copy stays as it is if the file is changed or deleted. It is in a directory of the cache,
    which is deleted when no array is left that has its memory there.
    """
    run_files = RunFiles()
    try:
        copy = run_files.folder / path.name
        shutil.copyfile(path, copy)
        mapped = MappedCopy(copy, np.uint8, mode="r")
    except BaseException:
        run_files.close()
        raise
    weakref.finalize(mapped, run_files.close)
    return mapped


def place_of(array: NDArray[Any]) -> Place | None:
    """Returns the place of an array within a mapped copy; None if its memory is elsewhere."""
    copy: MappedCopy | None = None
    owner: Any = array
    while owner is not None:
        if isinstance(owner, MappedCopy):
            copy = owner  # the last one is the whole file, of which others are parts
        owner = owner.obj if isinstance(owner, memoryview) else getattr(owner, "base", None)
    if copy is None or not array.flags.c_contiguous:
        return None
    offset = _address(array) - _address(copy)
    return Place(str(copy.filename), offset, array.dtype.str, array.shape)


def array_at(path: str, offset: int, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Returns the array at a place; writing to it does not change the file."""
    mapped: Any = np.memmap(path, dtype, mode="c", offset=offset, shape=shape)
    # An array that is not a memmap: torch and users' code then treat it as any other.
    array: NDArray[Any] = mapped.view(np.ndarray)
    return array


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
