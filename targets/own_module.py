"""The user's own Python code: how it is loaded, and how its errors are reported."""

import importlib
import sys
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

# What code of others may raise: anything, also by sys.exit, which must not end mgaudit without a word.
RAISED = (Exception, SystemExit)

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


def error_line(error: BaseException) -> str:
    """Returns what was raised in one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def error_line_with_place(error: BaseException) -> str:
    """Returns what was raised in one line, with the line of the user's code that raised it."""
    frames = [frame for frame in extract_tb(error.__traceback__)[1:] if frame.filename not in MACHINERY]
    return (
        f"{error_line(error)} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})"
        if frames
        else error_line(error)
    )


def one_line(error: BaseException) -> str:
    """Returns the message without its line breaks, or the name of the exception where there is no message."""
    return " ".join(str(error).split()) or type(error).__name__
