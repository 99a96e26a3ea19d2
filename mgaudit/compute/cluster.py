"""A pool on a Dask cluster: many processes, on this machine or on others.

Only this process writes files: workers receive tasks and data, and return models and outputs.
"""

import logging
import secrets
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mgaudit.compute.fingerprint import Fingerprint, fingerprint
from mgaudit.compute.parallel import Elsewhere, tasks_run
from mgaudit.compute.pool import Future, Outcome, Pool, Shared, WorkerLostError
from mgaudit.errors import UsageError

if TYPE_CHECKING:
    from distributed import Client

KEY = "cluster"
GPU = "GPU"  # the name of the resource of workers that have one
WAIT_SECONDS = 30  # for the scheduler and its first worker
LOCAL = "local:"
ALLOWED_FAILURES = 1  # of a task whose workers die, before it is run alone
SAME = "install the same versions on all machines"
INSTALL = "pip install 'mgaudit[dask]'"


@contextmanager
def on_cluster(cluster: "str | Client | None") -> Iterator[list[str]]:
    """Makes all tasks within the context run on a Dask cluster; None changes nothing.

    Args:
        cluster: The address of a scheduler, such as "tcp://scheduler:8786"; "local:4" for 4 worker
            processes on this machine; or a client of a cluster.

    Yields:
        Sentences that a reader of the result must know, such as that processors differ.

    Raises:
        UsageError: Where the scheduler cannot be reached, has no worker, or a worker has other
            versions or other code than this process.
    """
    if cluster is None:
        yield []
        return
    with ExitStack() as stack:
        client = stack.enter_context(_client(cluster)) if isinstance(cluster, str) else cluster
        workers = _checked_workers(client)
        kinds = sorted({worker.gpu or worker.cpu for worker in workers.values()})
        has_gpus = _has_gpus(client)
        place = Elsewhere(lambda: DaskPool(client, len(workers), has_gpus), " and ".join(kinds))
        with tasks_run(place):
            yield _notes(kinds)


class DaskPool(Pool):
    """Runs tasks on the workers of a Dask cluster."""

    def __init__(self, client: Any, workers: int, has_gpus: bool) -> None:
        super().__init__()
        self.workers = workers
        self._client = client
        self._has_gpus = has_gpus
        self._expected = fingerprint()
        self._tasks: dict[Any, _Task] = {}  # by the future of Dask
        self._suspects: list[_Task] = []
        self._completed: Any = None

    def submit(
        self,
        function: Callable[..., Outcome],
        *arguments: Any,
        name: str = "a task",
        on_gpu: bool = False,
    ) -> Future[Outcome]:
        """Adds a task; see `Pool.submit`."""
        task = _Task(Future(name), function, arguments, on_gpu and self._has_gpus)
        self._start(task)
        return task.future

    def _start(self, task: "_Task") -> None:
        """Sends a task to the scheduler."""
        sent = [
            item.scattered(self._client) if isinstance(item, _Scattered) else item
            for item in task.arguments
        ]
        key = f"{task.future.name}-{secrets.token_hex(8)}"  # Dask shows the part before the hyphen
        theirs = self._client.submit(
            _run,
            self._expected,
            task.function,
            *sent,
            pure=False,
            key=key,
            resources={GPU: 1} if task.on_gpu else None,
        )
        self._tasks[theirs] = task
        if self._completed is not None:
            self._completed.add(theirs)

    def share(self, value: Any) -> Shared:
        """Returns a value that each worker receives at most once; see `Pool.share`."""
        return _Scattered(value)

    def completed(self) -> Iterator[Future[Any]]:
        """Yields the futures in order of completion; see `Pool.completed`."""
        for task in self._tasks.values():
            task.future.on_start()  # the scheduler does not say when a task begins
        while self._tasks or self._suspects:
            if not self._tasks:
                self._start(self._suspects.pop())
            yield from self._completed_once()

    def _completed_once(self) -> Iterator[Future[Any]]:
        """Yields the futures of all tasks that the scheduler has.

        The scheduler suspects every task that a dead worker had, not only the one that it ran. So a
        task whose workers died is run again alone, after all others.
        """
        import distributed
        from distributed.scheduler import KilledWorker

        as_completed: Any = distributed.as_completed
        self._completed = as_completed(list(self._tasks), loop=self._client.loop)
        try:
            for theirs in self._completed:
                task = self._tasks.pop(theirs)
                error = None if theirs.cancelled() else theirs.exception()
                if isinstance(error, KilledWorker) and not task.is_suspect:
                    task.is_suspect = True
                    self._suspects.append(task)
                    self.on_event(f"workers of {task.future.name} died; it is run again")
                    continue
                _set_outcome(task.future, theirs, error)
                yield task.future
        finally:
            self._completed = None

    def cancel(self) -> None:
        """Stops all tasks; see `Pool.cancel`."""
        futures = list(self._tasks)
        self._tasks.clear()
        self._suspects.clear()
        if futures and self._client.status == "running":
            self._client.cancel(futures, force=True)


