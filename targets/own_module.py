"""Loading of the user's own Python code, and reporting of its errors."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import NoReturn

# Everything that the user's or third-party code may raise, including sys.exit, which must not end
# mgaudit silently.
RAISED = (Exception, SystemExit)

LONGEST_SENTENCE = 150  # characters of an error of a library that a short line shows

# Frames of the import system, which are not the user's code.
IMPORT_FRAMES = (
    __file__,
    importlib.__file__,
    "<frozen importlib._bootstrap>",
    "<frozen importlib._bootstrap_external>",
)


def load_module(name: str) -> ModuleType:
    """Returns the module of this name, which is also searched for in the current directory.

    The current directory is added at the end of `sys.path`, so that no file in it replaces a
    package that mgaudit needs, and stays there for worker processes. Errors of the import are
    raised unchanged.
    """
    directory = str(Path.cwd())
    if directory not in sys.path:
        sys.path.append(directory)
        importlib.invalidate_caches()
    return importlib.import_module(name)


@contextmanager
def refused_os_exit() -> Iterator[None]:
    """Makes `os._exit` raise RuntimeError in this process, as long as the context is open.

    Own code that runs in this process could otherwise end a command with exit code 0 and without a
    result. Forked processes may end as they like: `multiprocessing` needs `os._exit` there. Code in
    C that ends the process is not noticed.
    """
    end, process = os._exit, os.getpid()

    def refuse(status: int) -> NoReturn:
        if os.getpid() != process:
            end(status)
        raise RuntimeError(f"os._exit({status}) was called, which would end mgaudit without result")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = end


def import_way_out(name: str) -> str:
    """Returns how the import of a module of this name, which failed, can be fixed."""
    own = _own_path(name)
    if own is None:
        return "start mgaudit in its directory"
    return hidden_way_out(name) or f"correct {own}"


def hidden_way_out(name: str) -> str:
    """Returns what to rename where Python finds another module than that of the current directory.

    For example, the file `attacks/own.py` is not found if Python finds a package `attacks`
    elsewhere first. Returns "" where there is no such file or no other module.
    """
    own, top = _own_path(name), name.partition(".")[0]
    loaded = sys.modules.get(top)
    if own is None or loaded is None:
        return ""
    paths = [getattr(loaded, "__file__", None), *getattr(loaded, "__path__", ())]
    origins = [Path(path) for path in paths if path]
    if any(origin == own or origin.parent == own for origin in origins):
        return ""
    other = f"finds {origins[0]}" if origins else "has a module"
    return f"rename {own}, because Python {other} of the name {top!r} first"


def _own_path(name: str) -> Path | None:
    """Returns the file or directory of a top-level module in the current directory, or None."""
    top = Path.cwd() / name.partition(".")[0]
    candidates = (top, top.with_name(f"{top.name}.py"))
    return next((path for path in candidates if path.exists()), None)


def error_line(error: BaseException) -> str:
    """Returns "Kind: message" of an error in one line, or "Kind" if the message is empty."""
    message = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {message}" if message else kind


def short_error_line(error: BaseException) -> str:
    """Returns "Kind: first sentence" of an error, at most LONGEST_SENTENCE characters.

    >>> short_error_line(ValueError("No rule for aten::x.input. We could not. Please file"))
    'ValueError: No rule for aten::x.input'
    """
    first = error_line(error).partition(". ")[0]
    return first if len(first) <= LONGEST_SENTENCE else f"{first[:LONGEST_SENTENCE]}…"


def error_line_with_place(error: BaseException) -> str:
    """Returns an error in one line, with the file and line of the user's code that raised it.

    File and line are left out if the traceback has no frame of the user's code.
    """
    line = error_line(error)
    called = extract_tb(error.__traceback__)[1:]
    frames = [frame for frame in called if frame.filename not in IMPORT_FRAMES]
    if not frames:
        return line
    last = frames[-1]
    return f"{line} ({Path(last.filename).name}, line {last.lineno})"


def one_line(error: BaseException) -> str:
    """Returns the message without line breaks, or the name of the exception if it is empty."""
    message = " ".join(str(error).split())
    return message or type(error).__name__
