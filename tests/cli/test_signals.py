"""Signals end a run in order: log written, models kept, the exit code of the signal."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = ["--target", "mlp:hidden=64x64", "--no-dp", "--models", "6", "--examples", "600"]
SMALL += ["--epochs", "30", "--stack", "1", "--attack", "loss", "--jobs", "2"]
WORKERS = "mgaudit.compute.worker"
# The command line without the reports, whose figures take longer than the run.
PROGRAM = """
from mgaudit.storage.run_folder import RunFolder
RunFolder.write_reports = lambda *_: []
from mgaudit.cli.app import main
main()
"""


def started(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )


def wait_for_a_model(cache: Path, running: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 180
    while not list(cache.glob("ensembles/*/model-*.safetensors")):
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers_of(session: int) -> list[int]:
    """Returns the living processes of a session that are workers."""
    workers = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            is_worker = WORKERS in path.read_text().replace("\0", " ")
            if is_worker and os.getsid(int(path.parent.name)) == session:
                workers.append(int(path.parent.name))
        except (OSError, ValueError):
            continue
    return workers


@pytest.mark.skipif(sys.platform != "linux", reason="looks for workers in /proc")
@pytest.mark.parametrize(
    ("name", "to_group"), [("SIGTERM", False), ("SIGTERM", True), ("SIGHUP", True)]
)
def test_a_signal_ends_a_run_in_order_and_the_rerun_continues(
    tmp_path: Path, own_cache: Path, name: str, to_group: bool
) -> None:
    running = started(tmp_path, "run", *SMALL)
    wait_for_a_model(own_cache, running)
    assert workers_of(running.pid)
    number = signal.Signals[name]
    (os.killpg if to_group else os.kill)(running.pid, number)
    printed, errors = running.communicate(timeout=120)
    assert running.returncode == 128 + number, errors
    assert printed == ""
    assert f"interrupted by {name}; the models trained so far are kept" in " ".join(errors.split())
    assert "Traceback" not in errors
    assert workers_of(running.pid) == []
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "log.txt").read_text().splitlines()[-1] == f"interrupted by {name}"
    kept = list(own_cache.glob("ensembles/*/model-*.safetensors"))
    assert kept
    assert not list(own_cache.rglob("*.partial"))
    assert not list(own_cache.glob("running/*"))
    again = started(tmp_path, "run", *SMALL)
    _, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert list((tmp_path / "runs").iterdir()) == [folder]
    reused = json.loads((folder / "result.json").read_text())["studies"][0]["times"][
        "models_reused"
    ]
    assert sum(reused.values()) == len(kept)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for workers in /proc")
def test_a_run_outlives_the_death_of_a_worker(tmp_path: Path, own_cache: Path) -> None:
    running = started(tmp_path, "run", *SMALL)
    wait_for_a_model(own_cache, running)
    os.kill(workers_of(running.pid)[0], signal.SIGKILL)
    _, errors = running.communicate(timeout=300)
    assert running.returncode == 0, errors
    (folder,) = (tmp_path / "runs").iterdir()
    assert "died (killed by SIGKILL); the task is run again" in (folder / "log.txt").read_text()


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    script = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "from mgaudit.interrupts import interrupt_on_signals; interrupt_on_signals(); "
        "os.kill(os.getpid(), signal.SIGHUP); print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "alive\n"
