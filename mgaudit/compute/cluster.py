"""A pool on a Dask cluster: many processes, on this machine or on others.

Only this process writes files: workers receive tasks and data, and return models and outputs.
"""

import logging
import queue
import re
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

from numpy.typing import NDArray

from mgaudit.compute.fingerprint import Fingerprint, fingerprint
from mgaudit.compute.messages import Memory, memory_of, packed_apart, unpacked_with
from mgaudit.compute.parallel import Elsewhere, tasks_run
from mgaudit.compute.pool import Future, Outcome, Pool, Shared, WorkerLostError, values_of
from mgaudit.errors import UsageError

if TYPE_CHECKING:
    from distributed import Client

KEY = "cluster"
GPU = "GPU"  # the name of the resource of workers that have one
WAIT_SECONDS = 30  # for the scheduler
FIRST_WORKER_SECONDS = 120
POLL_SECONDS, CHECK_SECONDS = 0.02, 5.0
WITHOUT_WORKERS_SECONDS = 120
GOES_ON = "the same command goes on from there"
LOST = f"the connection to the scheduler was lost; {GOES_ON}"
LOCAL = "local:"
ADDRESS = re.compile(r"((tcp|tls)://)?([^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
ADDRESS_RULE = "must be the address of a scheduler, such as tcp://host:8786, or local:N"
OF_LOCAL = {
    "distributed.scheduler.allowed-failures": 1,  # of a task, before it is run alone
    "distributed.deploy.lost-worker-timeout": "1 day",  # nannies start dead workers again
}
SAME = "install the same versions on all machines"
GPU_RULE = "must have a worker with a GPU, because models are trained on one"
GPU_WAY_OUT = "start `dask worker --nthreads 1 --resources GPU=1`, or use --device cpu"
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
        UsageError: For another value, and where the scheduler cannot be reached, has no worker, or
            a worker has other versions or other code than this process.
    """
    if cluster is None:
        yield []
        return
    with ExitStack() as stack:
        if isinstance(cluster, str):
            client = stack.enter_context(_client(cluster))
        else:
            client = _checked_client(cluster)
        workers = _checked_workers(client)
        cpus = sorted({worker.cpu for worker in workers.values()})
        gpus = sorted({worker.gpu for worker in workers.values() if worker.gpu})
        place = Elsewhere(
            lambda: DaskPool(client, len(workers)), " and ".join(cpus), " and ".join(gpus)
        )
        with tasks_run(place):
            yield [*_notes("processors", cpus), *_notes("GPUs", gpus)]


class DaskPool(Pool):
    """Runs tasks on the workers of a Dask cluster.

    A task says when it begins, by an event of the topic of its pool. The client receives events in
    a thread of its own, and they wait in a queue until `completed` looks.
    """

    def __init__(self, client: Any, workers: int) -> None:
        super().__init__()
        self.workers = workers
        self._client = client
        self._expected = fingerprint()
        self._tasks: dict[Any, _Task] = {}  # by the future of Dask
        self._topic = f"mgaudit-{secrets.token_hex(8)}"
        self._begun: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()  # times and keys
        self._by_key: dict[str, _Task] = {}
        self._suspects: list[_Task] = []
        self._had_gpu = False
        self._arrays = _Arrays(client)
        self._completed: Any = None
        with _connected():
            client.subscribe_topic(self._topic, self._begun.put)

    def submit(
        self,
        function: Callable[..., Outcome],
        *arguments: Any,
        name: str = "a task",
        on_gpu: bool = False,
    ) -> Future[Outcome]:
        """Adds a task; see `Pool.submit`. Raises UsageError for a task on a GPU without one."""
        message, large = packed_apart((function, values_of(arguments)))
        task = _Task(Future(name), message, large, on_gpu)
        with _connected():
            if on_gpu:
                self._check_gpu()
            self._start(task)
        return task.future

    def _start(self, task: "_Task") -> None:
        """Sends a task to the scheduler; its large arrays travel once, whatever task needs them."""
        task.arrays = self._arrays.scattered(task.large)
        key = f"{task.future.name}-{secrets.token_hex(8)}"  # Dask shows the part before the hyphen
        theirs = self._client.submit(
            _run,
            self._expected,
            self._topic,
            task.message,
            *task.arrays,
            pure=False,
            key=key,
            resources={GPU: 1} if task.on_gpu else None,
        )
        self._tasks[theirs] = self._by_key[key] = task
        if self._completed is not None:
            self._completed.add(theirs)

    def share(self, value: Any) -> Shared:
        """Returns a value whose large arrays are sent once; see `Pool.share`."""
        _, large = packed_apart(value)
        with _connected():
            return _Scattered(value, self._arrays.scattered(large))

    def completed(self) -> Iterator[Future[Any]]:
        """Yields the futures in order of completion; see `Pool.completed`."""
        while self._tasks or self._suspects:
            if not self._tasks:
                with _connected():
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
            while not self._completed.is_empty():
                self._wait()
                with _connected():
                    theirs = next(self._completed)
                    error = None if theirs.cancelled() else theirs.exception()
                task = self._tasks.pop(theirs)
                self._say_what_began(until=task)
                del self._by_key[theirs.key]
                if isinstance(error, KilledWorker) and not task.is_suspect:
                    task.is_suspect = True
                    self._suspects.append(task)
                    self.on_event(f"workers of {task.future.name} died; the task is run again")
                    continue
                with _connected():
                    _set_outcome(task.future, theirs, error)
                task.begin()  # it may have failed before it could say so
                yield task.future
        finally:
            self._completed = None

    def _wait(self) -> None:
        """Waits until a task is complete. Raises RuntimeError if the cluster is lost."""
        alive = time.monotonic()
        checked = alive
        while not self._completed.has_ready():
            self._say_what_began()
            time.sleep(POLL_SECONDS)
            now = time.monotonic()
            if now - checked < CHECK_SECONDS:
                continue
            checked = now
            if self._client.status != "running":
                raise RuntimeError(LOST)
            needs_gpu = any(task.on_gpu for task in self._tasks.values())
            with _connected():
                has_workers = self._has_gpu() if needs_gpu else bool(self._client.nthreads())
            if has_workers:
                alive = now
            elif now - alive > WITHOUT_WORKERS_SECONDS:
                kind = "worker with a GPU" if needs_gpu else "worker"
                words = f"the cluster has had no {kind} for {WITHOUT_WORKERS_SECONDS} s"
                raise RuntimeError(f"{words}; {GOES_ON}")

    def _say_what_began(self, until: "_Task | None" = None) -> None:
        """Calls `on_start` of the tasks that began, in their order; not of those after `until`."""
        while not (self._begun.empty() or (until is not None and until.has_begun)):
            _, key = self._begun.get()
            if key in self._by_key:  # else it is complete already
                self._by_key[key].begin()

    def _check_gpu(self) -> None:
        """Raises UsageError where no worker has a GPU when the first task needs one."""
        self._had_gpu = self._had_gpu or self._has_gpu()
        if not self._had_gpu:
            raise UsageError(KEY, GPU_RULE, "none", GPU_WAY_OUT)

    def _has_gpu(self) -> bool:
        """Returns whether a worker was started with `--resources "GPU=1"`, and is there."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        return any(worker.get("resources", {}).get(GPU) for worker in workers)

    def cancel(self) -> None:
        """Stops all tasks; see `Pool.cancel`."""
        futures = list(self._tasks)
        self._tasks.clear()
        self._by_key.clear()
        self._suspects.clear()
        if self._client.status != "running":
            return
        self._client.unsubscribe_topic(self._topic)
        if futures:
            self._client.cancel(futures, force=True)


@dataclass
class _Task:
    """A task: its message, its large arrays, and Dask's futures of them.

    `has_begun` states whether a worker has started it, and `is_suspect` whether its workers died
    before.
    """

    future: Future[Any]
    message: bytes
    large: list[NDArray[Any]]
    on_gpu: bool
    has_begun: bool = False
    is_suspect: bool = False
    arrays: list[Any] = field(default_factory=list)

    def begin(self) -> None:
        """Calls `on_start` of the future, once."""
        if not self.has_begun:
            self.has_begun = True
            self.future.on_start()


class _Arrays:
    """Arrays that were sent to the cluster, as long as a task or a shared value needs them."""

    def __init__(self, client: Any) -> None:
        self._client = client
        # The array itself is kept, so that no other array gets its memory.
        self._by_memory: dict[Memory, tuple[NDArray[Any], ReferenceType[Any]]] = {}

    def scattered(self, arrays: Sequence[NDArray[Any]]) -> list[Any]:
        """Returns Dask's future of each array. The cluster forgets an array without a future."""
        self._by_memory = {
            key: entry for key, entry in self._by_memory.items() if entry[1]() is not None
        }
        futures = []
        for array in arrays:
            memory = memory_of(array)
            _, reference = self._by_memory.get(memory, (array, lambda: None))
            future = reference()
            if future is None:
                future = self._client.scatter(array, hash=False, broadcast=False)
                self._by_memory[memory] = (array, ref(future))
            futures.append(future)
        return futures


class _Scattered(Shared):
    """A value whose large arrays stay on the cluster until it is released."""

    def __init__(self, value: Any, arrays: list[Any]) -> None:
        super().__init__(value)
        self._arrays = arrays

    def release(self) -> None:
        """Lets the workers delete their copies, if no task needs them."""
        self._arrays = []


def _run(expected: Fingerprint, topic: str, message: bytes, *arrays: NDArray[Any]) -> Any:
    """Runs a task on a worker that has the expected versions and code; an event says its key first.

    Workers may join a cluster at any time, so each task compares.
    """
    from distributed import get_worker

    difference = expected.difference(fingerprint())
    if difference:
        raise UsageError(KEY, "must have workers like this process", difference, SAME)
    worker: Any = get_worker()
    worker.log_event(topic, worker.get_current_task())
    function, arguments = unpacked_with(message, arrays)
    return function(*arguments)


def _set_outcome(future: Future[Any], theirs: Any, error: BaseException | None) -> None:
    """Gives a future the outcome of Dask's future, whose error is known."""
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    # A future may be cancelled at any moment after its error was read.
    if theirs.cancelled() or isinstance(error, FutureCancelledError):
        future.set_error(RuntimeError(LOST))
    elif isinstance(error, KilledWorker):
        words = f"the workers of {future.name} died again and again"
        future.set_error(WorkerLostError(f"{words}; they may be out of memory"))
    elif error is not None:
        future.set_error(error)
    else:
        future.set_result(theirs.result())


@contextmanager
def _connected() -> Iterator[None]:
    """Says that the scheduler was lost, where Dask raises an error of the connection."""
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError

    try:
        yield
    except (CommClosedError, FutureCancelledError) as error:
        raise RuntimeError(LOST) from error


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """Yields a client of the scheduler at an address, or of a new cluster on this machine."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UsageError(KEY, "needs Dask distributed", None, INSTALL) from error
    of_dask: Any = distributed
    workers = _number(address) if address.startswith(LOCAL) else 0
    if not workers:
        _check_address(address)
    with ExitStack() as stack:
        stack.enter_context(_quiet_loggers())
        where: Any = address
        if workers:
            stack.enter_context(dask.config.set(OF_LOCAL))
            where = stack.enter_context(
                of_dask.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    dashboard_address=None,
                    memory_limit=0,
                    silence_logs=logging.ERROR,
                    # As with --jobs, the processes on this machine share its GPU.
                    resources={GPU: 1} if fingerprint().gpu else {},
                )
            )
        try:
            client = of_dask.Client(where, timeout=WAIT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            rule = "must be the address of a scheduler that can be reached, or local:N"
            raise UsageError(KEY, rule, repr(address), "start `dask scheduler` there") from error
        with client:
            yield client


@contextmanager
def _quiet_loggers() -> Iterator[None]:
    """Hides what Dask logs, such as tracebacks when the scheduler is lost. Our errors say it."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _number(address: str) -> int:
    text = address.removeprefix(LOCAL)
    is_number = text.isascii() and text.isdecimal() and len(text) <= 4
    if not is_number or not 1 <= int(text) <= 1024:
        raise UsageError(KEY, "must be local:N with 1 <= N <= 1024", repr(address))
    return int(text)


def _check_address(address: str) -> None:
    """Raises UsageError for a text that is no address. Dask waits a minute for some of them."""
    match = ADDRESS.fullmatch(address)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        raise UsageError(KEY, ADDRESS_RULE, repr(address), "name the port, too")


def _checked_client(client: Any) -> Any:
    """Returns a client that the user made. Raises UsageError for another object."""
    if not all(hasattr(client, name) for name in ("submit", "scatter", "nthreads")):
        rule = f"{ADDRESS_RULE}, or a distributed.Client"
        raise UsageError(KEY, rule, f"{type(client).__name__}: {client!r}")
    if client.status != "running":
        way_out = "make a new one"
        raise UsageError(KEY, "must be a client that is connected", client.status, way_out)
    return client


def _checked_workers(client: Any) -> dict[str, Fingerprint]:
    """Returns the fingerprint of each worker by its address; raises as `on_cluster`."""
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER_SECONDS)
    except TimeoutError as error:
        raise UsageError(KEY, "must have a worker", "none", "start `dask worker`") from error
    here = fingerprint()
    with _connected(), warnings.catch_warnings():
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


def _notes(what: str, kinds: list[str]) -> list[str]:
    if len(kinds) < 2:
        return []
    listed = ", ".join(kinds)
    return [f"the workers have different {what} ({listed}), so a repetition may round otherwise"]
