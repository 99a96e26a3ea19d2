"""Tasks in this process and in worker processes: outcomes, errors, dead workers, leftovers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgaudit.compute import parallel
from mgaudit.compute.messages import ArrayFiles, packed
from mgaudit.compute.parallel import pool_of, prepare, run
from mgaudit.compute.pool import Future, WorkerLostError
from mgaudit.compute.processes import BOOT
from mgaudit.compute.run_files import FOLDER, RunFiles
from mgaudit.errors import UsageError

ROOT = Path(__file__).parents[2]

JOBS = (1, 2)


class TwoArguments(Exception):
    """An error that cannot be built again from its message."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def square(number: int) -> int:
    return number * number


def fail(number: int) -> int:
    if number == 1:
        raise UsageError("kappa", "must be >= 0", "-1")
    return number


def fail_badly(number: int) -> int:
    raise TwoArguments(number, 2)


def leave(number: int) -> int:
    sys.exit(number)


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(path: str) -> str:
    marker = Path(path)
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def describe(array: np.ndarray, factor: float) -> tuple[float, str, bool]:
    total = float(array.sum()) * factor
    array[0] = -1  # a worker's own copy
    return total, type(array).__name__, array.flags.writeable


def process_and_threads(_: int) -> tuple[int, str]:
    print("a task that prints must not break the pipe")
    return os.getpid(), os.environ["OMP_NUM_THREADS"]


def has_imported(module: str) -> tuple[int, bool]:
    return os.getpid(), module in sys.modules


def process_and_cache(_: int) -> tuple[int, str]:
    return os.getpid(), os.environ["MGAUDIT_CACHE"]


@pytest.fixture(autouse=True)
def no_idle_workers(own_cache: Path) -> Any:
    yield
    parallel._idle.close()


def pools(own_cache: Path) -> list[Path]:
    return sorted((own_cache / FOLDER).glob("*"))


@pytest.mark.parametrize("jobs", JOBS)
def test_each_task_has_one_outcome(jobs: int) -> None:
    assert sorted(run(square, range(7), jobs)) == [square(number) for number in range(7)]


def test_workers_that_were_started_early_run_the_tasks_and_have_imported_the_module() -> None:
    prepare(2, "colorsys")
    early = {worker.process.pid for worker in parallel._idle._pool._workers}  # type: ignore[union-attr]
    assert len(early) == 2
    outcomes = list(run(has_imported, ["colorsys"] * 8, 2))
    assert {imported for _, imported in outcomes} == {True}
    assert {pid for pid, _ in outcomes} <= early
    prepare(2, "colorsys")  # workers that wait are not started again
    assert {worker.process.pid for worker in parallel._idle._pool._workers} == early  # type: ignore[union-attr]


@pytest.mark.parametrize(("jobs", "module"), [(1, "colorsys"), (2, "no_such_module")])
def test_one_job_starts_no_worker_early_and_a_module_that_is_missing_harms_none(
    jobs: int, module: str
) -> None:
    prepare(jobs, module)
    assert (parallel._idle._pool is None) == (jobs == 1)
    assert sorted(run(square, range(4), 2)) == [0, 1, 4, 9]


def test_tasks_in_this_process_keep_their_order() -> None:
    assert list(run(square, [3, 1, 2], 1)) == [9, 1, 4]


@pytest.mark.parametrize("jobs", JOBS)
def test_a_task_may_be_added_while_others_are_completed(jobs: int) -> None:
    with pool_of(jobs) as pool:
        pool.submit(square, 2)
        seen = []
        for future in pool.completed():
            seen.append(future.result())
            if future.result() < 100:
                pool.submit(square, future.result())
    assert seen == [4, 16, 256]


@pytest.mark.parametrize("jobs", JOBS)
def test_a_mistake_of_the_user_arrives_as_it_is(jobs: int) -> None:
    with pytest.raises(UsageError, match="kappa must be >= 0, got -1"):
        list(run(fail, [0, 1, 2], jobs))


def test_an_error_has_the_traceback_of_the_worker() -> None:
    with pytest.raises(RuntimeError, match="TwoArguments: 1 and 2") as caught:
        list(run(fail_badly, [1, 1], 2))
    assert "in fail_badly" in str(caught.value.__cause__)


def test_sys_exit_in_a_worker_is_an_error_here() -> None:
    with pytest.raises(SystemExit):
        list(run(leave, [3, 3], 2))


@pytest.mark.parametrize("jobs", JOBS)
def test_a_shared_value_is_received_as_it_is(jobs: int) -> None:
    values = np.ones(500_000)
    with pool_of(jobs) as pool:
        shared = pool.share(values.copy())
        pool.submit(describe, shared, 2.0)
        (future,) = pool.completed()
    assert future.result() == (1e6, "ndarray", True)


def test_large_arrays_are_in_files_only_while_they_are_needed(own_cache: Path) -> None:
    values = np.ones(500_000)
    with pool_of(2) as pool:
        for _ in range(3):
            pool.submit(describe, values, 1.0)
        assert len(list((own_cache / FOLDER).glob("*/*.npy"))) == 1
        totals = [future.result()[0] for future in pool.completed()]
        assert not list((own_cache / FOLDER).glob("*/*.npy"))
    assert totals == [5e5] * 3
    assert (values == 1).all()


def test_a_shared_value_may_be_released_after_the_end() -> None:
    with pool_of(2) as pool:
        shared = pool.share(np.ones(500_000))
    shared.release()


