"""A pool of worker processes on this machine.

The workers are not those of `multiprocessing` or loky, because a pool must know which task a worker
had when it died, and because nothing may stay behind when the run is killed: no semaphores, no
shared memory, no workers.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from numpy.typing import NDArray

from mgaudit.compute.messages import ArrayFiles, Part, packed, unpacked
from mgaudit.compute.pool import RETRIES, Future, Outcome, Pool, Shared, WorkerLostError, values_of
from mgaudit.compute.worker import (
    described_end,
    error_of,
    interruptions_blocked,
    read_message,
    write_message,
)
from mgaudit.targets.cache import CACHE_VARIABLE, cache_folder

BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from mgaudit.compute.worker import main; main(int(sys.argv[2]), sys.argv[3])"
)
# Libraries read these when they are imported. Workers have one thread each.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
POLL_SECONDS = 1.0  # on Windows, Ctrl-C does not interrupt a wait without a limit
ENDED_ITSELF = "its code may end the process"
OUT_OF_MEMORY = "the machine may be out of memory, so try fewer --jobs"


@dataclass
class _Task:
    future: Future[Any]
    message: bytes
    arrays: list[NDArray[Any]]
    lost: int = 0


class _Worker:
    """A worker process, and the task that it runs."""

    def __init__(
        self, outcomes: "queue.SimpleQueue[tuple[_Worker, list[Part] | None]]", module: str = ""
    ) -> None:
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1")}
        with interruptions_blocked():
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", BOOT, json.dumps(sys.path), str(os.getpid()), module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
        self.task: _Task | None = None
        reader = threading.Thread(target=self._read, args=(outcomes,), daemon=True)
        reader.start()

    def run(self, task: _Task) -> None:
        """Sends a task to the worker. If the worker is dead, the reader reports its end."""
        self.task = task
        if task.lost == 0:
            task.future.on_start()
        with suppress(BrokenPipeError):
            write_message(_stream(self.process.stdin), [task.message])

    def stop(self) -> None:
        """Kills the worker and what it does."""
        self.process.kill()
        self.process.wait()
        with suppress(BrokenPipeError):
            _stream(self.process.stdin).close()

    def _read(self, outcomes: "queue.SimpleQueue[tuple[_Worker, list[Part] | None]]") -> None:
        """Puts each outcome of the worker into the queue, and None when the worker ends."""
        stream = _stream(self.process.stdout)
        with stream:
            while (message := read_message(stream)) is not None:
                outcomes.put((self, message))
                del message  # while this waits for the next one
        outcomes.put((self, None))


class _SharedByFile(Shared):
    """A value whose large arrays stay in files until it is released."""

    def __init__(self, value: Any, files: ArrayFiles) -> None:
        super().__init__(value)
        self._files = files
        _, self._arrays = packed(value, files)

    def release(self) -> None:
        """Deletes the files that no task needs."""
        self._files.release(self._arrays)
        self._arrays = []


class Processes(Pool):
    """Runs tasks in worker processes with one thread each, which are started when needed.

    Large arrays are written into a directory of the cache, and workers map them into memory.
    Workers search for modules in the same directories as this process. A worker ends with this
    process, even if this process is killed.
    """

    def __init__(self, workers: int) -> None:
        super().__init__()
        self.workers = workers
        self._waiting: deque[_Task] = deque()
        self._workers: list[_Worker] = []
        self._started_with = _environment()
        self._outcomes: queue.SimpleQueue[tuple[_Worker, list[Part] | None]] = queue.SimpleQueue()
        self._files = ArrayFiles()

    def submit(
        self,
        function: Callable[..., Outcome],
        *arguments: Any,
        name: str = "a task",
        on_gpu: bool = False,
    ) -> Future[Outcome]:
        """Adds a task; see `Pool.submit`."""
        message, arrays = packed((cache_folder(), function, values_of(arguments)), self._files)
        future: Future[Outcome] = Future(name)
        self._waiting.append(_Task(future, message, arrays))
        return future

    def start(self, module: str) -> None:
        """Starts the workers now, which import a module that tasks will need."""
        while len(self._workers) < self.workers:
            self._workers.append(_Worker(self._outcomes, module))

    def share(self, value: Any) -> Shared:
        """Returns a stand-in for the value; see `Pool.share`."""
        return _SharedByFile(value, self._files)

    def completed(self) -> Iterator[Future[Any]]:
        """Yields the futures in order of completion; see `Pool.completed`."""
        while self._waiting or any(worker.task for worker in self._workers):
            self._assign()
            try:
                worker, message = self._outcomes.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            future = self._ended(worker) if message is None else self._finished(worker, message)
            del message
            if future is not None:
                self._assign()  # the worker goes on while the caller uses the outcome
                yield future

    def cancel(self) -> None:
        """Stops all tasks; see `Pool.cancel`."""
        self._waiting.clear()
        for worker in [worker for worker in self._workers if worker.task is not None]:
            worker.stop()
            self._workers.remove(worker)
        self._files.close()

    def has_workers_like_new(self) -> bool:
        """Returns whether workers that are started now would find the same modules and settings.

        The cache is no part of it, because each task says where it is.
        """
        return self._started_with == _environment()

    def close(self) -> None:
        """Ends all workers."""
        self.cancel()
        for worker in self._workers:
            worker.stop()
        self._workers.clear()

    def _assign(self) -> None:
        """Gives a waiting task to each idle worker, and starts workers for the others."""
        idle = deque(worker for worker in self._workers if worker.task is None)
        while self._waiting and (idle or len(self._workers) < self.workers):
            if idle:
                worker = idle.popleft()
            else:
                worker = _Worker(self._outcomes)
                self._workers.append(worker)
            worker.run(self._waiting.popleft())

    def _finished(self, worker: _Worker, message: Sequence[Part]) -> Future[Any] | None:
        """Returns the future of the task that the worker finished; None for a stopped worker."""
        if worker not in self._workers or worker.task is None:
            return None
        self._files.release(worker.task.arrays)
        future, worker.task = worker.task.future, None
        outcome, failure = unpacked(message)
        if failure is None:
            future.set_result(outcome)
        else:
            future.set_error(error_of(failure))
        return future

    def _ended(self, worker: _Worker) -> Future[Any] | None:
        """Runs the task of a dead worker again, or returns its future with the error."""
        if worker not in self._workers:
            return None  # it was stopped
        self._workers.remove(worker)
        worker.stop()
        end = described_end(worker.process.returncode)
        task = worker.task
        if task is None:
            return None
        task.lost += 1
        if task.lost <= RETRIES:
            self.on_event(f"the worker of {task.future.name} died ({end}); the task is run again")
            self._waiting.appendleft(task)
            return None
        words = f"the workers of {task.future.name} died {task.lost} times ({end})"
        self._files.release(task.arrays)
        hint = OUT_OF_MEMORY if end.endswith("SIGKILL") else ENDED_ITSELF
        task.future.set_error(WorkerLostError(f"{words}; {hint}"))
        return task.future


def _environment() -> tuple[Any, ...]:
    variables = {name: value for name, value in os.environ.items() if name != CACHE_VARIABLE}
    return tuple(sys.path), os.getcwd(), variables


def _stream(stream: Any) -> BinaryIO:
    """Returns a stream of a process that was started with pipes."""
    assert stream is not None
    return stream  # type: ignore[no-any-return]
