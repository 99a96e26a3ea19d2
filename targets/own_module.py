"""The user's own Python code: how it is loaded, and how its errors are reported."""

import importlib
import sys
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

MACHINERY = (__file__, importlib.__file__, "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")


def load_module(name: str) -> ModuleType:
    """Returns the module, which is looked for in the current folder too.

    The folder comes last on the path, so that no file in it stands in for a package that mgaudit needs, and it stays
    there for worker processes. What the import raises is the user's own.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
        importlib.invalidate_caches()
    return importlib.import_module(name)


def error_line(error: Exception) -> str:
    """Returns what was raised in one line."""
    return f"{type(error).__name__}: {one_line(error)}"


def error_line_with_place(error: Exception) -> str:
    """Returns what was raised in one line, with the line of the user's code that raised it."""
    frames = [frame for frame in extract_tb(error.__traceback__)[1:] if frame.filename not in MACHINERY]
    return (
        f"{error_line(error)} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
        if frames
        else error_line(error)
    )


def one_line(error: Exception) -> str:
    """Returns the message without its line breaks."""
    return " ".join(str(error).split())