def test_workers_have_one_thread_and_are_used_again() -> None:
    first = dict(run(process_and_threads, range(4), 2))
    again = dict(run(process_and_threads, range(4), 2))
    assert set(first.values()) == {"1"}
    assert os.getpid() not in first
    assert len(first | again) <= 2


def test_workers_of_another_environment_are_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = dict(run(process_and_threads, range(4), 2))
    monkeypatch.setenv("MGAUDIT_TEST", "1")
    assert not set(first) & set(dict(run(process_and_threads, range(4), 2)))


def test_the_task_of_a_dead_worker_is_run_again(tmp_path: Path) -> None:
    events: list[str] = []
    with pool_of(2) as pool:
        pool.on_event = events.append
        pool.submit(die_once, str(tmp_path / "marker"), name="the training of models 0 to 7")
        pool.submit(square, 3)
        outcomes = {future.result() for future in pool.completed()}
    assert outcomes == {"survived", 9}
    how = "died (killed by SIGKILL); the task is run again"
    assert events == [f"the worker of the training of models 0 to 7 {how}"]


def test_a_task_whose_workers_die_three_times_is_named_and_the_others_complete() -> None:
    with pool_of(2) as pool:
        lost = pool.submit(die, 1, name="the training of models 0 to 7")
        for number in range(4):
            pool.submit(square, number)
        futures: list[Future[Any]] = list(pool.completed())
    assert sorted(future.result() for future in futures if future is not lost) == [0, 1, 4, 9]
    words = r"the workers of the training of models 0 to 7 died 3 times \(killed by SIGKILL\)"
    with pytest.raises(WorkerLostError, match=words):
        lost.result()


def test_leaving_the_pool_stops_its_tasks() -> None:
    started = time.monotonic()
    with pool_of(2) as pool:
        pool.submit(time.sleep, 600)
        pool.submit(square, 2)
        next(iter(pool.completed()))
    assert time.monotonic() - started < 300


def test_nothing_is_left_after_the_end(own_cache: Path) -> None:
    with pool_of(2) as pool:
        pool.submit(describe, np.ones(500_000), 1.0)
        assert len(pools(own_cache)) == 2  # a folder and its lock
        next(iter(pool.completed()))
    assert pools(own_cache) == []


def test_workers_of_an_earlier_run_know_the_cache_of_this_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workers = dict(run(process_and_threads, range(4), 2))
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / "other"))
    assert set(run(process_and_cache, range(4), 2)) <= {
        (process, str(tmp_path / "other")) for process in workers
    }


PARENT = """
import os, time
import numpy as np
from mgaudit.compute.processes import Processes
pool = Processes(2)
pool.submit(time.sleep, 600)
pool.submit(len, np.ones(500_000))
for future in pool.completed():
    print(*(worker.process.pid for worker in pool._workers), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux kills the workers of a dead process")
def test_workers_end_with_a_parent_that_is_killed_and_the_next_run_sweeps(own_cache: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as lines:
        workers = [int(number) for number in lines.readline().split()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    assert all(_ends(pid) for pid in workers)
    assert len(pools(own_cache)) == 2
    files = RunFiles()
    assert [path.name.split("-")[0] for path in pools(own_cache)] == [str(os.getpid())] * 2
    files.close()
    assert pools(own_cache) == []


@pytest.mark.skipif(sys.platform != "linux", reason="Linux kills the workers of a dead process")
def test_a_worker_whose_parent_died_while_it_imported_runs_no_task(tmp_path: Path) -> None:
    """Such a worker has another parent when it begins, and a task in its pipe."""
    marker = tmp_path / "marker"
    message, _ = packed((tmp_path, os.mkdir, (str(marker),)), ArrayFiles())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    command = [sys.executable, "-P", "-c", BOOT, json.dumps(sys.path), str(ended.pid), ""]
    worker = subprocess.run(
        command, input=len(message).to_bytes(8, "little") + message, stdout=subprocess.PIPE
    )
    assert worker.returncode == 1
    assert not marker.exists()


def _ends(pid: int) -> bool:
    """Returns whether a process that is not a child of this one ends."""
    for _ in range(600):
        if not _is_alive(pid):
            return True
        time.sleep(0.1)
    return False


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # a zombie that nobody has waited for has ended


def test_a_script_of_the_user_needs_no_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from mgaudit.compute.parallel import run\n"
        "def cube(number):\n    return number ** 3\n"
        "print(sorted(run(cube, [1, 2, 3], 2)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 8, 27]\n"


def test_a_function_of_this_test_is_sent_with_its_code() -> None:
    def closure(number: int) -> int:
        return number + 1

    tasks: list[Callable[[int], int]] = [closure, closure]
    assert list(run(lambda task: task(1), tasks, 2)) == [2, 2]


INTERRUPTED_AT_START = """
import os, signal, time
from mgaudit.compute.processes import Processes

signal.signal(signal.SIGINT, lambda *_: None)
with Processes(2) as pool:
    pool.start("")
    for _ in range(40):
        os.killpg(0, signal.SIGINT)
        time.sleep(0.02)
    print([worker.process.poll() for worker in pool._workers])
    for number in (-1, -2, -3):
        pool.submit(abs, number)
    print(sorted(future.result() for future in pool.completed()))
pool.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="interrupts a process group")
def test_ctrl_c_while_workers_start_neither_ends_them_nor_prints_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT_START],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[None, None]\n[1, 2, 3]\n"
