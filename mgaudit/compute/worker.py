"""The main loop of a worker process: it reads a task, runs it, and writes the outcome.

Tasks arrive on stdin and outcomes leave on stdout. A message is the number of its parts, and for
each its length and its bytes; numbers have 8 bytes. The first part is a pickled value, and the
others are its large arrays.
"""

import ctypes
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from mgaudit.compute.heap import keep_big_blocks, release_free_blocks
from mgaudit.compute.messages import LARGE_BYTES, Part, packed_outcome, unpacked
from mgaudit.targets.cache import CACHE_VARIABLE

PR_SET_PDEATHSIG = 1  # prctl(2)
INTERRUPTIONS = {
    getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)
}  # Windows has no SIGHUP


class RemoteTraceback(Exception):
    """The traceback of an error in a worker, as text. It is the cause of the error elsewhere."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def read_message(stream: BinaryIO) -> list[Part] | None:
    """Returns the parts of the next message of a stream; None at its end, also within a message."""
    parts: list[Part] = []
    count = _read_number(stream)
    while count is not None and len(parts) < count:
        length = _read_number(stream)
        if length is None:
            return None
        part = bytearray(length)  # which arrays can be written to, unlike bytes
        if stream.readinto(part) < length:  # type: ignore[attr-defined]
            return None
        parts.append(part)
    return None if count is None else parts


def _read_number(stream: BinaryIO) -> int | None:
    content = stream.read(8)
    return int.from_bytes(content, "little") if len(content) == 8 else None


def write_message(stream: BinaryIO, parts: Sequence[Part]) -> None:
    """Writes the parts of a message to a stream."""
    stream.write(len(parts).to_bytes(8, "little"))
    for part in parts:
        stream.write(len(part).to_bytes(8, "little"))
        stream.write(part)
    stream.flush()


def message_bytes(parts: Sequence[Part]) -> int:
    """Returns the size of a message."""
    return sum(map(len, parts))


@contextmanager
def interruptions_blocked() -> Iterator[None]:
    """Has processes that are started in the context begin with Ctrl-C and SIGHUP blocked.

    A worker would otherwise end with a traceback before it can ignore them. This process receives
    them when the context is left, or at once if it has other threads.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTIONS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def main(parent: int, module: str = "") -> None:
    """Runs the tasks that arrive on stdin until it ends. What tasks print goes to stderr.

    Args:
        parent: The process that started this one, and with which it ends.
        module: A module that the tasks will need, imported before the first arrives; "" for none.
    """
    # Ctrl-C and a lost terminal reach the whole process group. The parent ends its workers.
    for number in INTERRUPTIONS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):  # they were blocked when the parent started this process
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTIONS)
    _die_with(parent)
    tasks, outcomes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    keep_big_blocks()
    if module:
        with suppress(Exception):  # the tasks then say what is missing
            importlib.import_module(module)
    while (message := read_message(tasks)) is not None:
        outcome = _outcome(message)
        is_large = max(message_bytes(message), message_bytes(outcome)) >= LARGE_BYTES
        try:
            write_message(outcomes, outcome)
        except BrokenPipeError:  # the parent was killed
            break
        del message, outcome  # while this waits for the next task
        if is_large:
            release_free_blocks()
    # Modules of users may have registered functions that hang at exit.
    os._exit(0)


def _outcome(message: Sequence[Part]) -> list[Part]:
    """Returns the packed pair (what the task returned, None), or (None, what it raised)."""
    try:
        cache, function, arguments = unpacked(message)
        os.environ[CACHE_VARIABLE] = str(cache)
        return packed_outcome((function(*arguments), None))
    except BaseException as error:  # also SystemExit, which users' code may raise
        return _failure(error)


def _failure(error: BaseException) -> list[Part]:
    error.__cause__ = RemoteTraceback("".join(traceback.format_exception(error)))
    error.__traceback__ = None
    try:
        failure = packed_outcome((None, (error, error.__cause__)))
        unpacked(failure)  # an error whose class has other arguments cannot be built again
    except Exception:
        words = f"{type(error).__name__}: {error}"
        failure = packed_outcome((None, (RuntimeError(words), error.__cause__)))
    return failure


def _die_with(parent: int) -> None:
    """Makes Linux kill this process when the parent ends for any reason, or has ended already."""
    if sys.platform != "linux":
        return  # elsewhere a worker ends when it reads its next task or writes its outcome
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def described_end(return_code: int) -> str:
    """Returns how a process ended, in words, from its return code.

    >>> described_end(3), described_end(-9)
    ('exit code 3', 'killed by SIGKILL')
    """
    if return_code >= 0:
        return f"exit code {return_code}"
    try:
        return f"killed by {signal.Signals(-return_code).name}"
    except ValueError:
        return f"killed by signal {-return_code}"


def error_of(failure: Any) -> BaseException:
    """Returns the error of a failed task, with its traceback in the worker as its cause."""
    error, cause = failure
    error.__cause__ = cause
    return error  # type: ignore[no-any-return]
