"""Files and folders that are there whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

PARTIAL_SUFFIX = ".partial"


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `content` beside `path` and renames it into place; an interrupted write leaves `path` as it was."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL_SUFFIX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp makes files that only their owner may read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
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