@dataclass
class _Task:
    """A task; `is_suspect` states whether its workers died before."""

    future: Future[Any]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    on_gpu: bool
    is_suspect: bool = False


class _Scattered(Shared):
    """A value that is sent to the cluster when the first task needs it."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self._future: Any = None

    def scattered(self, client: Any) -> Any:
        """Returns Dask's future of the value."""
        if self._future is None:
            self._future = client.scatter(self.value, hash=False, broadcast=False)
        return self._future

    def release(self) -> None:
        """Lets the workers delete their copies."""
        self._future = None


def _run(expected: Fingerprint, function: Callable[..., Any], *arguments: Any) -> Any:
    """Runs a task on a worker that has the expected versions and code.

    Workers may join a cluster at any time, so each task compares.
    """
    difference = expected.difference(fingerprint())
    if difference:
        raise UsageError(KEY, "must have workers like this process", difference, SAME)
    return function(*arguments)


def _set_outcome(future: Future[Any], theirs: Any, error: BaseException | None) -> None:
    """Gives a future the outcome of Dask's future, whose error is known."""
    from distributed.scheduler import KilledWorker

    if theirs.cancelled():
        words = "the connection to the scheduler was lost; the same command goes on from there"
        future.set_error(RuntimeError(words))
    elif isinstance(error, KilledWorker):
        words = f"the workers of {future.name} died again and again"
        future.set_error(WorkerLostError(f"{words}; they may be out of memory"))
    elif error is not None:
        future.set_error(error)
    else:
        future.set_result(theirs.result())


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """Yields a client of the scheduler at an address, or of a new cluster on this machine."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UsageError(KEY, "needs Dask distributed", None, INSTALL) from error
    of_dask: Any = distributed
    with ExitStack() as stack:
        where: Any = address
        if address.startswith(LOCAL):
            failures = {"distributed.scheduler.allowed-failures": ALLOWED_FAILURES}
            stack.enter_context(dask.config.set(failures))
            where = stack.enter_context(
                of_dask.LocalCluster(
                    n_workers=_number(address),
                    threads_per_worker=1,
                    dashboard_address=None,
                    memory_limit=0,
                    silence_logs=logging.ERROR,
                )
            )
        try:
            client = of_dask.Client(where, timeout=WAIT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            rule = "must be the address of a scheduler that can be reached, or local:N"
            raise UsageError(KEY, rule, address, "start `dask scheduler` there") from error
        with client:
            yield client


def _number(address: str) -> int:
    text = address.removeprefix(LOCAL)
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise UsageError(KEY, "must be local:N with 1 <= N <= 1024", address)
    return int(text)


def _checked_workers(client: Any) -> dict[str, Fingerprint]:
    """Returns the fingerprint of each worker by its address; raises as `on_cluster`."""
    try:
        client.wait_for_workers(1, timeout=WAIT_SECONDS)
    except TimeoutError as error:
        raise UsageError(KEY, "must have a worker", "none", "start `dask worker`") from error
    here = fingerprint()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        workers: dict[str, Fingerprint] = client.run(fingerprint)
        threads: dict[str, int] = client.nthreads()
    for address, number in threads.items():
        if number != 1:
            way_out = "start them with `dask worker --nthreads 1 --nworkers auto`"
            raise UsageError(
                KEY, "must have workers of one thread", f"{number}: {address}", way_out
            )
    for address, there in workers.items():
        difference = here.difference(there)
        if difference:
            rule = "must have workers with the versions and the code of this process"
            raise UsageError(KEY, rule, f"{address}: {difference}", SAME)
    return workers


def _has_gpus(client: Any) -> bool:
    """Returns whether a worker was started with `--resources "GPU=1"`."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(worker.get("resources", {}).get(GPU) for worker in workers)


def _notes(kinds: list[str]) -> list[str]:
    if len(kinds) < 2:
        return []
    listed = ", ".join(kinds)
    return [
        f"the workers have different processors ({listed}), so a repetition may round otherwise"
    ]
