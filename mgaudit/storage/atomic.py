"""Atomic writes: a file or folder is written completely or not at all."""

import glob
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from mgaudit.storage.listing import paths_in

try:
    import fcntl
except ImportError:  # Windows, where remnants are deleted by their age
    fcntl = None  # type: ignore[assignment]

PARTIAL_SUFFIX = ".partial"  # of a file or folder that is being written
ABANDONED_SECONDS = 3600.0  # after which no process is writing a partial file any more
ATTEMPTS = 100  # to write where other processes remove empty folders and abandoned files
DAMAGED_SUFFIX = ".damaged"  # of a file or folder that must not be read again


def write_atomically(path: Path, *content: bytes | memoryview, flush: bool = True) -> None:
    """Writes `content`, part by part, to a file beside `path` and renames the file to `path`.

    An interrupted write does not change `path`. With `flush`, the content is on the disk before the
    renaming, so that not even a power failure leaves an incomplete file. Flushing takes some
    milliseconds, often longer than the training of a small model.

    The file is written again if another process deletes it as abandoned before it is locked.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(FileNotFoundError):
            _write(path, content, flush)
            return
        if not path.parent.is_dir():
            break
    _write(path, content, flush)


def _write(path: Path, content: Sequence[bytes | memoryview], flush: bool) -> None:
    partial = path.parent / f".{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
    try:
        # os.open applies the umask; files of tempfile.mkstemp are readable only by their owner.
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            _lock(descriptor)  # until the file is closed, also by the end of this process
            for part in content:
                file.write(part)
            file.flush()
            if flush:
                os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_with_folder(
    path: Path, content: bytes, write: Callable[[Path, bytes], None] = write_atomically
) -> None:
    """Creates the folder of `path` and writes the file by `write`.

    Remnants that processes left there which ended while they wrote are deleted. Another process may
    remove the folder as long as it is empty. It is then created again.
    """
    sweep_abandoned(path.parent)
    for _ in range(ATTEMPTS - 1):
        # mkdir raises either error if the folder is removed while it looks at it.
        with suppress(FileNotFoundError, FileExistsError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, content)
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, content)


def write_folder_atomically(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder beside `path` and renames it to `path`.

    `files` has the content of each file by its path in the folder. A file or folder at `path` is
    replaced, and an interrupted write leaves it unchanged.
    """
    beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL_SUFFIX))
    new, old = beside / "new", beside / "old"
    try:
        for name, content in files.items():
            file = new / name
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, content)
        # A folder cannot be renamed onto a folder that is not empty.
        moved = os.path.lexists(path)
        if moved:
            os.replace(path, old)
        try:
            os.replace(new, path)
        except BaseException:
            if moved:
                os.replace(old, path)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def is_partial(name: str) -> bool:
    """Returns whether a file or folder of this name is a remnant of an interrupted write."""
    return name.startswith(".") and name.endswith(PARTIAL_SUFFIX)


def sweep_partial(folder: Path, older_than_seconds: float = 0.0, name: str = "") -> None:
    """Deletes the remnants of interrupted writes in the folder, of all files or of that `name`.

    Only remnants that were last changed more than `older_than_seconds` ago are deleted. No other
    process may be writing in the folder, unless each of its writes takes less time than that.
    """
    latest = time.time() - older_than_seconds
    pattern = f".{glob.escape(name)}.*{PARTIAL_SUFFIX}" if name else f".*{PARTIAL_SUFFIX}"
    for path in paths_in(folder, pattern):
        with suppress(FileNotFoundError):  # the writer is alive and has renamed it
            if older_than_seconds and path.lstat().st_mtime > latest:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def sweep_abandoned(folder: Path) -> None:
    """Deletes the partial folders in the folder, and the partial files that no process is writing.

    A file may be deleted that a process has just created and not yet locked; the process then
    writes it again.
    """
    for path in paths_in(folder, f".*{PARTIAL_SUFFIX}"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
            continue
        with suppress(OSError):  # renamed or deleted in between, or not a file
            descriptor = os.open(path, os.O_RDWR)
            try:
                is_abandoned = _lock(descriptor)
                if is_abandoned is None:
                    is_abandoned = time.time() - os.fstat(descriptor).st_mtime > ABANDONED_SECONDS
            finally:
                os.close(descriptor)
            if is_abandoned:
                path.unlink()


def _lock(descriptor: int) -> bool | None:
    """Locks an open file and returns whether that was possible; None where locks are unknown.

    False means that another process has the lock.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def set_aside(path: Path) -> Path:
    """Renames the damaged file or folder at `path`, so that it is not read again.

    Returns the new path: the old one with DAMAGED_SUFFIX, and a number if that exists already.
    """
    name = f"{path.name}{DAMAGED_SUFFIX}"
    aside = path.with_name(name)
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{name}-{number}")
    os.replace(path, aside)
    return aside
