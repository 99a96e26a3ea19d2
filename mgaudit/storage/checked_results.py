"""Writes the results of a run together with their checksums, so that a kill leaves valid files."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mgaudit.errors import UsageError
from mgaudit.reports.checksums import Checksums, checksums_text, read_checksums
from mgaudit.reports.files import CHECKSUMS_FILE
from mgaudit.storage.atomic import write_atomically

# The lock of a process that replaces the results and their checksums, which takes seconds.
CHECKSUMS_LOCK = ".checksums.lock"
PATIENCE_SECONDS = 60.0


def write_results(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes files by name into a run directory, in their order, and their checksums.

    Between the first and the last write, the checksums of the earlier files are valid, too.
    """
    new = {name: frozenset({_sha256(content)}) for name, content in contents.items()}
    with _lock(folder):
        earlier = _valid_checksums(folder, contents)
        both = {name: new[name] | earlier.get(name, frozenset()) for name in new}
        _write_checksums(folder, both)
        for name, content in contents.items():
            write_atomically(folder / name, content)
        _write_checksums(folder, new)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Prevents other processes from writing results into the folder at the same time."""
    lock = FileLock(folder / CHECKSUMS_LOCK, timeout=PATIENCE_SECONDS)
    with suppress(Timeout):  # the other process was stopped
        lock.acquire()
    try:
        yield
    finally:
        if lock.is_locked:
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _valid_checksums(folder: Path, names: Iterable[str]) -> Checksums:
    """Returns the checksums that the files in the folder may have at present."""
    try:
        checksums = read_checksums(folder)
    except UsageError:
        return {}
    if checksums is not None:
        return checksums
    files = [folder / name for name in names]  # of an earlier version, without checksums
    return {file.name: frozenset({_sha256(file.read_bytes())}) for file in files if file.is_file()}


def _write_checksums(folder: Path, checksums: Checksums) -> None:
    write_atomically(folder / CHECKSUMS_FILE, checksums_text(checksums).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
