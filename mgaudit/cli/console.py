"""The consoles: results on stdout, progress and errors on stderr."""

import sys
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from mgaudit.errors import UsageError

out = Console(soft_wrap=False)
err = Console(stderr=True)


def print_paths(paths: Sequence[Path]) -> None:
    """Prints each path on a line of its own, however long."""
    for path in paths:
        out.print(Text(str(path)), soft_wrap=True)


def confirmed(question: str) -> bool:
    """Returns the answer to a question. Raises UsageError where no answer can be typed."""
    no_answer = UsageError("--yes", "must be given where no answer can be typed", None, "add --yes")
    if sys.stdin is None:  # closed before the start
        raise no_answer
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        if sys.stdin.isatty():
            raise  # Ctrl-C
        err.print()  # ends the line of the question
        raise no_answer from None
