"""What a run folder contains: its subject and arms, or why it has no result. Needs no torch."""

import json
import shlex
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mgaudit.errors import UsageError
from mgaudit.reports.checksums import read_checked
from mgaudit.reports.files import DP_AUDIT_FILE, REPRODUCTION_FILE, RESULT_FILE
from mgaudit.settings.arguments import RUNS
from mgaudit.settings.named_code import permission
from mgaudit.storage.run_folder import LOG_FILE, RESULT_FILES, SETTINGS_FILE, RunFolder

INTERRUPTED = "interrupted"  # the first word of the last line of the log of such a run
State = Literal["finished", "changed", "damaged", "failed", "unfinished", "running"]

MOST_SETTINGS_BYTES = 1_000_000

# The command that continues a run, by the settings that only runs of this kind have.
CONTINUED_BY = (
    ({"datasets", "schemes"}, "mgaudit compare {}"),
    ({"dataset", "schemes", "training"}, "mgaudit run --settings {}"),
    ({"dataset", "adversary", "scheme"}, "mgaudit audit-dp --settings {}"),
)


@dataclass(frozen=True)
class Run:
    """A run folder: its name, its size in bytes, and a summary of its result.

    `started` is the start time (ISO 8601), `what` the subject of the run, and `arms` are the labels
    of its arms (noise schemes) or the keys of reproduced figures. Without a readable result, these
    are empty and `trouble` says why. `state` is "changed" for a result that does not have the
    checksum of the run, "failed" for a run that ended with an error, "unfinished" for one that was
    killed, and "running" while a process works in the folder. `resume` is the command that
    continues a failed or unfinished run, if its settings are stored.
    """

    name: str
    bytes: int
    started: str = ""
    what: str = ""
    arms: tuple[str, ...] = ()
    trouble: str = ""
    state: State = "finished"
    resume: str = ""


def run_summary(path: Path) -> Run:
    """Returns a summary of a run folder; of a damaged one, its size and the trouble."""
    size = 0
    try:
        files = [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
        size = sum(file.stat().st_size for file in files)
        if not RunFolder(path).has_result():
            return _without_result(path, size)
        return _summarise(path, size)
    except (
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
        MemoryError,
        OSError,
    ):
        return Run(path.name, size, trouble="its result cannot be read", state="damaged")


def _without_result(path: Path, size: int) -> Run:
    """Returns what is known of a run that has not ended, or that ended without a result."""
    if _is_in_use(path):
        return Run(path.name, size, trouble="still running", state="running")
    run = Run(path.name, size, trouble="unfinished, because it was killed", state="unfinished")
    if (path / LOG_FILE).is_file():
        how = _ended_by_interruption(path / LOG_FILE)
        if how:
            run = replace(run, trouble=f"unfinished: {how}")
        else:
            run = replace(run, trouble=f"no result; see {LOG_FILE}", state="failed")
    return replace(run, resume=_resume(path))


def _is_in_use(path: Path) -> bool:
    try:
        return RunFolder(path).is_in_use()
    except OSError:  # the lock file of another user
        return True


def _resume(path: Path) -> str:
    """Returns the command that continues a run; "" if its settings do not tell the command."""
    settings_path = path / SETTINGS_FILE
    try:
        if not settings_path.is_file() or settings_path.stat().st_size > MOST_SETTINGS_BYTES:
            return ""
        settings = tomllib.loads(settings_path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError):
        return ""
    for needed, command in CONTINUED_BY:
        if needed <= settings.keys():
            out = "" if path.parent == Path(RUNS) else f" --out {shlex.quote(str(path.parent))}"
            return command.format(shlex.quote(str(settings_path))) + permission(settings) + out
    return ""


def _summarise(path: Path, size: int) -> Run:
    """Returns a summary of the result in the folder.

    A damaged result raises one of the exceptions that `run_summary` catches.
    """
    name = next(name for name in RESULT_FILES if (path / name).is_file())
    result_path = path / name
    summaries = {
        RESULT_FILE: _studies_summary,
        DP_AUDIT_FILE: _dp_audit_summary,
        REPRODUCTION_FILE: _paper_summary,
    }
    started, what, labels = summaries[name](json.loads(result_path.read_text(encoding="utf-8")))
    run = Run(path.name, size, _text(started), what, tuple(map(_text, labels)))
    try:
        read_checked(result_path)
    except UsageError:
        return replace(run, trouble=f"{name} was changed after the run", state="changed")
    return run


def _dp_audit_summary(content: Any) -> tuple[Any, str, list[Any]]:
    """Returns the start, the subject and the arm of an audit of DP-SGD."""
    settings = content["settings"]
    what = "audit of a training function in one run"
    if "fits" not in settings:
        what = f"audit of {settings['target']} on {settings['dataset']}"
    return content["started"], what, [content["label"]]


def _paper_summary(content: Any) -> tuple[Any, str, list[Any]]:
    """Returns the start, the subject and the figures of a reproduction of a paper."""
    what = f"reproduction of {content['key']} ({content['scale']})"
    return content["started"], what, [figure["key"] for figure in content["figures"]]


def _studies_summary(content: Any) -> tuple[Any, str, list[Any]]:
    """Returns the start, the subjects and the arms of studies."""
    studies = content["studies"]
    subjects: dict[str, None] = {}  # in order, without duplicates
    labels: dict[str, None] = {}
    for study in studies:
        subjects[f"{study['target']['label']} on {study['dataset']['name']}"] = None
        labels |= dict.fromkeys(_text(arm["label"]) for arm in study["arms"])
    return studies[0]["times"]["started"], ", ".join(subjects), list(labels)


def _text(value: object) -> str:
    """Returns the value, which must be a string. Raises TypeError for other values."""
    if not isinstance(value, str):
        raise TypeError(f"must be text, got {value!r}")
    return value


def _ended_by_interruption(log: Path) -> str:
    """Returns the last line of a log if it says that the run was interrupted; else ""."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[-1] if lines and lines[-1].startswith(INTERRUPTED) else ""
