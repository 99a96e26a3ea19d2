"""What checksums, the store and the queue cost in the default audit.

    python benchmarks/overhead.py

runs `mgaudit run` with an empty cache, all tasks in this process. It adds up the seconds of
*checksums and files*, the functions that compute checksums and that write and read models, outputs,
measurements and results; of *messages*, which packs and unpacks the arguments and the outcome of
each task as for a worker process; and of the whole audit, with its reports. Prints them in Markdown
with their shares.
"""

import argparse
import importlib
import inspect
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import mgaudit
from mgaudit.compute.messages import ArrayFiles, packed, packed_outcome, unpacked
from mgaudit.compute.pool import Future, values_of
from mgaudit.compute.this_process import ThisProcess


class Clock:
    """Adds up the seconds of calls by kind. A call within a timed call is part of the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._is_running = False

    def call(self, kind: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Returns what the function returns."""
        if self._is_running:
            return function(*arguments, **options)
        self._is_running, started = True, time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            self._is_running = False
            passed = time.perf_counter() - started
            self.seconds[kind] = self.seconds.get(kind, 0.0) + passed

    def timed(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function, whose seconds are added to those of its kind."""

        def call(*arguments: Any, **options: Any) -> Any:
            return self.call(kind, function, *arguments, **options)

        return call


class MessagePool(ThisProcess):
    """Runs tasks in this process, and packs and unpacks them as for a worker process."""

    clock: Clock

    def __init__(self) -> None:
        super().__init__()
        self._files = ArrayFiles()

    def submit(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Future[Any]:
        """Adds a task that goes through messages."""
        call = self.clock.call

        def run(*values: Any) -> Any:
            message, arrays = call("messages", packed, (function, values), self._files)
            own, received = call("messages", unpacked, [message])
            outcome = own(*received)
            self._files.release(arrays)
            return call("messages", unpacked, call("messages", packed_outcome, outcome))

        return super().submit(run, *values_of(arguments), **options)

    def cancel(self) -> None:
        """Stops all tasks, and deletes the files of the messages."""
        super().cancel()
        self._files.close()


def replace_everywhere(function: Callable[..., Any], other: Callable[..., Any]) -> None:
    """Replaces a function in all modules of mgaudit that were imported."""
    for name, module in list(sys.modules.items()):
        if name.startswith("mgaudit") and vars(module).get(function.__name__) is function:
            setattr(module, function.__name__, other)


def time_functions_of(module: ModuleType, clock: Clock) -> None:
    """Times the functions of a module, except context managers, whose bodies are not of it."""
    for _, function in inspect.getmembers(module, inspect.isfunction):
        is_generator = inspect.isgeneratorfunction(inspect.unwrap(function))
        if function.__module__ == module.__name__ and not is_generator:
            replace_everywhere(function, clock.timed("checksums and files", function))


def main() -> None:
    """Runs the audit and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, help="default: that of `mgaudit run`")
    options = parser.parse_args()
    importlib.import_module("mgaudit.study.study")  # and what it imports
    from mgaudit.compute.parallel import pool_of
    from mgaudit.storage import atomic, checked_files, checksums, measurements
    from mgaudit.targets.datasets.dataset import Dataset

    clock = MessagePool.clock = Clock()
    for module in (atomic, checked_files, checksums, measurements):
        time_functions_of(module, clock)
    Dataset.digest = clock.timed("checksums and files", Dataset.digest)  # type: ignore[method-assign]
    replace_everywhere(pool_of, lambda jobs: MessagePool())
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        words = {} if options.models is None else {"models": options.models}
        mgaudit.run(target="cnn", kappa=0.3, jobs=1, quiet=True, out=Path(folder), **words)
        whole = time.perf_counter() - started
    print("| part | seconds | share |\n| --- | --- | --- |")
    for kind, seconds in sorted(clock.seconds.items()):
        print(f"| {kind} | {seconds:.2f} | {100 * seconds / whole:.1f} % |")
    both = sum(clock.seconds.values())
    print(f"| both | {both:.2f} | {100 * both / whole:.1f} % |")
    print(f"| whole | {whole:.2f} | |")


if __name__ == "__main__":
    main()
