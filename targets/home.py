"""Paths that the user writes, in which `~` is a home directory."""

import os
from pathlib import Path

from mgaudit.errors import UsageError


def with_home(path: str | os.PathLike[str], key: str) -> Path:
    """Returns the path with `~` or `~user` at its start replaced by the home directory.

    A file or directory whose name begins with `~` is found under that name, if there is no user of
    that name. `key` names the argument in errors.

    Raises:
        UsageError: If there is no such home directory, and nothing of that name either. mgaudit
            would otherwise create a directory named `~user`.

    >>> with_home("runs/x~", "--out")
    PosixPath('runs/x~')
    """
    expanded = Path(os.path.expanduser(path))
    first = expanded.parts[0] if expanded.parts else ""
    if first.startswith("~") and not os.path.lexists(first):
        rule = f"must begin with the home directory of a user, and there is none for {first!r}"
        raise UsageError(key, rule, repr(str(path)), "write the whole path")
    return expanded
