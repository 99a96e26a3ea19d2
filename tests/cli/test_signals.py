"""Signals end a run in order: log written, models kept, the exit code of the signal."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.interrupts import KEPT, NOTHING_KEPT, what_is_kept
from mgaudit.progress_bars import on_stderr
from mgaudit.running import run_dp_audit_plan
from mgaudit.settings.study_settings import dp_audit_settings
from mgaudit.storage.run_folder import RunFolder

ROOT = Path(__file__).parents[2]
SMALL = ["--target", "mlp:hidden=64x64", "--no-dp", "--models", "6", "--examples", "300"]
SMALL += ["--epochs", "30", "--stack", "1", "--attack", "loss", "--jobs", "2"]
WORKERS = "mgaudit.compute.worker"
# The command line without the reports, whose figures take longer than the run.
PROGRAM = """
from mgaudit.storage.run_folder import RunFolder
RunFolder.write_reports = lambda *_: []
from mgaudit.cli.app import main
main()
"""


def with_default_signals() -> None:
    """Restores the signals that a shell, also that of CI, ignores for jobs in the background."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def started(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=with_default_signals,
    )


def run_again(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Runs the same command to its end, in this process, which is cheaper than another."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output


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
    ("name", "to_group"),
    [
        ("SIGTERM", True),
        pytest.param("SIGTERM", False, marks=pytest.mark.slow),
        pytest.param("SIGHUP", True, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_run_in_order_and_the_rerun_continues(
    tmp_path: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    to_group: bool,
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
    run_again(tmp_path, monkeypatch, "run", *SMALL[:-1], "1")
    assert list((tmp_path / "runs").iterdir()) == [folder]
    reused = json.loads((folder / "result.json").read_text())["studies"][0]["times"][
        "models_reused"
    ]
    assert sum(reused.values()) == len(kept)


@pytest.mark.slow
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


# An attack and a training function that are slow in the middle of a run, and say so by a file.
SLOW = """
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from mgaudit.attacks import Attack


def wait():
    Path("begun").touch()
    while not Path("go").exists():
        time.sleep(0.02)


@dataclass(frozen=True)
class Slow(Attack):
    def score(self, view):
        if list(Path("runs").glob("*")):  # not when it is tried before
            wait()
        return -view.labels.astype(float)


def fit(x, y, *, seed):
    with Path("calls").open("a") as file:
        file.write("x")
    if Path("calls").stat().st_size > 4:  # two trial fits and two models
        wait()
    return lambda rows: np.tile(np.arange(10.0), (len(rows), 1))


LOCK = Lock()  # which nothing can identify in a later run


def unkept(x, y, *, seed):
    with LOCK:
        return fit(x, y, seed=seed)
"""
FIT = ["--models", "4", "--examples", "200", "--attack", "loss", "--jobs", "1"]


@pytest.mark.parametrize(
    ("words", "name", "kept"),
    [
        (["run", "--fit", "slow:fit", *FIT], "SIGINT", KEPT),
        pytest.param(
            ["score", "scores.npz", "--attack", "slow:Slow"],
            "SIGTERM",
            NOTHING_KEPT,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["run", "--fit", "slow:unkept", *FIT], "SIGTERM", NOTHING_KEPT, marks=pytest.mark.slow
        ),
    ],
)
def test_the_line_of_an_interruption_says_what_the_same_command_will_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], name: str, kept: str
) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    save_logits(tmp_path / "scores.npz")
    running = started(tmp_path, *words)
    wait_for(tmp_path / "begun", running)
    number = signal.Signals[name]
    os.kill(running.pid, number)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 128 + number, errors
    by = "interrupted" if name == "SIGINT" else f"interrupted by {name}"
    assert " ".join(errors.split()).endswith(f"{by}; {kept}")
    (tmp_path / "go").touch()
    run_again(tmp_path, monkeypatch, *words)
    (result,) = (tmp_path / "runs").glob("*/result.json")
    reused = json.loads(result.read_text())["studies"][0]["times"]["models_reused"]
    assert sum(reused.values()) == (2 if kept == KEPT else 0)


@pytest.mark.parametrize(
    ("adversary", "kept"),
    [("one-run", KEPT), ("white-box", NOTHING_KEPT), ("repeated", NOTHING_KEPT)],
)
def test_an_interrupted_audit_of_dp_sgd_says_whether_its_models_are_in_the_cache(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, adversary: str, kept: str
) -> None:
    settings = dp_audit_settings({"adversary": adversary})
    design = SimpleNamespace(device="cpu", notes=())
    plan: Any = SimpleNamespace(
        slug="audit", sha256="0" * 64, settings=settings, design=design, arm=None
    )

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mgaudit.study.needs.check_needs", lambda *_: None)
    monkeypatch.setattr("mgaudit.study.dp_audit.run_dp_audit", interrupted)
    with pytest.raises(KeyboardInterrupt) as raised:
        run_dp_audit_plan(plan, 1, tmp_path, on_stderr(quiet=True))
    assert (what_is_kept(raised.value) or KEPT) == kept


def save_logits(path: Path) -> None:
    generator = np.random.default_rng(0)
    membership = np.arange(40) % 2 == np.arange(4)[:, None] % 2
    logits = generator.normal(size=(4, 40, 3)).astype(np.float32)
    labels = generator.integers(3, size=40)
    np.savez(path, logits=logits, labels=labels, membership=membership)


def wait_for(path: Path, running: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 180
    while not path.exists():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
