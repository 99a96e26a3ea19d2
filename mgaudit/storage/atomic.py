"""Files and folders that are there whole or not at all."""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PARTIAL_SUFFIX = ".partial"
DAMAGED_SUFFIX = ".damaged"


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `content` beside `path` and renames it into place; an interrupted write leaves `path` as it was."""
    partial = path.parent / f".{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
    try:
        # os.open applies the umask; tempfile.mkstemp makes files that only their owner may read.
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_folder_atomically(path: Path, files: Mapping[str, bytes]) -> None:
    """Writes the files, by their paths in the folder, beside `path` and renames the folder into place.

    Whatever is at `path` is replaced; when the write is interrupted, it is left as it was.
    """
    beside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL_SUFFIX))
    new, old = beside / "new", beside / "old"
    try:
        for name, content in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(new / name, content)
        # A folder cannot be renamed onto one that holds something.
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
    """Returns whether a file or folder of that name is what an interrupted write leaves."""
    return name.startswith(".") and name.endswith(PARTIAL_SUFFIX)


def sweep_partial(folder: Path, older_than_seconds: float = 0.0) -> None:
    """Deletes what interrupted writes left in the folder.

    The caller must know that no other process is writing there, or else give an age that no write reaches.
    """
    latest = time.time() - older_than_seconds
    for path in folder.glob(f".*{PARTIAL_SUFFIX}"):
        with suppress(FileNotFoundError):  # its writer was alive and has renamed it
            if older_than_seconds and path.lstat().st_mtime > latest:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def set_aside(path: Path) -> Path:
    """Renames what is at `path`, a file or a folder, so that it is never read again. Returns its new path."""
    number = 1
    while True:
        aside = path.with_name(f"{path.name}{DAMAGED_SUFFIX}{'' if number == 1 else f'-{number}'}")
        if not os.path.lexists(aside):
            os.replace(path, aside)
            return aside
        number += 1
