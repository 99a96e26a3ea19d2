"""Lists, finds and removes the run folders in a folder. Needs no torch."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.reports.files import (
    ARRAYS_FILE,
    DP_AUDIT_FILE,
    INPUT_FILES,
    REPRODUCTION_FILE,
    RESULT_FILE,
)
from mgaudit.reports.formats.render import FORMATS, PAPER_FORMATS
from mgaudit.storage.atomic import is_partial
from mgaudit.storage.run_folder import (
    IN_USE,
    LOG_FILE,
    MARKER_FILE,
    RESULT_FILES,
    SETTINGS_FILE,
    RunFolder,
)
from mgaudit.targets.home import with_home

LATEST = "latest"
HASH = re.compile(r"[0-9a-f]{1,8}")

MADE_BY_A_RUN = (*RESULT_FILES, SETTINGS_FILE, LOG_FILE, MARKER_FILE)
REPORTS = (
    *(report_format.name for report_format in FORMATS.values()),
    *(report_format.name for report_format in PAPER_FORMATS.values()),
)
KEPT_BY_A_RUN = (*MADE_BY_A_RUN, ARRAYS_FILE, *INPUT_FILES, *REPORTS)

# The files in the folders of reports, as patterns of paths in the run folder.
IN_REPORT_FOLDERS = (
    "report-latex/report.tex",
    "report-latex/references.bib",
    "report-latex/tables/*.tex",
    "report-latex/figures/*.pdf",
    "report-markdown/report.md",
    "report-markdown/*.svg",
)


@dataclass(frozen=True)
class Run:
    """A run folder: its name, its size in bytes, and a summary of its result.

    `started` is the start time (ISO 8601), `what` the subject of the run, and `arms` are the labels
    of its arms (noise schemes) or the keys of reproduced figures. Without a readable result, these
    are empty and `trouble` says why.
    """

    name: str
    bytes: int
    started: str = ""
    what: str = ""
    arms: tuple[str, ...] = ()
    trouble: str = ""


def listed_runs(out: Path) -> list[Run]:
    """Returns the run folders in `out`, the latest first.

    Raises:
        UsageError: Where `out` is not a folder.
    """
    out = with_home(out, "--runs")
    if not out.is_dir():
        rule = "must be a folder that contains run folders"
        raise UsageError("--runs", rule, repr(str(out)), "`mgaudit run` creates one")
    runs = [_run(path) for path in out.iterdir() if is_run_folder(path)]
    return sorted(runs, key=lambda run: (run.started, run.name), reverse=True)


def is_run_folder(path: Path) -> bool:
    """Returns whether a run seems to have created the folder."""
    return os.path.isdir(path) and any(os.path.isfile(path / name) for name in MADE_BY_A_RUN)


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
    if text == LATEST and names:
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
    run = _run(path)
    folder = RunFolder(path)
    has_result = any((path / name).is_file() for name in RESULT_FILES)
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


def _run(path: Path) -> Run:
    """Returns a summary of a run folder; of a damaged one, its size and the trouble."""
    size = 0
    try:
        files = [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
        size = sum(file.stat().st_size for file in files)
        return _summarise(path, size)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OSError):
        return Run(path.name, size, trouble="its result cannot be read")


def _summarise(path: Path, size: int) -> Run:
    """Returns a summary of the result in the folder.

    A damaged result raises one of the exceptions that `_run` catches.
    """
    if (path / RESULT_FILE).is_file():
        return _summarise_studies(path, size)
    if (path / DP_AUDIT_FILE).is_file():
        content = _read_json(path / DP_AUDIT_FILE)
        settings = content["settings"]
        what = "audit of a training function in one run"
        if "fits" not in settings:
            what = f"audit of {settings['target']} on {settings['dataset']}"
        arms = (_text(content["label"]),)
        return Run(path.name, size, _text(content["started"]), what, arms)
    if (path / REPRODUCTION_FILE).is_file():
        content = _read_json(path / REPRODUCTION_FILE)
        figures = tuple(_text(figure["key"]) for figure in content["figures"])
        what = f"reproduction of {content['key']} ({content['scale']})"
        return Run(path.name, size, _text(content["started"]), what, figures)
    if (path / LOG_FILE).is_file():
        return Run(path.name, size, trouble=f"no result; see {LOG_FILE}")
    return Run(path.name, size, trouble="no result: still running, or killed")


def _summarise_studies(path: Path, size: int) -> Run:
    studies = _read_json(path / RESULT_FILE)["studies"]
    subjects: dict[str, None] = {}  # in order, without duplicates
    labels: dict[str, None] = {}
    for study in studies:
        subjects[f"{study['target']['label']} on {study['dataset']['name']}"] = None
        labels |= dict.fromkeys(_text(arm["label"]) for arm in study["arms"])
    started = _text(studies[0]["times"]["started"])
    return Run(path.name, size, started, ", ".join(subjects), tuple(labels))


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _text(value: object) -> str:
    """Returns the value, which must be a string. Raises TypeError for other values."""
    if not isinstance(value, str):
        raise TypeError(f"must be text, got {value!r}")
    return value
