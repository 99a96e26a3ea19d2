"""Where work runs: in this process or on this machine's cores."""

import ctypes
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from joblib import Parallel, cpu_count, delayed, parallel_config

# Parameters of mallopt(3), by the numbers in glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEPT_BYTES, TOP_PAD_BYTES = 2**30, 2**26

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


def default_jobs(device: str) -> int:
    """Returns how many workers to use: one for each core this process may use, and one alone on a GPU."""
    return 1 if device == "cuda" else int(cpu_count())


def run(function: Callable[[Task], Outcome], tasks: Sequence[Task], jobs: int) -> Iterator[Outcome]:
    """Yields the outcome of each task as it comes, in any order, from `jobs` worker processes of one thread each.

    With one job the work is done in this process. Large arrays in a task reach the workers by memory map. Workers find
    modules where this process finds them, the user's own in the current folder among them.
    """
    if jobs == 1 or len(tasks) <= 1:
        _keep_big_blocks()
        yield from map(function, tasks)
        return
    start = {"initializer": _start_worker, "initargs": (tuple(sys.path),)}
    with _safe_path(), parallel_config(backend="loky", inner_max_num_threads=1, **start):
        # mmap_mode "c" gives workers arrays that torch may wrap, and that stay unchanged on disk.
        workers = Parallel(
            n_jobs=min(jobs, len(tasks)), return_as="generator_unordered", mmap_mode="c"
        )
        yield from workers(delayed(function)(task) for task in tasks)


@contextmanager
def _safe_path() -> Iterator[None]:
    """Starts Python processes with `PYTHONSAFEPATH`.

    Without it a worker, which is started with `-m`, looks for every module in the current folder first. A file
    `random.py` there would then replace the module of the standard library.
    """
    previous = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if previous is None:
            os.environ.pop("PYTHONSAFEPATH", None)
        else:
            os.environ["PYTHONSAFEPATH"] = previous


def _start_worker(path: tuple[str, ...]) -> None:
    """Sets where modules are found, and keeps a worker silent when Ctrl-C reaches the whole process group.

    The parent then ends it.
    """
    sys.path[:] = path
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _keep_big_blocks()


def _keep_big_blocks() -> None:
    """Tells glibc to keep freed blocks of any size, up to a GiB at the top of the heap, instead of returning them.

    A training step frees and asks for the same megabytes again and again, and the kernel clears each page that it
    hands out anew.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for parameter, value in (
            (M_MMAP_MAX, 0),
            (M_TRIM_THRESHOLD, KEPT_BYTES),
            (M_TOP_PAD, TOP_PAD_BYTES),
        ):
            libc.mallopt(parameter, value)
