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

from mgaudit.storage.atomic import set_aside, sweep_partial, write_atomically
from mgaudit.storage.checksums import arrays_sha256

# A single key: safetensors writes several keys in random order, and equal arrays must give equal
# files.
METADATA_KEY = "mgaudit"

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
    """Writes arrays and a text to a file, with the SHA-256 of its content and name."""
    write_content(path, content_of(path, arrays, text))


def content_of(path: Path, arrays: Mapping[str, NDArray[Any]], text: str) -> bytes:
    """Returns the content of the file at `path` for arrays and a text."""
    metadata = {"text": text, "sha256": _sha256(path, arrays, text)}
    # safetensors writes the memory of an array, whatever its strides are.
    rows_first = {name: np.asarray(values, order="C") for name, values in arrays.items()}
    content: bytes = save(rows_first, metadata={METADATA_KEY: json.dumps(metadata)})
    return content


def write_content(path: Path, content: bytes) -> None:
    """Writes the content of a file; a folder in its place is set aside.

    It is not flushed to the disk: the checksum tells a file that a power failure left incomplete.
    """
    if path.is_dir():
        set_aside(path)
    write_atomically(path, content, flush=False)


def load_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], str]:
    """Returns the stored arrays and text. The file is read once and its content is checked.

    Raises FileNotFoundError without the file, and DamagedFileError for a damaged one.
    """
    if path.exists() and not path.is_file():
        raise DamagedFileError(path, "it is not a file")
    return arrays_in(path, path.read_bytes())


def arrays_in(path: Path, content: bytes) -> tuple[dict[str, NDArray[Any]], str]:
    """Returns the arrays and the text of the content of the file at `path`.

    Raises DamagedFileError for content that is damaged, or of a file by another name.
    """
    try:
        arrays = load(content)
        header_length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + header_length])
        metadata = json.loads(header["__metadata__"][METADATA_KEY])
        text, sha256 = metadata["text"], metadata["sha256"]
    except (
        SafetensorError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
        OverflowError,
    ) as error:
        words = f"{type(error).__name__}: {error}".split()
        raise DamagedFileError(path, " ".join(words)) from error
    if not isinstance(text, str) or sha256 != _sha256(path, arrays, text):
        raise DamagedFileError(path, "its content does not have the stored SHA-256")
    return arrays, text


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
