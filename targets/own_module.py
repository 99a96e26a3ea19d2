"""The user's own Python code: how it is found, and how what it raises is told."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

MACHINERY = (__file__, importlib.__file__, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")


# The modules that were asked for and not imported, within `not_imported`.
_refused: ContextVar[list[str] | None] = ContextVar("refused", default=None)


@contextmanager
def not_imported() -> Iterator[list[str]]:
    """Lets `imported` refuse every module within a `with` block, and yields the names of those that it refused."""
    names: list[str] = []
    token = _refused.set(names)
    try:
        yield names
    finally:
        _refused.reset(token)


def imported(name: str) -> ModuleType:
    """Returns the module, which is looked for in the current folder too.

    The folder comes last on the path, so that no file in it stands in for a package that mgaudit needs, and it stays
    there for worker processes. What the import raises is the user's own.
    """
    refused = _refused.get()
    if refused is not None:
        refused.append(name)
        raise ImportError(f"{name} is not imported here")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
        importlib.invalidate_caches()
    return importlib.import_module(name)


def told(error: Exception) -> str:
    """Returns what was raised in one line."""
    return f"{type(error).__name__}: {one_line(error)}"


def told_with_place(error: Exception) -> str:
    """Returns what was raised in one line, with the line of the user's code that raised it."""
    frames = [frame for frame in extract_tb(error.__traceback__)[1:] if frame.filename not in MACHINERY]
    return f"{told(error)} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else told(error)


def one_line(error: Exception) -> str:
    """Returns the message without its line breaks."""
    return " ".join(str(error).split())
