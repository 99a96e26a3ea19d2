"""Runs tasks in this process or in worker processes on this machine."""

import ctypes
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky.backend.reduction import dumps

# Parameters of mallopt(3), by the numbers in glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
KEPT_BYTES, TOP_PAD_BYTES = 2**30, 2**26

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


def default_jobs(device: str) -> int:
    """Returns the number of worker processes: one per available core on "cpu", one on "cuda"."""
    return 1 if device == "cuda" else int(cpu_count())


def jobs_on_cpu(jobs: int, device: str) -> int:
    """Returns the number of processes for work that no GPU does.

    On "cuda", `jobs` is the number of processes that share the GPU; other work uses every core.
    """
    return jobs if device == "cpu" else default_jobs("cpu")


def can_be_sent(value: object) -> bool:
    """Returns whether a value, such as a function, can be sent to worker processes."""
    try:
        dumps(value)
    except Exception:  # pickling calls code of the value's own, which may raise anything
        return False
    return True


def run(function: Callable[[Task], Outcome], tasks: Sequence[Task], jobs: int) -> Iterator[Outcome]:
    """Yields `function(task)` for each task, in order of completion.

    The tasks run in `jobs` worker processes with one thread each. With one job, or with at most one
    task, they run in this process in the order of `tasks`. Without a task nothing is yielded.

    Large arrays of a task are passed to the workers by memory map. Workers search for modules in
    the same directories as this process, including the user's current directory.
    """
    if jobs == 1 or len(tasks) <= 1:
        _keep_big_blocks()
        yield from map(function, tasks)
        return
    start = {"initializer": _start_worker, "initargs": (tuple(sys.path),)}
    with _safe_path(), parallel_config(backend="loky", inner_max_num_threads=1, **start):
        # mmap_mode "c": torch can wrap the arrays, and workers cannot change the files on disk.
        workers = Parallel(
            n_jobs=min(jobs, len(tasks)), return_as="generator_unordered", mmap_mode="c"
        )
        yield from workers(delayed(function)(task) for task in tasks)


@contextmanager
def _safe_path() -> Iterator[None]:
    """Sets `PYTHONSAFEPATH` for Python processes that are started in this context.

    Without it, a worker, which is started with `-m`, searches for every module in the current
    directory first. A file `random.py` there would replace the module of the standard library.
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
    """Prepares a worker process: sets its module search path and ignores Ctrl-C.

    Ctrl-C reaches the whole process group. The parent process ends its workers.
    """
    sys.path[:] = path
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _keep_big_blocks()


def _keep_big_blocks() -> None:
    """Makes glibc keep freed memory blocks of any size, up to 1 GiB at the top of the heap.

    By default glibc returns large blocks to the kernel. Each training step frees and allocates the
    same megabytes, and the kernel would have to clear every page that it allocates again. With
    another C library, nothing is changed.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    libc.mallopt(M_TOP_PAD, TOP_PAD_BYTES)
