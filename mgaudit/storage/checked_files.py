"""Files of arrays whose content is checked whenever they are read, and the lock of their folder."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mgaudit.compute.mapped_copy import mapped_copy
from mgaudit.storage.atomic import set_aside, sweep_partial, write_atomically
from mgaudit.storage.checksums import arrays_sha256

# A single key: safetensors writes several keys in random order, and equal arrays must give equal
# files.
METADATA_KEY = "mgaudit"
LENGTH_BYTES, ALIGNMENT = 8, 8  # of the header in a safetensors file
TYPES = {"F32": np.float32}  # of the arrays in large files
MAPPED_BYTES = 2**22  # of the smallest file from which arrays are mapped

HOLDER_FILE = ".lock-holder"  # beside the lock
UNKNOWN_HOLDER = "another process"
LONGEST_HOLDER = 300  # characters
PATIENCE_SECONDS = 1.0  # how long to wait for a lock before the wait is announced


class DamagedFileError(Exception):
    """Raised for a stored file whose content is not the content that was written to it."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"the stored file {path} is damaged ({reason})")


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], text: str) -> None:
    """Writes arrays and a text to a file, with the SHA-256 of its content and name.

    Arrays of float32 in C order, such as logits, are written as they are in memory.
    """
    are_plain = all(
        values.dtype == np.float32 and values.flags.c_contiguous for values in arrays.values()
    )
    if are_plain:
        write_content(path, *_parts(path, arrays, text))
    else:
        write_content(path, content_of(path, arrays, text))


def content_of(path: Path, arrays: Mapping[str, NDArray[Any]], text: str) -> bytes:
    """Returns the content of the file at `path` for arrays and a text."""
    # safetensors writes the memory of an array, whatever its strides are.
    rows_first = {name: np.asarray(values, order="C") for name, values in arrays.items()}
    content: bytes = save(rows_first, metadata=_metadata(path, arrays, text))
    return content


def _parts(
    path: Path, arrays: Mapping[str, NDArray[np.float32]], text: str
) -> list[bytes | memoryview]:
    """Returns the parts of `content_of` for arrays of float32 in C order, which are not copied."""
    header: dict[str, Any] = {"__metadata__": _metadata(path, arrays, text)}
    names, end = sorted(arrays), 0
    for name in names:
        begin, end = end, end + arrays[name].nbytes
        shape = list(arrays[name].shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    line = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    line += b" " * (-len(line) % ALIGNMENT)
    bytes_of_arrays = [arrays[name].reshape(-1).view(np.uint8).data for name in names]
    return [len(line).to_bytes(LENGTH_BYTES, "little"), line, *bytes_of_arrays]


def _metadata(path: Path, arrays: Mapping[str, NDArray[Any]], text: str) -> dict[str, str]:
    metadata = {"text": text, "sha256": _sha256(path, arrays, text)}
    return {METADATA_KEY: json.dumps(metadata)}


def write_content(path: Path, *content: bytes | memoryview) -> None:
    """Writes the content of a file, part by part; a folder in its place is set aside.

    It is not flushed to the disk: the checksum tells a file that a power failure left incomplete.
    """
    if path.is_dir():
        set_aside(path)
    write_atomically(path, *content, flush=False)


def load_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], str]:
    """Returns the stored arrays and text. The file is read once and its content is checked.

    Raises FileNotFoundError without the file, and DamagedFileError for a damaged one.
    """
    _require_file(path)
    return arrays_in(path, path.read_bytes())


def map_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], str]:
    """Returns arrays as `load_arrays`, read-only and mapped from a copy of a large file.

    The copy is checked, so that the arrays stay as they are, whatever happens to the file. Small
    files are read, and large ones too where there is no space for a copy.
    """
    _require_file(path)
    if path.stat().st_size < MAPPED_BYTES:
        return load_arrays(path)
    try:
        mapped = mapped_copy(path)
    except FileNotFoundError:
        raise
    except OSError:
        return load_arrays(path)
    with _damage(path):
        header, first = _header(mapped)
        metadata = header.pop("__metadata__")
        arrays, last = {}, first
        for name, entry in header.items():
            begin, end = (first + offset for offset in entry["data_offsets"])
            values = mapped[begin:end].view(TYPES[entry["dtype"]]).view(np.ndarray)
            arrays[name], last = values.reshape(entry["shape"]), max(last, end)
        if last != len(mapped):
            raise ValueError(f"{len(mapped)} bytes instead of {last}")
        return arrays, _checked_text(path, arrays, metadata)


