"""Mutation benchmark: checks that the default tests reject each of many wrong versions of the code.

A mutant that survives is a hole in the tests. The wrong versions are listed in `mutant_list.py`.
All work is done on temporary copies of the project.

    python benchmarks/mutants.py --jobs 2
    python benchmarks/mutants.py --only lira
"""

import argparse
import ast
import multiprocessing
import os
import queue
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from mutant_list import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parent.parent
NOT_COPIED = {
    ".git",
    ".venv",
    "runs",
    "build",
    "dist",
    "site",
    "shared",
    "node_modules",
}  # at the root
CACHES = ("__pycache__", ".hypothesis", ".*_cache", "*.egg-info")
# Each process is forked from one that has these libraries, which take longer to import than most
# tests to run. Nothing of the project is among them.
LIBRARIES = [
    "opacus.grad_sample.grad_sample_module_fast_gradient_clipping",
    "opacus.optimizers",
    "scipy.stats",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.neural_network",
    "torch.func",
]
PROCESSES = multiprocessing.get_context("forkserver")
TESTS_PASSED, TESTS_FAILED = 0, 1  # exit codes of pytest; any other says that the tests did not run


@dataclass(frozen=True)
class Outcome:
    """The outcome of the tests of a mutant: whether they rejected it, in words, and the seconds."""

    mutant: Mutant
    killed: bool
    verdict: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.verdict}  [{self.mutant.path}] {self.mutant.name}  ({self.seconds:.1f} s)"


@dataclass(frozen=True)
class WorkingCopy:
    """A copy of the project in which one mutant at a time is tested."""

    root: Path

    @classmethod
    def create(cls, folder: Path) -> "WorkingCopy":
        """Copies the project into `folder`, and checks that Python imports the copy."""
        root = folder / "project"
        shutil.copytree(ROOT, root, symlinks=True, ignore=_not_copied)
        (folder / "tmp").mkdir()
        copy = cls(root)
        folders = {Path(mutant.path).parts[0] for mutant in MUTANTS} - {"mgaudit"}
        code, output = copy.run(
            _check_imports, ["mgaudit", *sorted(f"mgaudit.{folder}" for folder in folders)]
        )
        if code != 0:
            sys.exit(f"Python must import the project from {root}:\n{output}")
        return copy

    def test(self, tests: Sequence[str], timeout: float | None = None) -> tuple[int, str]:
        """Runs the tests up to the first failure. Returns the exit code and output of pytest."""
        return self.run(_run_pytest, tests, timeout)

    def run(
        self,
        function: Callable[[Sequence[str]], int],
        arguments: Sequence[str],
        timeout: float | None = None,
    ) -> tuple[int, str]:
        """Runs `function` in a fresh process in the copy, and returns its exit code and output.

        Raises TimeoutError when it takes longer than `timeout` seconds.
        """
        for cache in list(self.root.rglob("__pycache__")):
            shutil.rmtree(cache)
        output = self.root.parent / "output.txt"
        process = PROCESSES.Process(target=_in_copy, args=(self.root, output, function, arguments))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError
        return process.exitcode, output.read_text(errors="replace")

    def try_mutant(self, mutant: Mutant, timeout: float) -> Outcome:
        """Applies the mutant, runs its tests and restores the file."""
        path = self.root / mutant.path
        source = path.read_bytes()
        path.write_text(mutant.mutated(source.decode()))
        started = time.perf_counter()
        try:
            code, output = self.test(mutant.tests, timeout)
        except TimeoutError:
            return Outcome(mutant, True, f"killed by a timeout of {timeout:g} s", timeout)
        finally:
            path.write_bytes(source)
        seconds = time.perf_counter() - started
        if code == TESTS_PASSED:
            return Outcome(mutant, False, "SURVIVED", seconds)
        if code == TESTS_FAILED:
            return Outcome(mutant, True, f"killed by {first_failure(output)}", seconds)
        return Outcome(mutant, False, f"NOT TESTED, pytest ended with {code}:", seconds)


def _not_copied(folder: str, names: list[str]) -> set[str]:
    """Returns which of the names in a folder are left out of the copy."""
    caches = shutil.ignore_patterns(*CACHES)(folder, names)
    return caches | NOT_COPIED.intersection(names) if Path(folder) == ROOT else caches


def _in_copy(
    root: Path, output: Path, function: Callable[[Sequence[str]], int], arguments: Sequence[str]
) -> None:
    """Changes to the copy, puts it first on the path, and redirects the output to a file."""
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    os.chdir(root)
    os.environ |= {
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(root.parent / "tmp"),
    }
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root))
    code = int(function(arguments))
    sys.stdout.flush()
    sys.exit(code)


def _run_pytest(tests: Sequence[str]) -> int:
    return pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--tb=short", *tests])


def _check_imports(packages: Sequence[str]) -> int:
    """Returns 0 if the packages are imported from the current directory."""
    files = [str(import_module(package).__file__) for package in packages]
    print("\n".join(files))
    return int(not all(Path(file).resolve().is_relative_to(Path.cwd().resolve()) for file in files))


