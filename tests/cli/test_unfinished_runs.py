"""Runs that were killed or are still running: what `mgaudit runs` says, and how they go on."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.storage.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
FEW = "--target mlp:hidden=4 --models 3 --epochs 1 --examples 120 --jobs 1 --attack loss --quiet"

# Runs a command and dies when the result should be written.
KILLED = """
import os, signal, sys
from mgaudit.cli.app import main
from mgaudit.storage.run_folder import RunFolder

RunFolder.write_result = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.argv = ["mgaudit", *sys.argv[1:]]
main()
"""


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def listed() -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = json.loads(mgaudit("runs", "--json").stdout)
    return runs


def test_a_killed_run_is_listed_and_continued_with_the_command_of_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    command = [sys.executable, "-c", KILLED, "run", *FEW.split(), "--no-dp"]
    zone = {"TZ": "Etc/GMT+12", "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, env=os.environ | zone, check=False).returncode == -9
    (run,) = listed()
    assert run["state"] == "unfinished"
    printed = mgaudit("runs").stdout
    path = f"runs/{run['name']}"
    assert f"to continue it: mgaudit run --settings {path}/settings.toml" in printed
    assert f"to remove it: mgaudit runs remove {run['name']}\n" in printed
    program, *arguments = shlex.split(run["resume"])
    assert program == "mgaudit"
    assert mgaudit(*arguments, "--jobs", "1", "--quiet").exit_code == 0
    (finished,) = listed()
    assert (finished["name"], finished["state"]) == (run["name"], "finished")
    log = (tmp_path / path / "log.txt").read_text()
    assert "no noise: training 3 models, 3 from the cache" in log
    assert not list(Path(path).glob(".*.partial"))


@pytest.mark.parametrize(
    ("settings", "resume"),
    [
        ('datasets = ["digits"]\nschemes = ["none"]', "mgaudit compare {}"),
        ('dataset = "a"\nschemes = ["none"]\n[training]', "mgaudit run --settings {}"),
        ('dataset = "a"\nscheme = "b"\nadversary = "c"', "mgaudit audit-dp --settings {}"),
        ('fits = ["fit"]', ""),
        ("a=" + "[" * 10_000, ""),
        ("\udcff", ""),
        (None, ""),
    ],
)
def test_the_settings_of_a_killed_run_tell_how_to_continue_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str | None, resume: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.create(Path("my runs"), "killed", "0" * 64)
    if settings is not None:
        (folder.path / "settings.toml").write_bytes(settings.encode(errors="surrogateescape"))
    output = mgaudit("runs", "--runs", "my runs")
    assert output.exit_code == 0
    path = shlex.quote(f"{folder.path}/settings.toml")
    continued = f"{resume.format(path)} --out 'my runs'" if resume else "repeat its command"
    assert f"to continue it: {continued}\n" in output.stdout
    _, _, remove = output.stdout.partition("to remove it: ")
    assert mgaudit(*shlex.split(remove)[1:], "--yes").exit_code == 0
    assert not folder.path.exists()


def test_a_run_that_works_is_running_and_a_failed_one_has_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.create(Path("runs"), "works", "0" * 64)
    with folder.in_use():
        assert [run["state"] for run in listed()] == ["running"]
        assert "remove" not in mgaudit("runs").stdout
    folder.write_log(["Traceback"])
    (run,) = listed()
    assert (run["state"], run["trouble"]) == ("failed", "no result; see log.txt")


# Lists the folder as a user who may not read all of it, nor the modules of Python.
AS_NOBODY = """
import json, os, sys
from dataclasses import asdict
from pathlib import Path
from mgaudit.storage.run_list import listed_runs

listed_runs(Path(sys.argv[1]))
os.setgroups([]), os.setgid(65534), os.setuid(65534)
print(json.dumps([asdict(run) for run in listed_runs(Path(sys.argv[1]))]))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_folder_without_permission_does_not_hide_the_others(tmp_path: Path) -> None:
    names = ("closed", "damaged", "good", "unreadable")
    folders = {name: RunFolder.create(tmp_path, name, "0" * 64).path for name in names}
    (folders["damaged"] / "result.json").write_text('{"studies": [{"times": 1e400}]}')
    (folders["unreadable"] / "result.json").write_text("{}")
    (folders["unreadable"] / "result.json").chmod(0)
    folders["closed"].chmod(0)
    parents = [path for path in tmp_path.parents if "pytest" in str(path)]
    for parent in (tmp_path, *parents):
        parent.chmod(0o755)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    output = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    states = {run["name"].split("-")[3]: run["state"] for run in json.loads(output.stdout)}
    damaged = dict.fromkeys(("closed", "damaged", "unreadable"), "damaged")
    assert states == damaged | {"good": "unfinished"}
