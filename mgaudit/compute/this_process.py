"""A pool without workers: tasks run in this process, one after another."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from mgaudit.compute.heap import keep_big_blocks
from mgaudit.compute.pool import Future, Outcome, Pool, Shared, values_of


class ThisProcess(Pool):
    """Runs tasks in the order in which they were submitted, when their outcomes are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(
        self,
        function: Callable[..., Outcome],
        *arguments: Any,
        name: str = "a task",
        on_gpu: bool = False,
    ) -> Future[Outcome]:
        """Adds a task; see `Pool.submit`."""
        future: Future[Outcome] = Future(name)
        self._waiting.append((future, function, values_of(arguments)))
        return future

    def share(self, value: Any) -> Shared:
        """Returns a stand-in for the value; see `Pool.share`."""
        return Shared(value)

    def completed(self) -> Iterator[Future[Any]]:
        """Yields the futures in order of completion; see `Pool.completed`."""
        keep_big_blocks()
        while self._waiting:
            future, function, arguments = self._waiting.popleft()
            future.on_start()
            try:
                future.set_result(function(*arguments))
            except Exception as error:
                future.set_error(error)
            yield future

    def cancel(self) -> None:
        """Stops all tasks; see `Pool.cancel`."""
        self._waiting.clear()
