"""Lists, finds and removes the run folders in a folder. Needs no torch."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.reports.files import (
    ARRAYS_FILE,
    CHECKSUMS_FILE,
    CONDITIONS_FILE,
    INPUT_FILES,
)
from mgaudit.reports.formats.render import FORMATS, PAPER_FORMATS
from mgaudit.storage.atomic import is_partial
from mgaudit.storage.checked_results import CHECKSUMS_LOCK
from mgaudit.storage.run_folder import (
    IN_USE,
    LOG_FILE,
    MARKER_FILE,
    RESULT_FILES,
    SETTINGS_FILE,
    RunFolder,
)
from mgaudit.storage.run_summary import Run, run_summary
from mgaudit.targets.home import with_home

LATEST = "latest"
NAME = re.compile(r"\d{4}-\d\d-\d\d-.+-[0-9a-f]{8}")
HASH = re.compile(r"[0-9a-f]{1,8}")

MADE_BY_A_RUN = (*RESULT_FILES, SETTINGS_FILE, LOG_FILE, MARKER_FILE)
REPORTS = (
    *(report_format.name for report_format in FORMATS.values()),
    *(report_format.name for report_format in PAPER_FORMATS.values()),
)
CHECKED = (ARRAYS_FILE, CHECKSUMS_FILE, CHECKSUMS_LOCK)
KEPT_BY_A_RUN = (*MADE_BY_A_RUN, *CHECKED, CONDITIONS_FILE, *INPUT_FILES, *REPORTS)

# The files in the folders of reports, as patterns of paths in the run folder.
IN_REPORT_FOLDERS = (
    "report-latex/report.tex",
    "report-latex/references.bib",
    "report-latex/tables/*.tex",
    "report-latex/figures/*.pdf",
    "report-markdown/report.md",
    "report-markdown/*.svg",
)


def listed_runs(out: Path) -> list[Run]:
    """Returns the run folders in `out`, the latest first.

    Raises:
        UsageError: Where `out` is not a folder.
    """
    out = with_home(out, "--runs")
    if not out.is_dir():
        rule = "must be a folder that contains run folders"
        raise UsageError("--runs", rule, repr(str(out)), "`mgaudit run` creates one")
    paths = [path for path in out.iterdir() if is_run_folder(path) or _is_closed(path)]
    runs = [run_summary(path) for path in paths]
    return sorted(runs, key=lambda run: (run.started, run.name), reverse=True)


def is_run_folder(path: Path) -> bool:
    """Returns whether a run seems to have created the folder."""
    return os.path.isdir(path) and any(os.path.isfile(path / name) for name in MADE_BY_A_RUN)


def _is_closed(path: Path) -> bool:
    """Returns whether a folder has the name of a run and may not be read by this user."""
    is_named = NAME.fullmatch(path.name) is not None
    return is_named and os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK)


def find_run(text: str, runs: Path) -> Path:
    """Returns the path of a run directory.

    `text` is its path or, within the directory `runs`, its name, the beginning of its hash, or
    "latest". Raises UsageError if the text names no run directory, or more than one.
    """
    path, runs = with_home(text, "RUN"), with_home(runs, "--runs")
    if text and is_run_folder(path):
        return path
    if path.name == text and text not in ("", "..") and is_run_folder(runs / text):
        return runs / text
    names = [run.name for run in listed_runs(runs)] if runs.is_dir() else []
    if text == LATEST:
        if not names:
            rule = f"must name a run, and there is none in {str(runs)!r}"
            raise UsageError("RUN", rule, repr(text), "name another directory with --runs")
        return runs / names[0]
    is_hash = HASH.fullmatch(text) is not None
    matches = [name for name in names if is_hash and name.rpartition("-")[2].startswith(text)]
    if len(matches) > 1:
        way_out = f"it is the beginning of those of {_first_names(matches)}"
        raise UsageError("RUN", "must be the beginning of one hash", repr(text), way_out)
    if not matches:
        within = f"in {str(runs)!r}, its name, the beginning of its hash, or latest"
        rule = f"must be the path of a run directory or, {within}"
        way_out = did_you_mean(text, [*names, LATEST]) or "see `mgaudit runs`"
        raise UsageError("RUN", rule, repr(text), way_out)
    return runs / matches[0]


@dataclass(frozen=True)
class Removable:
    """A run folder that may be removed, with all its files and folders, and its size in bytes."""

    path: Path
    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    bytes: int


def removable(texts: list[str], out: Path) -> list[Removable]:
    """Returns the run folders in `out` that `texts` (names or paths) name. Removes nothing.

    Raises:
        UsageError: For the first folder that must not be removed.
    """
    out = with_home(out, "--runs")
    folders = [_removable(text, out) for text in texts]
    by_path = {folder.path.resolve(): folder for folder in folders}
    return list(by_path.values())


def remove(folder: Removable) -> None:
    """Deletes a run folder that `removable` has checked. Trained models stay in the cache.

    Files that were created after the check are not deleted; then OSError is raised.
    """
    for file in folder.files:
        file.unlink()
    for path in folder.folders:
        path.rmdir()
    folder.path.rmdir()


def _removable(text: str, out: Path) -> Removable:
    """Returns the run folder of a text. Raises UsageError if it must not be removed."""
    path = _path_in_runs(text, out)
    files, folders, foreign = _contents(path)
    if foreign:
        way_out = f"move {_first_names(foreign)} elsewhere, or delete the folder manually"
        raise _run_error(text, "must contain only files that a run creates", way_out)
    run = run_summary(path)
    folder = RunFolder(path)
    has_result = folder.has_result()
    if has_result and not run.started:
        rule = "must be a run folder whose result can be read"
        raise _run_error(text, rule, "delete it manually")
    if not has_result and not folder.is_marked():
        rule = f"must be a run folder with a result or with the marker {MARKER_FILE}"
        raise _run_error(text, rule, "delete it manually")
    if folder.is_in_use():
        raise _run_error(text, "must be a run that has ended", "interrupt it first")
    # `is_in_use` has deleted the lock files of ended processes.
    files = [file for file in files if file.exists()]
    size = sum(file.stat().st_size for file in files)
    return Removable(path, tuple(files), tuple(folders), size)


def _path_in_runs(text: str, out: Path) -> Path:
    """Returns the path of a run folder in `out`, which is a name in `out` or a path."""
    path = with_home(text, "RUN")
    if path.name in ("", ".."):
        way_out = "name one of the run folders that `mgaudit runs` lists"
        raise _run_error(text, "must be a run folder", way_out)
    if os.path.lexists(out / path.name) and path == Path(path.name):
        path = out / path.name
    if not os.path.lexists(path):
        path = find_run(text, out)
    if path.is_symlink():
        raise _run_error(text, "must be a run folder and not a link", "delete the link manually")
    if not is_run_folder(path):
        raise _run_error(text, "must be a run folder", "see `mgaudit runs`")
    if path.parent.resolve() != out.resolve():
        rule = f"must be in the runs folder {str(out)!r}"
        raise _run_error(text, rule, "name its runs folder with --runs")
    return path


def _run_error(text: str, rule: str, way_out: str) -> UsageError:
    return UsageError("RUN", rule, repr(text), way_out)


def _first_names(names: list[str]) -> str:
    """Returns the first three names as text, with an ellipsis if there are more."""
    text = ", ".join(names[:3])
    return f"{text}, …" if len(names) > 3 else text


def _contents(path: Path) -> tuple[list[Path], list[Path], list[str]]:
    """Returns the files and folders that a run creates, innermost first, and the other paths."""
    files, folders, foreign = [], [], []
    for folder, names_of_folders, names_of_files in os.walk(path, topdown=False):
        for name in (*names_of_files, *names_of_folders):
            entry = Path(folder) / name
            relative = entry.relative_to(path)
            if entry.is_symlink() or not _is_made_by_a_run(relative):
                foreign.append(str(relative))
            elif entry.is_dir():
                folders.append(entry)
            else:
                files.append(entry)
    return files, folders, sorted(foreign)


def _is_made_by_a_run(path: Path) -> bool:
    """Returns whether a run creates a file or folder with this path in its folder."""
    first = path.parts[0]
    if is_partial(first):
        return True
    if len(path.parts) == 1:
        return first in KEPT_BY_A_RUN or path.match(IN_USE)
    for pattern in IN_REPORT_FOLDERS:
        report_folder = Path(pattern).parent
        if path == report_folder or (path.parent == report_folder and path.match(pattern)):
            return True
    return False
