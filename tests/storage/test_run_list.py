"""`mgaudit runs`: what lies in a folder of runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.errors import UsageError
from mgaudit.storage.run_folder import RunFolder
from mgaudit.storage.run_list import listed_runs, removable, remove

FEW = [
    "--target",
    "mlp:hidden=4",
    "--models",
    "3",
    "--epochs",
    "1",
    "--examples",
    "120",
    "--jobs",
    "1",
    "--quiet",
]


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs: a study, an audit of DP-SGD, an unfinished run, a damaged result and another folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mgaudit.storage.run_folder.RunFolder.write_reports", lambda *_: [])
    assert mgaudit("run", *FEW, "--no-dp").exit_code == 0
    audit = mgaudit(
        "audit-dp",
        "--target",
        "mlp:hidden=4",
        "--epochs",
        "1",
        "--canaries",
        "60",
        "--jobs",
        "1",
        "--quiet",
    )
    assert audit.exit_code == 0
    (tmp_path / "runs" / "stopped").mkdir()
    (tmp_path / "runs" / "stopped" / "log.txt").write_text("0.0 s  loading\n")
    (tmp_path / "runs" / "damaged").mkdir()
    (tmp_path / "runs" / "damaged" / "result.json").write_text('{"target": "MLP"')
    (tmp_path / "runs" / "photographs").mkdir()
    return tmp_path / "runs"


def test_runs_are_listed_with_what_they_are(runs: Path) -> None:
    by_kind = {run.what: run for run in listed_runs(runs) if run.what}
    assert set(by_kind) == {"MLP (hidden=4) on digits", "audit of mlp:hidden=4 on digits"}
    assert by_kind["MLP (hidden=4) on digits"].arms == ("no noise", "gaussian-mask (kappa=0.3)")
    assert by_kind["audit of mlp:hidden=4 on digits"].arms == ("dp-sgd (epsilon=2)",)
    rest = {run.name: run.trouble for run in listed_runs(runs) if not run.what}
    assert rest == {"stopped": "no result; see log.txt", "damaged": "its result cannot be read"}
    assert listed_runs(runs)[0].started >= listed_runs(runs)[1].started > ""
    printed = mgaudit("runs")
    assert printed.exit_code == 0
    assert "photographs" not in printed.stdout
    assert {run["name"] for run in json.loads(mgaudit("runs", "--json").stdout)} == {
        run.name for run in listed_runs(runs)
    }


def test_a_run_is_shown_again(runs: Path) -> None:
    (name,) = [run.name for run in listed_runs(runs) if run.what.startswith("MLP")]
    output = mgaudit("runs", "show", name)
    assert output.exit_code == 0
    assert "with gaussian-mask (kappa=0.3)" in " ".join(output.stdout.split())


def test_runs_are_removed_all_or_none(runs: Path) -> None:
    study, audit = sorted(run.name for run in listed_runs(runs) if run.what)
    refused = mgaudit("runs", "remove", study, "photographs", "--yes")
    assert refused.exit_code == 2
    assert "RUN must be a run folder, got 'photographs'; see `mgaudit runs`" in refused.stderr
    assert (runs / study).exists()
    asked = mgaudit("runs", "remove", study)  # nobody said yes
    assert asked.exit_code != 0
    assert f"{study}: 6 files, " in asked.stdout
    assert (runs / study).exists()
    assert mgaudit("runs", "remove", study, study, str(runs / audit), "--yes").exit_code == 0
    assert {path.name for path in runs.iterdir()} == {"photographs", "stopped", "damaged"}


def test_only_run_folders_in_the_runs_folder_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    ended = RunFolder.create(runs, "ended", "0" * 64)
    ended.write_log(["failed"])
    name = ended.path.name
    (tmp_path / "log.txt").touch()
    (runs / "log.txt").touch()
    elsewhere = RunFolder.create(tmp_path / "elsewhere", "other", "0" * 64).path
    (runs / "link").symlink_to(ended.path)
    (runs / "file").touch()
    (runs / "old").mkdir()
    (runs / "old" / "log.txt").touch()
    own = RunFolder.create(runs, "own", "1" * 64).path
    (own / "report-latex").mkdir()
    (own / "report-latex" / "thesis.tex").touch()
    linking = RunFolder.create(runs, "linking", "1" * 64).path
    (linking / "log.txt").symlink_to(tmp_path / "log.txt")
    damaged = RunFolder.create(runs, "damaged", "1" * 64).path
    (damaged / "result.json").write_text("[" * 100_000)
    working = RunFolder.create(runs, "working", "1" * 64)
    cases = {
        "": "must be a run folder",
        ".": "must be a run folder",
        "..": "must be a run folder",
        f"runs/{name}/..": "must be a run folder",
        "runs": "must be in the runs folder",
        "gone": "must be the path of a run directory",
        "file": "must be a run folder",
        "link": "must be a run folder and not a link",
        str(elsewhere): "must be in the runs folder",
        "old": "with the marker",
        own.name: "move report-latex/thesis.tex elsewhere",
        linking.name: "move log.txt elsewhere",
        damaged.name: "whose result can be read",
        working.path.name: "must be a run that has ended",
    }
    before = sorted(tmp_path.rglob("*"))
    with working.in_use():
        for text, message in cases.items():
            with pytest.raises(UsageError, match=message):
                removable([name, text], runs)
    assert sorted(tmp_path.rglob("*")) == before
    remains = [working.path, ended.path]
    (working.path / ".in-use-1-0.lock").touch()  # of a process that was killed
    (working.path / ".arrays.npz.0.partial").touch()
    for folder in removable([working.path.name, f"../{tmp_path.name}/runs/{name}"], runs):
        remove(folder)
    assert not any(path.exists() for path in remains)
    assert [run.name for run in listed_runs(runs)] == sorted(
        ["old", own.name, linking.name, damaged.name], reverse=True
    )


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"studies": []}',
        "[]",
        '{"studies": {}}',
        '{"studies": [{"target": 1, "dataset": []}]}',
        "3",
    ],
)
def test_a_bad_folder_does_not_hide_the_others(tmp_path: Path, content: str) -> None:
    for name, text in (("bad", content), ("other", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(text)
    numeric = {"started": 3, "label": "a", "settings": {"target": "mlp", "dataset": "digits"}}
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "dp-audit.json").write_text(json.dumps(numeric))
    assert {run.name: run.trouble for run in listed_runs(tmp_path)} == dict.fromkeys(
        ("bad", "other", "audit"), "its result cannot be read"
    )


def test_listing_runs_no_code_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    (tmp_path / "studies").mkdir()
    for number, text in enumerate(
        ('schemes = ["none", "evil:Thing"]', 'schemes=["none"]\ntarget="evil:Net"')
    ):
        (tmp_path / "studies" / f"{number}.toml").write_text(text)
    (tmp_path / "studies" / "deep.toml").write_text("a=" + "[" * 5_000)
    listed = mgaudit("list", "--json")
    assert listed.exit_code == 0, listed.output
    assert {"0", "1", "deep"} <= {study["name"] for study in json.loads(listed.stdout)["studies"]}
    assert mgaudit("runs", "--runs", str(tmp_path)).exit_code == 0
    assert not (tmp_path / "ran").exists()


def test_a_folder_is_discarded_only_where_nothing_else_needs_it(tmp_path: Path) -> None:
    first, second = (RunFolder.create(tmp_path, "same", "0" * 64) for _ in range(2))
    assert first == second
    with second.in_use():
        with first.in_use():
            pass
        first.discard_if_unfinished()
        assert second.path.exists()
    (first.path / ".result.json.0.partial").touch()
    with first.in_use():
        assert not (first.path / ".result.json.0.partial").exists()
    (first.path / "notes.txt").touch()
    first.discard_if_unfinished()
    assert [path.name for path in tmp_path.glob("*/*")] == ["notes.txt"]
    (first.path / "notes.txt").unlink()
    first.discard_if_unfinished()
    assert list(tmp_path.iterdir()) == []
    with second.in_use():
        assert second.is_marked()
    second.write_log(["failed"])
    second.discard_if_unfinished()
    assert {path.name for path in second.path.iterdir()} == {".mgaudit-run", "log.txt"}


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    result = mgaudit("runs", "--runs", str(tmp_path / "gone"))
    assert result.exit_code == 2
    assert "--runs must be a folder that contains run folders" in result.stderr
    assert mgaudit("runs", "show", "gone").exit_code == 2
