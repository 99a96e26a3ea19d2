"""The consoles: results on stdout, progress and errors on stderr."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

out = Console(soft_wrap=False)
err = Console(stderr=True)


def print_paths(paths: Sequence[Path]) -> None:
    """Prints each path on a line of its own, however long."""
    for path in paths:
        out.print(Text(str(path)), soft_wrap=True)