def arrays_in(path: Path, content: bytes) -> tuple[dict[str, NDArray[Any]], str]:
    """Returns the arrays and the text of the content of the file at `path`.

    Raises DamagedFileError for content that is damaged, or of a file by another name.
    """
    with _damage(path):
        arrays = load(content)
        header, _ = _header(np.frombuffer(content, np.uint8))
        return arrays, _checked_text(path, arrays, header["__metadata__"])


def _require_file(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise DamagedFileError(path, "it is not a file")


def _header(content: NDArray[np.uint8]) -> tuple[dict[str, Any], int]:
    """Returns the header of the content of a file, and the number of bytes until its end."""
    length = int.from_bytes(content[:LENGTH_BYTES].tobytes(), "little")
    end = LENGTH_BYTES + length
    return json.loads(content[LENGTH_BYTES:end].tobytes()), end


def _checked_text(
    path: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> str:
    """Returns the text of a file. Raises DamagedFileError unless all has the stored SHA-256."""
    stored = json.loads(metadata[METADATA_KEY])
    text, sha256 = stored["text"], stored["sha256"]
    if not isinstance(text, str) or sha256 != _sha256(path, arrays, text):
        raise DamagedFileError(path, "its content does not have the stored SHA-256")
    return text


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Raises DamagedFileError in place of the errors of content that is not as it was written."""
    try:
        yield
    except (
        SafetensorError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        words = f"{type(error).__name__}: {error}".split()
        raise DamagedFileError(path, " ".join(words)) from error


def set_damaged_aside(
    error: DamagedFileError, on_damage: Callable[[str], None], repair: str
) -> None:
    """Renames a damaged file and calls `on_damage` with a message; `repair` says what is next."""
    aside = set_aside(error.path)
    on_damage(f"{error}; set aside as {aside.name}, {repair}")


@contextmanager
def locked_folder(
    folder: Path, determined_by: str, on_wait: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Prevents other processes from writing to the folder, and deletes partial files.

    The folder is created, with `determined_by` as its settings.json. `on_wait` is called before
    waiting for another process that has the lock.
    """
    lock = FileLock(folder / ".lock")
    while True:
        _make_folder(folder)
        try:
            _acquire(lock, on_wait)
            break
        except FileNotFoundError:  # `mgaudit cache` removed the folder in between
            continue
    try:
        (folder / HOLDER_FILE).write_text(f"process {os.getpid()} on {gethostname()}")
        sweep_partial(folder)
        settings = folder / "settings.json"
        if settings.is_dir():
            set_aside(settings)
        write_atomically(settings, determined_by.encode())
        yield
    finally:
        sweep_partial(folder)  # partial files of interrupted workers
        lock.release()


def _make_folder(folder: Path) -> None:
    """Creates a folder, and renames what is in its place or in that of its lock."""
    if os.path.lexists(folder) and not folder.is_dir():
        set_aside(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock_path = folder / ".lock"
    if lock_path.is_dir():
        set_aside(lock_path)


def _acquire(lock: FileLock, on_wait: Callable[[], None]) -> None:
    try:
        lock.acquire(timeout=PATIENCE_SECONDS)
    except Timeout:
        on_wait()
        lock.acquire()


def lock_holder(folder: Path) -> str:
    """Returns in words the process that has, or had last, the lock of a folder."""
    try:
        with (folder / HOLDER_FILE).open(encoding="utf-8") as file:
            return file.read(LONGEST_HOLDER) or UNKNOWN_HOLDER
    except (OSError, ValueError):
        return UNKNOWN_HOLDER


def _sha256(path: Path, arrays: Mapping[str, NDArray[Any]], text: str) -> str:
    """Returns the SHA-256 of a file's arrays, its text, and the names of folder and file."""
    parts = [path.parent.name, path.name, arrays_sha256(arrays), text]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
