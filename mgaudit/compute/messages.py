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
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from mgaudit.compute.run_files import RunFiles

LARGE_BYTES = 2**20  # of an array that is passed in a file


class ArrayFiles:
    """Arrays that are in files for the workers, each once, as long as a message needs them.

    Their directory exists from the first array until `close`.
    """

    def __init__(self) -> None:
        self._run_files: RunFiles | None = None
        self._by_identity: dict[int, _ArrayFile] = {}

    def path_of(self, array: NDArray[Any]) -> Path:
        """Returns the file of the array, which is written if it is not there yet."""
        file = self._by_identity.get(id(array))
        if file is None:
            self._run_files = self._run_files or RunFiles()
            path = self._run_files.folder / f"{secrets.token_hex(8)}.npy"
            np.save(path, array, allow_pickle=False)
            file = self._by_identity[id(array)] = _ArrayFile(array, path)
        file.messages += 1
        return file.path

    def release(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Deletes the files of those arrays of a message that no other message needs."""
        for array in arrays:
            file = self._by_identity.get(id(array))
            if file is None:
                continue  # all files were deleted
            file.messages -= 1
            if file.messages == 0:
                file.path.unlink(missing_ok=True)
                del self._by_identity[id(array)]

    def close(self) -> None:
        """Deletes all files and their directory."""
        self._by_identity.clear()
        if self._run_files is not None:
            self._run_files.close()
            self._run_files = None


@dataclass
class _ArrayFile:
    """The file of an array. The array is kept, so that no other array gets its identity."""

    array: NDArray[Any]
    path: Path
    messages: int = 0


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


def packed_outcome(outcome: object) -> bytes:
    """Returns an outcome of a worker as bytes for `unpacked`."""
    message: bytes = cloudpickle.dumps(outcome)
    return message


def can_be_sent(value: object) -> bool:
    """Returns whether a value, such as a function, can be sent to worker processes."""
    try:
        cloudpickle.dumps(value)
    except Exception:  # pickling calls code of the value's own, which may raise anything
        return False
    return True


def unpacked(message: bytes) -> Any:
    """Returns the value of a message from a process of the same run."""
    return pickle.loads(message)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles a large array as the path of its file, and functions of scripts with their code."""

    def __init__(self, buffer: io.BytesIO, files: ArrayFiles) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        self._files = files
        self.arrays: list[NDArray[Any]] = []

    def reducer_override(self, value: Any) -> Any:
        if _is_large(value):
            self.arrays.append(value)
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
        self._positions: dict[int, int] = {}

    def persistent_id(self, value: Any) -> int | None:
        if not _is_large(value):
            return None
        if id(value) not in self._positions:
            self._positions[id(value)] = len(self.arrays)
            self.arrays.append(value)
        return self._positions[id(value)]


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
