"""Messages between this process and its workers: pickled values, with large arrays in files.

Nothing else reads these files. They are in a directory of the cache that is deleted when the pool
that wrote them is closed, or, if its process was killed, by the next pool.
"""

import io
import pickle
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from mgaudit.compute.mapped_copy import array_at, place_of
from mgaudit.compute.run_files import RunFiles

LARGE_BYTES = 2**20  # of an array that is passed in a file, or in a part of its own

Part = bytes | bytearray | memoryview

# Address, dtype, shape and strides of an array. Views of the same memory have the same.
Memory = tuple[int, str, tuple[int, ...], tuple[int, ...]]


class ArrayFiles:
    """Arrays that are in files for the workers, each once, as long as a message needs them.

    Their directory exists from the first array until `close`.
    """

    def __init__(self) -> None:
        self._run_files: RunFiles | None = None
        self._by_memory: dict[Memory, _ArrayFile] = {}

    def path_of(self, array: NDArray[Any]) -> Path:
        """Returns the file of the array, which is written if it is not there yet."""
        memory = memory_of(array)
        file = self._by_memory.get(memory)
        if file is None:
            self._run_files = self._run_files or RunFiles()
            path = self._run_files.folder / f"{secrets.token_hex(8)}.npy"
            with path.open("wb") as stream:
                np.lib.format.write_array(_Writer(stream), array, allow_pickle=False)
            file = self._by_memory[memory] = _ArrayFile(array, path)
        file.messages += 1
        return file.path

    def release(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Deletes the files of those arrays of a message that no other message needs."""
        for array in arrays:
            memory = memory_of(array)
            file = self._by_memory.get(memory)
            if file is None:
                continue  # all files were deleted, or the array has a place in another file
            file.messages -= 1
            if file.messages == 0:
                file.path.unlink(missing_ok=True)
                del self._by_memory[memory]

    def close(self) -> None:
        """Deletes all files and their directory."""
        self._by_memory.clear()
        if self._run_files is not None:
            self._run_files.close()
            self._run_files = None


class _Writer:
    """A file that NumPy writes to in parts: where the disk is full, its own way loses the errno."""

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write


@dataclass
class _ArrayFile:
    """The file of an array. The array is kept, so that no other array gets its memory."""

    array: NDArray[Any]
    path: Path
    messages: int = 0


def memory_of(array: NDArray[Any]) -> Memory:
    """Returns what identifies the values of an array, as long as it exists and is not changed."""
    address: int = array.__array_interface__["data"][0]
    return address, array.dtype.str, array.shape, array.strides


def packed(value: object, files: ArrayFiles) -> tuple[bytes, list[NDArray[Any]]]:
    """Returns the value as bytes for `unpacked`, and its large arrays, which are in `files`."""
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, files)
    pickler.dump(value)
    return buffer.getvalue(), pickler.arrays


def packed_apart(value: object) -> tuple[bytes, list[NDArray[Any]]]:
    """Returns the value as bytes for `unpacked_with`, and its large arrays, each once."""
    buffer = io.BytesIO()
    pickler = _Referring(buffer)
    pickler.dump(value)
    return buffer.getvalue(), pickler.arrays


def unpacked_with(message: bytes, arrays: Sequence[NDArray[Any]]) -> Any:
    """Returns the value of a message and its large arrays."""
    # Arrays from the network may be read-only, which torch warns of.
    writable = [array if array.flags.writeable else array.copy() for array in arrays]
    unpickler = _Resolving(io.BytesIO(message), writable)
    return unpickler.load()


def packed_outcome(outcome: object) -> list[Part]:
    """Returns an outcome of a worker for `unpacked`: its bytes, and its large arrays uncopied."""
    arrays: list[memoryview] = []

    def is_small(buffer: pickle.PickleBuffer) -> bool:
        memory = buffer.raw()
        if memory.nbytes >= LARGE_BYTES:
            arrays.append(memory)
        return memory.nbytes < LARGE_BYTES

    message = cloudpickle.dumps(outcome, pickle.HIGHEST_PROTOCOL, buffer_callback=is_small)
    return [message, *arrays]


def can_be_sent(value: object) -> bool:
    """Returns whether a value, such as a function, can be sent to worker processes."""
    try:
        cloudpickle.dumps(value)
    except Exception:  # pickling calls code of the value's own, which may raise anything
        return False
    return True


def unpacked(parts: Sequence[Part]) -> Any:
    """Returns the value of a message from a process of the same run, whose arrays are not copied.

    An array can be written to if its part can.
    """
    message, *arrays = parts
    return pickle.loads(message, buffers=arrays)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles a large array as its place in a file, and functions of scripts with their code."""

    def __init__(self, buffer: io.BytesIO, files: ArrayFiles) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        self._files = files
        self.arrays: list[NDArray[Any]] = []

    def reducer_override(self, value: Any) -> Any:
        if _is_large(value):
            self.arrays.append(value)
            place = place_of(value)
            if place is not None:
                return array_at, tuple(place)
            return _mapped, (str(self._files.path_of(value)),)
        return super().reducer_override(value)


def _mapped(path: str) -> NDArray[Any]:
    """Returns the array of a file, mapped into memory. Writing to it does not change the file."""
    mapped: NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    # An array that is not a memmap: torch and users' code then treat it as any other.
    return mapped.view(np.ndarray)


class _Referring(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles a large array as its position in `arrays`."""

    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        self.arrays: list[NDArray[Any]] = []
        self._positions: dict[Memory, int] = {}

    def persistent_id(self, value: Any) -> int | None:
        if not _is_large(value):
            return None
        memory = memory_of(value)
        if memory not in self._positions:
            self._positions[memory] = len(self.arrays)
            self.arrays.append(value)
        return self._positions[memory]


class _Resolving(pickle.Unpickler):
    """Finds large arrays by their position."""

    def __init__(self, buffer: io.BytesIO, arrays: Sequence[NDArray[Any]]) -> None:
        super().__init__(buffer)
        self._arrays = arrays

    def persistent_load(self, position: int) -> NDArray[Any]:
        return self._arrays[position]


def _is_large(value: Any) -> bool:
    is_array = type(value) in (np.ndarray, np.memmap)
    return is_array and value.nbytes >= LARGE_BYTES and not value.dtype.hasobject
