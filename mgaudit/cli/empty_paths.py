"""An option for a directory whose value is empty, as --out "$UNSET" in a script."""

from collections.abc import Sequence
from itertools import pairwise

from mgaudit.errors import UsageError

OPTIONS = ("--out", "--runs")


def refuse_empty_directories(words: Sequence[str]) -> None:
    """Raises UsageError for an empty directory, which pathlib takes for the current one.

    `words` are those of the command line, without the name of the program.
    """
    pairs = [*pairwise(words), *(word.split("=", 1) for word in words if "=" in word)]
    for option, value in pairs:
        if option in OPTIONS and value == "":
            way_out = "write . for the current directory"
            raise UsageError(option, "must be the path of a directory", "''", way_out)
