"""Files of a run that were changed afterwards: every command says so."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import mgaudit
from mgaudit.cli.app import app
from mgaudit.errors import UsageError
from mgaudit.reports.files import ARRAYS_FILE, DP_AUDIT_FILE, RESULT_FILE
from mgaudit.settings.study_files import ready_studies
from mgaudit.storage.checked_results import write_results
from mgaudit.storage.run_folder import RunFolder
from mgaudit.storage.settings_text import with_checksum
from tests.fake_study import arrays, result, study

READERS = (
    ["runs", "show", "changed"],
    ["report", "changed", "--format", "csv"],
    ["report", "changed", "whole", "--format", "csv"],
    ["runs", "compare", "whole", "changed"],
    ["attack", "changed", "--attack", "rmia"],
)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs"
    for name in ("whole", "changed"):
        run = RunFolder(folder / name)
        run.write_result(result(study()), [arrays()])
    return folder


@pytest.mark.parametrize("name", [RESULT_FILE, ARRAYS_FILE])
def test_every_reader_refuses_a_result_that_was_changed(runs: Path, name: str) -> None:
    path = runs / "changed" / name
    path.write_bytes(path.read_bytes() + b"\n")
    for arguments in READERS:
        output = invoke(*arguments)
        assert output.exit_code == 2, arguments
        (line,) = [line for line in output.stderr.splitlines() if line.startswith("error: ")]
        assert line.startswith(f"error: {path.relative_to(runs.parent)} was changed after the run")
        assert "repeat the run" in line
    with pytest.raises(UsageError, match="was changed after the run"):
        mgaudit.load("changed")
    assert sorted(path.name for path in runs.iterdir()) == ["changed", "whole"]
    assert invoke("runs", "show", "whole").exit_code == 0


def test_a_changed_result_is_listed_as_such_and_can_be_removed(runs: Path) -> None:
    path = runs / "changed" / RESULT_FILE
    path.write_bytes(path.read_bytes() + b"\n")
    assert "result.json was changed after the run" in invoke("runs").stdout
    assert invoke("runs", "remove", "changed", "--yes").exit_code == 0
    assert [path.name for path in runs.iterdir()] == ["whole"]


def test_a_changed_audit_of_dp_sgd_is_refused(runs: Path) -> None:
    folder = runs / "audit"
    folder.mkdir()
    write_results(folder, {ARRAYS_FILE: b"", DP_AUDIT_FILE: b"{}"})
    (folder / DP_AUDIT_FILE).write_bytes(b"{ }")
    for arguments in (["runs", "show", "audit"], ["report", "audit"]):
        output = invoke(*arguments)
        assert output.exit_code == 2
        assert "dp-audit.json was changed after the run" in output.stderr


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
@pytest.mark.parametrize(
    "command", [["run", "--settings"], ["compare"], ["audit-dp", "--settings"]]
)
def test_changed_settings_give_one_line_also_with_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], quiet: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "settings.toml"
    path.write_text(with_checksum("models = 3\n").replace("3", "-3"))  # the command ends soon
    output = invoke(*command, "settings.toml", *quiet)
    assert output.exit_code == 2
    lines = [line for line in output.stderr.splitlines() if line.startswith("warning: ")]
    (line,) = lines
    assert "the settings file settings.toml was changed after a run wrote it" in line
    path.write_text(with_checksum("models = -3\n"))
    assert "warning" not in invoke(*command, "settings.toml", *quiet).stderr
    for empty in ("", with_checksum("models = -3\n").partition("\n")[0]):
        path.write_text(empty)
        assert invoke(*command, "settings.toml", *quiet).exit_code == 2


def test_the_checksum_of_settings_is_not_the_question_of_a_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "mine.toml").write_text(with_checksum('schemes = ["none"]\n'))
    (mine,) = [listed for listed in ready_studies() if listed["name"] == "mine"]
    assert "asks" not in mine
