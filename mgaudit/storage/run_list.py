"""The run folders of a folder: what each of them is. Needs no torch."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgaudit.reports.dp_audit import DP_AUDIT_FILE
from mgaudit.reports.reproduction import REPRODUCTION_FILE
from mgaudit.reports.results import RESULT_FILE
from mgaudit.storage.run_folder import LOG_FILE, SETTINGS_FILE, RunFolder

MADE_BY_A_RUN = (RESULT_FILE, DP_AUDIT_FILE, REPRODUCTION_FILE, SETTINGS_FILE, LOG_FILE)


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
    """Returns the run folders in `out`, the latest first. Raises ValueError where there is no such folder."""
    if not out.is_dir():
        raise ValueError(f"--runs must be a folder with run folders in it, got {str(out)!r}; `mgaudit run` makes one")
    runs = [_run(path) for path in out.iterdir() if is_run_folder(path)]
    return sorted(runs, key=lambda run: (run.started, run.name), reverse=True)


def is_run_folder(path: Path) -> bool:
    """Returns whether a run made the folder."""
    return path.is_dir() and any((path / name).is_file() for name in MADE_BY_A_RUN)


def removable(texts: list[str], out: Path) -> list[Path]:
    """Returns the run folders that `texts` name. Raises ValueError for the first that is none, before any is gone."""
    paths = [RunFolder.find(text, out).path for text in texts]
    for text, path in zip(texts, paths, strict=True):
        if not is_run_folder(path):
            raise ValueError(f"RUN must be a run folder, got {text!r}; see `mgaudit runs`")
    return list(dict.fromkeys(paths))


def remove(path: Path) -> None:
    """Deletes a run folder with all that is in it; trained models stay in the cache."""
    shutil.rmtree(path)


def _run(path: Path) -> Run:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    try:
        if (path / RESULT_FILE).is_file():
            content = json.loads((path / RESULT_FILE).read_text(encoding="utf-8"))
            studies = content["studies"]
            what = ", ".join(dict.fromkeys(f"{one['target']['label']} on {one['dataset']['name']}" for one in studies))
            arms = dict.fromkeys(arm["label"] for one in studies for arm in one["arms"])
            return Run(path.name, size, studies[0]["times"]["started"], what, tuple(arms))
        if (path / DP_AUDIT_FILE).is_file():
            content = json.loads((path / DP_AUDIT_FILE).read_text(encoding="utf-8"))
            settings: dict[str, Any] = content["settings"]
            what = f"audit of {settings['target']} on {settings['dataset']}"
            return Run(path.name, size, content["started"], what, (content["label"],))
        if (path / REPRODUCTION_FILE).is_file():
            content = json.loads((path / REPRODUCTION_FILE).read_text(encoding="utf-8"))
            figures = tuple(figure["key"] for figure in content["figures"])
            return Run(path.name, size, content["started"], f"{content['key']} made again, {content['scale']}", figures)
    except (ValueError, KeyError, TypeError, OSError):
        return Run(path.name, size, trouble="its result cannot be read")
    return Run(path.name, size, trouble=f"no result; see {LOG_FILE}")
