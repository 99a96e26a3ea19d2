"""Where work runs: in this process or on this machine's cores."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from joblib import Parallel, cpu_count, delayed, parallel_config

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
        yield from map(function, tasks)
        return
    start = {"initializer": _start_worker, "initargs": (tuple(sys.path),)}
    with parallel_config(backend="loky", inner_max_num_threads=1, **start):
        # mmap_mode "c" gives workers arrays that torch may wrap, and that stay unchanged on disk.
        workers = Parallel(n_jobs=min(jobs, len(tasks)), return_as="generator_unordered", mmap_mode="c")
        yield from workers(delayed(function)(task) for task in tasks)


def _start_worker(path: tuple[str, ...]) -> None:
    """Sets where modules are found, and keeps a worker silent when Ctrl-C reaches the whole process group.

    The parent then ends it.
    """
    sys.path[:] = path
    signal.signal(signal.SIGINT, signal.SIG_IGN)
