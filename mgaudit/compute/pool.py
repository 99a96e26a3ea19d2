"""The interface of the places where tasks run: this process, its workers, or a Dask cluster."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar

Outcome = TypeVar("Outcome")

RETRIES = 2  # how often the task of a lost worker is run again


class WorkerLostError(RuntimeError):
    """Raised for a task whose workers died, each time that it was run."""


class Future(Generic[Outcome]):
    """The outcome of a task that was submitted to a pool. It is known once the pool yields it.

    `name` is the task in words. `on_start` is called once: when the task is given to a worker, or,
    on a cluster, when a worker has said that it begins.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.on_start: Callable[[], None] = lambda: None
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None

    def set_result(self, outcome: Outcome) -> None:
        """Sets what the task returned."""
        self._outcome = outcome

    def set_error(self, error: BaseException) -> None:
        """Sets what the task raised."""
        self._error = error

    def forget(self) -> None:
        """Forgets what the task returned, which may be large."""
        self._outcome = None

    def result(self) -> Outcome:
        """Returns what the task returned, or raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._outcome  # type: ignore[return-value]


class Shared:
    """A value that many tasks need, until it is released.

    It may be an argument of a task, which then receives the value itself.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def release(self) -> None:
        """Forgets the value: no further task will need it."""


class Pool(AbstractContextManager["Pool"], ABC):
    """A place where tasks run. Leaving its context stops the tasks that still run.

    `workers` is the number of tasks that run at once. `on_event` is called with a sentence if a
    worker is lost; it does nothing until it is set.
    """

    workers: int = 1

    def __init__(self) -> None:
        self.on_event: Callable[[str], None] = lambda sentence: None

    @abstractmethod
    def submit(
        self,
        function: Callable[..., Outcome],
        *arguments: Any,
        name: str = "a task",
        on_gpu: bool = False,
    ) -> Future[Outcome]:
        """Adds the task `function(*arguments)` and returns its future.

        An argument may be a value from `share`; the function receives the value itself. `name` is
        the task in words for messages, such as "the training of models 0 to 7". On a cluster, a
        task `on_gpu` runs on a worker that was started with a GPU as its resource.
        """

    @abstractmethod
    def share(self, value: Any) -> Shared:
        """Returns a value that many tasks have as an argument, so that it is sent once."""

    @abstractmethod
    def completed(self) -> Iterator[Future[Any]]:
        """Yields the future of each task once, in order of completion.

        Tasks may be submitted meanwhile; the iteration ends when none is left.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Stops the tasks that run, and forgets those that wait."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()


def values_of(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns the arguments of a task, with the values of those that are shared."""
    return tuple(item.value if isinstance(item, Shared) else item for item in arguments)
