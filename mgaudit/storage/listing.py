"""List folders that another process may remove."""

from fnmatch import filter as matching
from os import listdir
from pathlib import Path


def paths_in(folder: Path, pattern: str) -> list[Path]:
    """Returns the paths in a folder whose names match the pattern, sorted by name.

    There are none without the folder, and none in a folder that may not be listed. `Path.glob`
    raises FileNotFoundError where the folder is removed while it looks at it.
    """
    try:
        names = listdir(folder)
    except OSError:
        return []
    return [folder / name for name in sorted(matching(names, pattern))]
