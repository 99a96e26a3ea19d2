"""The check that a dataset's path is that of a file."""

from pathlib import Path

from mgaudit.errors import UsageError


def check_regular_file(key: str, path: Path, way_out: str) -> None:
    """Raises UsageError for a path without a file, and for a directory, a pipe or a device."""
    if path.is_file():
        return
    kind = "a directory, pipe or device" if path.exists() else "no file"
    raise UsageError(key, "must be a file", f"{kind} at {str(path)!r}", way_out)
