"""Where tasks run by default: in this process, or in worker processes on this machine."""

import atexit
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from joblib import cpu_count

from mgaudit.compute.fingerprint import cpu_kind
from mgaudit.compute.pool import Pool
from mgaudit.compute.processes import Processes
from mgaudit.compute.this_process import ThisProcess

IDLE_SECONDS = 300.0  # after which idle workers are ended

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


def run(
    function: Callable[[Task], Outcome],
    tasks: Sequence[Task],
    jobs: int,
    on_event: Callable[[str], None] | None = None,
    on_gpu: bool = False,
) -> Iterator[Outcome]:
    """Yields `function(task)` for each task, in order of completion.

    The tasks run in `jobs` worker processes with one thread each. With one job, or with at most one
    task, they run in this process in the order of `tasks`. Without a task nothing is yielded.
    `on_event` is called with a sentence if a worker dies. Tasks `on_gpu` need a GPU, as those of
    `Pool.submit`.
    """
    here = len(tasks) <= 1
    with ThisProcess() if here else pool_of(jobs) as pool:
        if on_event is not None:
            pool.on_event = on_event
        for task in tasks:
            pool.submit(function, task, on_gpu=on_gpu)
        for future in pool.completed():
            yield future.result()


@dataclass(frozen=True)
class Elsewhere:
    """A place other than this machine: its pools, and the kinds of its CPUs and of its GPUs."""

    new_pool: Callable[[], Pool]
    cpus: str
    gpus: str


@contextmanager
def tasks_run(place: Elsewhere) -> Iterator[None]:
    """Makes `pool_of` within the context return pools of another place."""
    token = _elsewhere.set(place)
    try:
        yield
    finally:
        _elsewhere.reset(token)


def processors(device: str) -> str:
    """Returns the kinds of the processors on which tasks on "cpu" or "cuda" run.

    Rounding depends on them. The GPU of this machine is "", because results name it elsewhere.
    """
    place = _elsewhere.get()
    if place is not None:
        return place.gpus if device == "cuda" else place.cpus
    return "" if device == "cuda" else cpu_kind()


@contextmanager
def pool_of(jobs: int) -> Iterator[Pool]:
    """Yields a pool of `jobs` processes; with one job, tasks run in this process.

    Within the context of a cluster, it is a pool on the cluster.

    When the context is left, tasks that still run are stopped. Idle workers are kept for the next
    pool, because each takes seconds to import its libraries, and end after `IDLE_SECONDS`.
    """
    place = _elsewhere.get()
    if place is not None or jobs == 1:
        with ThisProcess() if place is None else place.new_pool() as pool:
            yield pool
        return
    with _idle.taken(jobs) as processes:
        yield processes


def prepare(jobs: int, module: str) -> None:
    """Starts the workers of the next pool of `jobs` processes, which import `module` meanwhile.

    Nothing is started for one job, or within the context of a cluster.
    """
    if jobs > 1 and _elsewhere.get() is None:
        _idle.start(jobs, module)


def end_prepared() -> None:
    """Ends the workers that wait for the next pool."""
    _idle.close()


class _IdleProcesses:
    """The workers that wait for the next pool, at most one pool of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: Processes | None = None
        self._timer: threading.Timer | None = None

    @contextmanager
    def taken(self, jobs: int) -> Iterator[Processes]:
        """Yields the idle pool if its workers are like new ones, and else a new pool."""
        pool = self._take(jobs) or Processes(jobs)
        try:
            with pool:
                yield pool
        finally:
            self._put(pool)

    def start(self, jobs: int, module: str) -> None:
        """Starts workers for the next pool, unless some wait that are like new ones."""
        pool = self._take(jobs) or Processes(jobs)
        pool.start(module)
        self._put(pool)

    def close(self) -> None:
        """Ends the idle workers."""
        with self._lock:
            pool, self._pool = self._pool, None
            if self._timer is not None:
                self._timer.cancel()
        if pool is not None:
            pool.close()

    def _take(self, jobs: int) -> Processes | None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and (pool.workers != jobs or not pool.has_workers_like_new()):
            pool.close()
            return None
        return pool

    def _put(self, pool: Processes) -> None:
        pool.on_event = lambda sentence: None
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            previous, self._pool = self._pool, pool
            self._timer = threading.Timer(IDLE_SECONDS, self.close)
            self._timer.daemon = True
            self._timer.start()
        if previous is not None:
            previous.close()


_elsewhere: ContextVar[Elsewhere | None] = ContextVar("elsewhere", default=None)
_idle = _IdleProcesses()
atexit.register(_idle.close)
