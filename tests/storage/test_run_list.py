"""`mgaudit runs`: what lies in a folder of runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.storage.run_list import listed_runs

FEW = ["--target", "mlp:hidden=4", "--models", "3", "--epochs", "1", "--examples", "120", "--jobs", "1", "--quiet"]


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study, an audit of DP-SGD, one run that came to nothing, one damaged result and a stranger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mgaudit.storage.run_folder.RunFolder.write_reports", lambda *_: [])
    assert mgaudit("run", *FEW, "--no-dp").exit_code == 0
    audit = mgaudit(
        "audit-dp", "--target", "mlp:hidden=4", "--epochs", "1", "--canaries", "60", "--jobs", "1", "--quiet"
    )
    assert audit.exit_code == 0
    (tmp_path / "runs" / "stopped").mkdir()
    (tmp_path / "runs" / "stopped" / "log.txt").write_text("0.0 s  loading\n")
    (tmp_path / "runs" / "damaged").mkdir()
    (tmp_path / "runs" / "damaged" / "result.json").write_text('{"target": "MLP"')
    (tmp_path / "runs" / "photographs").mkdir()
    return tmp_path / "runs"


def test_runs_are_listed_with_what_they_are(place: Path) -> None:
    found = {run.what: run for run in listed_runs(place) if run.what}
    assert set(found) == {"MLP (hidden=4) on digits", "audit of mlp:hidden=4 on digits"}
    assert found["MLP (hidden=4) on digits"].arms == ("no noise", "gaussian-mask (kappa=0.3)")
    assert found["audit of mlp:hidden=4 on digits"].arms == ("dp-sgd (epsilon=2)",)
    rest = {run.name: run.trouble for run in listed_runs(place) if not run.what}
    assert rest == {"stopped": "no result; see log.txt", "damaged": "its result cannot be read"}
    assert listed_runs(place)[0].started >= listed_runs(place)[1].started > ""
    printed = mgaudit("runs")
    assert printed.exit_code == 0
    assert "photographs" not in printed.stdout
    assert {run["name"] for run in json.loads(mgaudit("runs", "--json").stdout)} == {
        run.name for run in listed_runs(place)
    }


def test_a_run_is_shown_again(place: Path) -> None:
    (name,) = [run.name for run in listed_runs(place) if run.what.startswith("MLP")]
    shown = mgaudit("runs", "show", name)
    assert shown.exit_code == 0
    assert "Training with gaussian-mask (kappa=0.3)" in " ".join(shown.stdout.split())


def test_runs_are_removed_all_or_none(place: Path) -> None:
    refused = mgaudit("runs", "remove", "stopped", "photographs", "--yes")
    assert refused.exit_code == 2
    assert "RUN must be a run folder, got 'photographs'; see `mgaudit runs`" in refused.stderr
    assert (place / "stopped").exists()
    assert mgaudit("runs", "remove", "stopped").exit_code != 0  # nobody said yes
    assert (place / "stopped").exists()
    assert mgaudit("runs", "remove", "stopped", str(place / "damaged"), "--yes").exit_code == 0
    assert {path.name for path in place.iterdir()} >= {"photographs"}
    assert not (place / "stopped").exists()
    assert not (place / "damaged").exists()


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    result = mgaudit("runs", "--runs", str(tmp_path / "gone"))
    assert result.exit_code == 2
    assert "--runs must be a folder with run folders in it" in result.stderr
    assert mgaudit("runs", "show", "gone").exit_code == 2