def first_failure(output: str) -> str:
    """Returns the test that the summary of pytest names as failed."""
    lines = [line for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return lines[0].split(" ", 1)[1].split(" - ")[0] if lines else "an unnamed test"


def problems(mutants: Iterable[Mutant], root: Path = ROOT) -> list[str]:
    """Returns the errors of the list itself, each with the name of its mutant."""
    errors: list[str] = []
    names: set[str] = set()
    for mutant in mutants:
        errors += [f"{mutant.name}: {error}" for error in _problems_of(mutant, root)]
        if mutant.name in names:
            errors.append(f"{mutant.name}: the name occurs twice")
        names.add(mutant.name)
    return errors


def _problems_of(mutant: Mutant, root: Path) -> list[str]:
    path = root / mutant.path
    if not path.is_file():
        return [f"{mutant.path} does not exist"]
    source = path.read_text()
    occurrences = source.count(mutant.snippet)
    if occurrences != 1:
        return [f"the snippet must occur once in {mutant.path}, and occurs {occurrences} times"]
    errors = [] if mutant.tests else ["it names no tests"]
    try:
        if ast.dump(ast.parse(mutant.mutated(source))) == ast.dump(ast.parse(source)):
            errors.append("the replacement does not change the code")
    except SyntaxError as error:
        errors.append(f"the replacement is no Python: {error}")
    for test in mutant.tests:
        file, _, function = test.partition("::")
        test_path = root / file
        if not test_path.is_file():
            errors.append(f"{file} does not exist")
        elif function and f"def {function}(" not in test_path.read_text():
            errors.append(f"{file} has no test {function}")
    return errors


def union_of_tests(mutants: Iterable[Mutant]) -> list[str]:
    """Returns all tests of the mutants, without single tests of files that are run as a whole."""
    tests = {test for mutant in mutants for test in mutant.tests}
    return sorted(
        test for test in tests if "::" not in test or test.partition("::")[0] not in tests
    )


def run_mutants(mutants: Sequence[Mutant], jobs: int, timeout: float) -> list[Outcome]:
    """Tests the unchanged code and each mutant with a line for each. Exits if the former fails."""
    os.environ["OMP_NUM_THREADS"] = "1"
    PROCESSES.set_forkserver_preload(LIBRARIES)
    with TemporaryDirectory(prefix="mgaudit-mutants-") as folder:
        copies: queue.SimpleQueue[WorkingCopy] = queue.SimpleQueue()
        for job in range(jobs):
            copies.put(WorkingCopy.create(Path(folder) / str(job)))
        _check_unchanged(copies, union_of_tests(mutants))

        def outcome_of(mutant: Mutant) -> Outcome:
            copy = copies.get()
            try:
                return copy.try_mutant(mutant, timeout)
            finally:
                copies.put(copy)

        outcomes = []
        pool = ThreadPoolExecutor(jobs)
        try:
            for future in as_completed([pool.submit(outcome_of, mutant) for mutant in mutants]):
                outcomes.append(future.result())
                print(outcomes[-1], flush=True)
        finally:  # after Ctrl-C, too: what runs ends, and nothing else starts
            pool.shutdown(cancel_futures=True)
        return outcomes


def _check_unchanged(copies: "queue.SimpleQueue[WorkingCopy]", tests: Sequence[str]) -> None:
    copy = copies.get()
    started = time.perf_counter()
    code, output = copy.test(tests)
    if code != TESTS_PASSED:
        sys.exit(f"the tests must pass on the unchanged code:\n{output}")
    print(f"unchanged code passes  ({time.perf_counter() - started:.1f} s)", flush=True)
    copies.put(copy)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Check that the default tests reject wrong versions of the code."
    )
    parser.add_argument(
        "--jobs", type=int, default=2, help="mutants that are tested at the same time"
    )
    parser.add_argument(
        "--only", default="", metavar="SUBSTRING", help="mutants whose path or name contains this"
    )
    parser.add_argument(
        "--timeout", type=float, default=120.0, help="seconds after which a mutant counts as killed"
    )
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    options = parser.parse_args(arguments)

    mutants = [
        mutant
        for mutant in MUTANTS
        if options.only.lower() in f"{mutant.path} {mutant.name}".lower()
    ]
    if options.list:
        for mutant in mutants:
            print(f"[{mutant.path}] {mutant.name}")
        return 0
    errors = problems(MUTANTS)
    if errors or not mutants:
        print("\n".join(errors or [f"no mutant contains {options.only!r}"]))
        return 1

    started = time.perf_counter()
    outcomes = run_mutants(mutants, options.jobs, options.timeout)
    survivors = [outcome for outcome in outcomes if not outcome.killed]
    seconds = time.perf_counter() - started
    print(
        f"\n{len(outcomes) - len(survivors)} of {len(outcomes)} mutants killed in {seconds:.0f} s"
    )
    for outcome in survivors:
        print(outcome)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
