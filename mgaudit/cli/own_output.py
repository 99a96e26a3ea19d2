"""Where the output of the user's own code goes: to stderr, or with --quiet to the log of the run.

Stdout is for results. Modules, networks, schemes, attacks and functions of the user may print when
they are imported, while they run, and when the process ends, also from C code and in workers.
"""

import ctypes
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mgaudit.failure import RunFailedError
from mgaudit.limits import LOGGED_BYTES

STDOUT, STDERR = 1, 2  # file descriptors
HEADING = "\nOutput of your own code:\n"


@dataclass
class OwnOutput:
    """The directory of the run to whose log the output is added; None where there is none."""

    folder: Path | None = None


class _Ending:
    """What happens to output after the last result."""

    is_quiet = False


@contextmanager
def own_output(quiet: bool) -> Iterator[OwnOutput]:
    """Sends what is written to stdout within the context to stderr.

    With `quiet`, what is written to stdout and stderr is added to the log of the run instead, or
    dropped without a run.
    """
    _Ending.is_quiet = quiet
    own = OwnOutput()
    with _file() if quiet else _no_file() as file:
        try:
            with _redirected(file):
                yield own
        except RunFailedError as error:
            own.folder = error.folder.path
            raise
        finally:
            if file is not None and own.folder is not None:
                _add_to_log(file, own.folder)


def end_output() -> None:
    """Sends what code writes to stdout from now on, as when the process ends, to stderr.

    After a quiet command it is dropped.
    """
    with suppress(AttributeError, OSError, ValueError):  # None, full or closed
        sys.stdout.flush()
    is_process = _descriptor(sys.stdout) == STDOUT
    sink = open(os.devnull, "w") if _Ending.is_quiet else sys.stderr  # noqa: SIM115
    if is_process:
        with suppress(AttributeError, OSError, ValueError):
            os.dup2(sink.fileno(), STDOUT)
    sys.stdout = sink


def is_redirected() -> bool:
    """Returns whether what is written to stderr goes to the log of a run."""
    return isinstance(sys.stderr, _FileStream)


@contextmanager
def _no_file() -> Iterator[None]:
    yield None


@contextmanager
def _file() -> Iterator[BinaryIO | None]:
    """Yields a new temporary file, or the null device where there can be none."""
    try:
        file: Any = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed below
    except OSError:
        file = open(os.devnull, "r+b", buffering=0)  # noqa: SIM115
    with file:
        yield file


@contextmanager
def _redirected(file: BinaryIO | None) -> Iterator[None]:
    """Sends stdout to stderr, or both to `file`."""
    streams = sys.stdout, sys.stderr
    numbers = (STDOUT,) if file is None else (STDOUT, STDERR)
    kept = _kept_descriptors(streams[: len(numbers)], numbers)
    _flush()
    try:
        if file is None:
            sys.stdout = sys.stderr
        else:
            sys.stdout = sys.stderr = _FileStream(file)
        for number in kept:
            with suppress(OSError):
                os.dup2(STDERR if file is None else file.fileno(), number)
        yield
    finally:
        _flush()
        sys.stdout, sys.stderr = streams
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


def _kept_descriptors(streams: tuple[Any, ...], numbers: tuple[int, ...]) -> dict[int, int]:
    """Returns copies of the descriptors that are those of the streams, by their numbers."""
    kept = {}
    for stream, number in zip(streams, numbers, strict=True):
        if _descriptor(stream) == number:
            with suppress(OSError):
                kept[number] = os.dup(number)
    return kept


def _descriptor(stream: Any) -> int | None:
    """Returns the descriptor of a stream; None for one that is no file, as in tests."""
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


class _FileStream(io.TextIOBase):
    """A text stream that writes to an unbuffered file, and drops texts once that is closed.

    Own code may keep the stream, for example in a handler of logging.
    """

    encoding = "utf-8"

    def __init__(self, file: BinaryIO) -> None:
        self.buffer = file

    def fileno(self) -> int:
        """Returns the descriptor of the file."""
        return self.buffer.fileno()

    def writable(self) -> bool:
        """Returns True."""
        return True

    def write(self, text: str) -> int:
        """Writes the text in UTF-8."""
        if not self.buffer.closed:
            self.buffer.write(text.encode(errors="backslashreplace"))
        return len(text)


def _flush() -> None:
    """Writes what streams of Python and of C code still have in memory."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)


def _add_to_log(file: BinaryIO, folder: Path) -> None:
    """Adds what was written to `file`, if anything, to the log of a run directory."""
    from mgaudit.storage.run_folder import LOG_FILE

    log = folder / LOG_FILE
    with suppress(OSError):
        file.seek(0)
        text = file.read(LOGGED_BYTES.most).decode(errors="backslashreplace")
        if text.strip():
            with log.open("a", encoding="utf-8", errors="backslashreplace") as lines:
                lines.write(HEADING + text)
