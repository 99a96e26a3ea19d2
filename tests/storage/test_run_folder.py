"""The folder of a run: its name on other days and in other time zones."""

import csv
import errno
import io
import multiprocessing
import os
import shutil
import time
from datetime import date
from pathlib import Path

import pytest

from mgaudit.analysis.smallest_leaks import smallest_leaks
from mgaudit.errors import UsageError
from mgaudit.reports.files import DP_AUDIT_FILE, RESULT_FILE
from mgaudit.storage import run_folder
from mgaudit.storage.run_folder import MARKER_FILE, RunFolder
from tests.analysis.test_smallest_leaks import fake_audit
from tests.fake_study import arrays, result, study, write

SHA256 = 64 * "a"


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> object:
    """Returns a function that sets the date."""

    def set_date(text: str) -> None:
        class Date(date):
            @classmethod
            def today(cls) -> "Date":
                return cls.fromisoformat(text)

        monkeypatch.setattr(run_folder, "date", Date)

    return set_date


def names(folder: Path) -> list[str]:
    return sorted(path.name[:10] for path in folder.iterdir())


def test_an_unfinished_run_is_continued_in_its_folder_on_another_day(
    tmp_path: Path, on: "run_folder.Any"
) -> None:
    on("2026-03-01")
    killed = RunFolder.create(tmp_path, "digits-mlp", SHA256)
    killed.begin({"seed": 0})
    for day in ("2026-03-02", "2026-02-28", "2027-01-01"):
        on(day)
        assert RunFolder.create(tmp_path, "digits-mlp", SHA256) == killed
    killed.write_log(["failed"])
    assert RunFolder.create(tmp_path, "digits-mlp", SHA256) == killed
    (killed.path / "result.json").write_text("{}")
    on("2026-03-02")
    assert RunFolder.create(tmp_path, "digits-mlp", SHA256) != killed
    assert names(tmp_path) == ["2026-03-01", "2026-03-02"]
    on("2026-03-01")  # a finished run is repeated in its folder on the same day
    assert RunFolder.create(tmp_path, "digits-mlp", SHA256) == killed


def test_only_a_folder_of_the_same_run_is_continued(tmp_path: Path, on: "run_folder.Any") -> None:
    on("2026-03-01")
    for slug, sha256 in (("digits-mlp", 64 * "b"), ("digits-mlp-2", SHA256), ("mlp", SHA256)):
        RunFolder.create(tmp_path, slug, sha256)
    name = "digits-mlp-aaaaaaaa"
    (tmp_path / f"2026-01-01-{name}").mkdir()  # without a marker, so not made by a run
    elsewhere = RunFolder.create(tmp_path / "elsewhere", "digits-mlp", SHA256)
    (tmp_path / f"2026-01-02-{name}").symlink_to(elsewhere.path)
    (tmp_path / f"2026-01-03-{name}").write_text("a file")
    (tmp_path / f"copy-of-{name}").mkdir()
    RunFolder(tmp_path / f"copy-of-{name}").mark()
    assert RunFolder.create(tmp_path, "digits-mlp", SHA256).path.name == f"2026-03-01-{name}"


def test_the_time_zone_does_not_give_an_unfinished_run_a_second_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        folders = set()
        for zone in ("Etc/GMT+12", "Etc/GMT-14"):  # 26 hours apart
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            folders.add(RunFolder.create(tmp_path, "digits-mlp", SHA256).path)
        assert len(folders) == len(names(tmp_path)) == 1
    finally:
        monkeypatch.undo()
        time.tzset()


def test_reports_delete_the_partial_files_of_killed_processes(tmp_path: Path) -> None:
    folder, elsewhere = RunFolder(tmp_path / "run"), tmp_path / "elsewhere"
    write(folder.path, result(study()), [arrays()])
    (folder.path / MARKER_FILE).unlink(missing_ok=True)
    remnants = [folder.path / f".report.{name}.0.partial" for name in ("pdf", "html")]
    own = elsewhere / ".notes.partial"  # in a folder of the user
    recent, old = (elsewhere / f".report.csv.{number}.partial" for number in (0, 1))
    elsewhere.mkdir()
    for path in (*remnants, own, recent, old):
        path.touch()
    os.utime(own, (0, 0))
    os.utime(old, (0, 0))
    folder.write_reports(["csv"])
    folder.write_reports(["csv"], elsewhere)
    assert [path.exists() for path in (*remnants, old)] == [False, False, False]
    assert own.exists()
    assert recent.exists()  # a process may be writing it
    assert not folder.is_marked()


def test_reports_keep_the_partial_files_of_a_process_that_works(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    write(folder.path, result(study()), [arrays()])
    with folder.in_use():
        partial = folder.path / ".report.pdf.0.partial"
        partial.touch()
        folder.write_reports(["csv"])
        assert partial.exists()


def test_reports_have_the_smallest_leak_that_the_arrays_give(tmp_path: Path) -> None:
    audit, audit_arrays = fake_audit()
    write(tmp_path / "run", result(audit), [audit_arrays])
    stored = (tmp_path / "run" / RESULT_FILE).read_bytes()
    RunFolder(tmp_path / "run").write_reports(["csv"])
    text = (tmp_path / "run" / "report.csv").read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["what"].startswith("smallest")]
    (leak,) = smallest_leaks(audit, audit_arrays)
    assert [(row["metric"], float(row["value"])) for row in rows] == [
        ("auc", leak.auc),
        ("tpr@0.1", leak.tpr),
    ]
    assert (tmp_path / "run" / RESULT_FILE).read_bytes() == stored


def test_an_audit_of_dp_sgd_has_no_ppv_at_a_prior(tmp_path: Path) -> None:
    (tmp_path / DP_AUDIT_FILE).write_text("{}")
    with pytest.raises(UsageError, match="--prior is for audits that report a PPV"):
        RunFolder(tmp_path).write_reports(["html"], None, False, 0.03)


def test_a_disk_that_fills_up_while_reports_are_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    write(folder.path, result(study()), [arrays()])

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_folder, "write_atomically", full)
    with pytest.raises(OSError, match="No space left") as caught:
        folder.write_reports(["csv"])
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(folder.path)


def test_a_folder_that_another_process_removes_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = RunFolder.mark
    removed: list[Path] = []

    def mark_late(folder: RunFolder) -> None:
        if len(removed) < 3:
            removed.append(folder.path)
            shutil.rmtree(tmp_path / "runs")
            raise FileNotFoundError(2, "No such file or directory")
        mark(folder)

    monkeypatch.setattr(RunFolder, "mark", mark_late)
    folder = RunFolder.create(tmp_path / "runs", "study", "0" * 64)
    assert len(removed) == 3
    assert folder.is_marked()
    removed.clear()
    monkeypatch.setattr(RunFolder, "mark", lambda folder: Path("/nowhere/x").read_bytes())
    with pytest.raises(UsageError, match="writable folder"):
        RunFolder.create(tmp_path / "runs", "study", "0" * 64)


def begin_often(out: Path, times: int) -> None:
    for _ in range(times):
        folder = RunFolder.create(out, "same", "a" * 64)
        with folder.in_use():
            folder.begin({"models": 8})
        folder.discard_if_unfinished()


def test_processes_that_begin_and_discard_the_same_run_disturb_none_of_them(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    others = [fork.Process(target=begin_often, args=(tmp_path, 150)) for _ in range(2)]
    for other in others:
        other.start()
    begin_often(tmp_path, 150)
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0, 0]
    assert list(tmp_path.iterdir()) == []
