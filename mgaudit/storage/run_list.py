"""The run folders of a folder: what each of them is. Needs no torch."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.reports.arrays import ARRAYS_FILE
from mgaudit.reports.dp_audit import DP_AUDIT_FILE
from mgaudit.reports.formats.render import FORMATS, PAPER_FORMATS
from mgaudit.reports.reproduction import REPRODUCTION_FILE
from mgaudit.reports.results import RESULT_FILE
from mgaudit.storage.atomic import is_partial
from mgaudit.storage.run_folder import (
    IN_USE,
    LOG_FILE,
    MARKER_FILE,
    RESULT_FILES,
    SETTINGS_FILE,
    RunFolder,
)

LATEST = "latest"
HASH = re.compile(r"[0-9a-f]{1,8}")

MADE_BY_A_RUN = (*RESULT_FILES, SETTINGS_FILE, LOG_FILE, MARKER_FILE)
REPORTS = (
    *(made.name for made in FORMATS.values()),
    *(made.name for made in PAPER_FORMATS.values()),
)

# What the folders of reports hold, as patterns of paths in the run folder.
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
    """A run folder: its name, when it started, what it audited, the arms, or else why there is no result."""

    name: str
    bytes: int
    started: str = ""
    what: str = ""
    arms: tuple[str, ...] = ()
    trouble: str = ""


def listed_runs(out: Path) -> list[Run]:
    """Returns the run folders in `out`, the latest first. Raises UsageError where there is no such folder."""
    if not out.is_dir():
        raise UsageError(
            "--runs",
            "must be a folder with run folders in it",
            repr(str(out)),
            "`mgaudit run` makes one",
        )
    runs = [_run(path) for path in out.iterdir() if is_run_folder(path)]
    return sorted(runs, key=lambda run: (run.started, run.name), reverse=True)


def is_run_folder(path: Path) -> bool:
    """Returns whether a run seems to have made the folder."""
    return os.path.isdir(path) and any(os.path.isfile(path / name) for name in MADE_BY_A_RUN)


def find_run(text: str, runs: Path) -> Path:
    """Returns the path of a run directory.

    `text` is its path or, within the directory `runs`, its name, the beginning of its hash, or
    "latest". Raises UsageError where that is no run directory, or several.
    """
    path = Path(text)
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
        shown_names = ", ".join(matches[:3]) + (", …" if len(matches) > 3 else "")
        raise UsageError(
            "RUN",
            "must be the beginning of one hash",
            repr(text),
            f"it begins those of {shown_names}",
        )
    if not matches:
        within = f"in {str(runs)!r}, its name, the beginning of its hash, or latest"
        rule = f"must be the path of a run directory or, {within}"
        raise UsageError("RUN", rule, repr(text), did_you_mean(text, names) or "see `mgaudit runs`")
    return runs / matches[0]


@dataclass(frozen=True)
class Removable:
    """A run folder that may be removed: every file and folder in it, all of which a run makes."""

    path: Path
    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    bytes: int


def removable(texts: list[str], out: Path) -> list[Removable]:
    """Returns the run folders in `out` that `texts` name, by name or by path.

    Raises UsageError for the first that must not be removed, before any is gone.
    """
    folders = [_removable(text, out) for text in texts]
    return list({folder.path.resolve(): folder for folder in folders}.values())


def remove(folder: Removable) -> None:
    """Deletes a run folder and nothing that was not there when it was checked; trained models stay in the cache."""
    for file in folder.files:
        file.unlink()
    for path in folder.folders:
        path.rmdir()
    folder.path.rmdir()


def _removable(text: str, out: Path) -> Removable:
    def refused(rule: str, way_out: str) -> UsageError:
        return UsageError("RUN", rule, repr(text), way_out)

    path = Path(text)
    if path.name in ("", ".."):
        raise refused("must be a run folder", "name one of those that `mgaudit runs` lists")
    if os.path.lexists(out / path.name) and path == Path(path.name):
        path = out / path.name
    if not os.path.lexists(path):
        path = find_run(text, out)
    if path.is_symlink():
        raise refused("must be a run folder and no link", "delete the link by hand")
    if not is_run_folder(path):
        raise refused("must be a run folder", "see `mgaudit runs`")
    if path.parent.resolve() != out.resolve():
        raise refused(
            f"must be in the runs folder {str(out)!r}", "name its runs folder with --runs"
        )
    files, folders, foreign = _contents(path)
    if foreign:
        names = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
        raise refused(
            "must hold only files that a run makes",
            f"move {names} elsewhere, or delete the folder by hand",
        )
    run = _run(path)
    has_result = any((path / name).is_file() for name in RESULT_FILES)
    if has_result and not run.started:
        raise refused("must be a run folder whose result can be read", "delete it by hand")
    if not has_result and not RunFolder(path).is_marked():
        raise refused(
            f"must be a run folder with a result or with the marker {MARKER_FILE}",
            "delete it by hand",
        )
    if RunFolder(path).is_in_use():
        raise refused("must be a run that has ended", "interrupt it first")
    files = [
        file for file in files if file.exists()
    ]  # `is_in_use` deletes the files of dead processes
    return Removable(path, tuple(files), tuple(folders), sum(file.stat().st_size for file in files))


def _contents(path: Path) -> tuple[list[Path], list[Path], list[str]]:
    """Returns the files and folders that a run makes, the innermost first, and the names of foreign ones."""
    files, folders, foreign = [], [], []
    for where, names_of_folders, names_of_files in os.walk(path, topdown=False):
        for name in (*names_of_files, *names_of_folders):
            entry = Path(where) / name
            if entry.is_symlink() or not _is_made_by_a_run(entry.relative_to(path)):
                foreign.append(str(entry.relative_to(path)))
            elif entry.is_dir():
                folders.append(entry)
            else:
                files.append(entry)
    return files, folders, sorted(foreign)


def _is_made_by_a_run(path: Path) -> bool:
    first = path.parts[0]
    if is_partial(first):
        return True
    if len(path.parts) == 1:
        return first in (*MADE_BY_A_RUN, ARRAYS_FILE, *REPORTS) or path.match(IN_USE)
    patterns = [Path(pattern) for pattern in IN_REPORT_FOLDERS]
    parents = [pattern.parent for pattern in patterns]
    return path in parents or any(
        path.parent == pattern.parent and path.match(str(pattern)) for pattern in patterns
    )


def _run(path: Path) -> Run:
    size = 0
    try:
        files = [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
        size = sum(file.stat().st_size for file in files)
        return _described(path, size)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, OSError):
        return Run(path.name, size, trouble="its result cannot be read")


def _described(path: Path, size: int) -> Run:
    """Returns what the result in the folder says. Raises one of several errors where it is damaged."""

    def read(name: str) -> Any:
        return json.loads((path / name).read_text(encoding="utf-8"))

    if (path / RESULT_FILE).is_file():
        studies = read(RESULT_FILE)["studies"]
        names = (f"{study['target']['label']} on {study['dataset']['name']}" for study in studies)
        what = ", ".join(dict.fromkeys(names))
        arms = dict.fromkeys(_text(arm["label"]) for study in studies for arm in study["arms"])
        return Run(path.name, size, _text(studies[0]["times"]["started"]), what, tuple(arms))
    if (path / DP_AUDIT_FILE).is_file():
        content = read(DP_AUDIT_FILE)
        what = f"audit of {content['settings']['target']} on {content['settings']['dataset']}"
        return Run(path.name, size, _text(content["started"]), what, (_text(content["label"]),))
    if (path / REPRODUCTION_FILE).is_file():
        content = read(REPRODUCTION_FILE)
        figures = tuple(_text(figure["key"]) for figure in content["figures"])
        what = f"{content['key']} made again, {content['scale']}"
        return Run(path.name, size, _text(content["started"]), what, figures)
    if (path / LOG_FILE).is_file():
        return Run(path.name, size, trouble=f"no result; see {LOG_FILE}")
    return Run(path.name, size, trouble="no result: still running, or killed")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value
