"""Run a plan in a run directory: progress, log, result and reports."""

import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mgaudit.compute.run_files import sweep
from mgaudit.errors import UsageError
from mgaudit.failure import RunFailedError, temporary_log
from mgaudit.interrupts import KEPT, NOTHING_KEPT, described_interruption, say_what_is_kept
from mgaudit.limits import JOBS as JOBS_LIMIT
from mgaudit.planned_conditions import check_arms, check_settings
from mgaudit.progress_bars import ProgressBars
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.dp_audit import DPAuditResult
from mgaudit.reports.formats.render import DEFAULT_FORMATS
from mgaudit.reports.results import Result as ResultRecord
from mgaudit.settings.arguments import JOBS
from mgaudit.settings.named_code import permission
from mgaudit.settings.number_check import checked_argument
from mgaudit.storage.atomic import write_atomically
from mgaudit.storage.run_folder import LOG_FILE, RunFolder
from mgaudit.targets.own_module import RAISED

if TYPE_CHECKING:
    from mgaudit.checkpoint.plan import CheckpointPlan
    from mgaudit.study.comparison import ComparisonPlan
    from mgaudit.study.dp_audit import DPAuditPlan
    from mgaudit.study.plan import Plan

WRITING = "writing the result and the reports"
RUN_COMMAND = "mgaudit run --settings RUN/settings.toml"


@dataclass(frozen=True)
class Finished:
    """The records of a finished run, its directory and the paths of its reports."""

    record: ResultRecord
    arrays: list[Arrays]
    folder: RunFolder
    reports: list[Path]


@contextmanager
def recorded(folder: RunFolder, progress: ProgressBars, kept: str = "") -> Iterator[None]:
    """Shows progress and writes the log into the run directory.

    `kept` says what remains after an interruption.

    An interrupted run keeps its directory, with the settings to continue it. A mistake of the user
    leaves no directory behind. Raises RunFailedError for every other error.
    """
    sweep()
    try:
        with folder.in_use(), progress:
            yield
        folder.write_log(progress.lines)
    except KeyboardInterrupt as error:
        if kept:
            say_what_is_kept(error, kept)
        with suppress(OSError):
            folder.write_log([*progress.lines, described_interruption(error)])
        raise
    except UsageError:
        folder.discard_if_unfinished()
        raise
    except RAISED as error:
        lines = [*progress.lines, traceback.format_exc()]
        raise RunFailedError(error, folder, _written_log(lines, folder)) from error


def as_list(values: Any, whole: type = str) -> list[Any] | None:
    """Returns one or several values as a list, or None; `whole` is a sequence that is one value."""
    if values is None:
        return None
    several = isinstance(values, Sequence) and not isinstance(values, str | whole)
    return list(values) if several else [values]


def checked_jobs(jobs: int | None) -> int | None:
    """Returns the number of worker processes. Raises UsageError unless it is None or in range."""
    if jobs is None:
        return None
    checked = int(checked_argument(JOBS, jobs))
    JOBS_LIMIT.check("jobs", checked)
    return checked


def run_study_plan(plan: "Plan", jobs: int | None, out: Path, progress: ProgressBars) -> Finished:
    """Runs one study in a new run directory inside `out`."""
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.study.needs import check_needs
    from mgaudit.study.study import run_study

    workers = jobs or default_jobs(plan.design.device)
    check_needs([(plan.design, plan.arms)], workers, out)
    folder = RunFolder.create(out, plan.slug, plan.sha256)
    with recorded(folder, progress):
        folder.begin(plan.settings.as_dict())
        announce(plan.design.notes, progress)
        progress.models_planned(len(plan.arms) * plan.settings.models)
        study, arrays = run_study(plan, workers, progress)
        record = ResultRecord(
            title="",
            note="",
            command=RUN_COMMAND + permission(study.settings),
            settings=study.settings,
            studies=[study],
        )
        return written(record, [arrays], folder, progress)


def run_comparison_plan(
    plan: "ComparisonPlan", jobs: int | None, out: Path, progress: ProgressBars
) -> Finished:
    """Runs the studies of a grid in one new run directory inside `out`."""
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.study.comparison import run_comparison
    from mgaudit.study.needs import check_needs

    workers = jobs or default_jobs(plan.device)
    check_needs([(cell.design, cell.arms) for cell in plan.cells], workers, out)
    folder = RunFolder.create(out, plan.slug, plan.sha256)
    with recorded(folder, progress):
        folder.begin(plan.settings.as_dict())
        notes = (note for cell in plan.cells for note in cell.design.notes)
        announce(dict.fromkeys(notes), progress)
        counts = [len(cell.arms) * cell.settings.models for cell in plan.cells]
        progress.models_planned(sum(counts))
        record, arrays = run_comparison(plan, workers, progress)
        return written(record, arrays, folder, progress)


def run_dp_audit_plan(
    plan: "DPAuditPlan", jobs: int | None, out: Path, progress: ProgressBars
) -> tuple[DPAuditResult, Arrays, RunFolder]:
    """Runs an audit of DP-SGD in a new run directory inside `out`."""
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.study.dp_audit import run_dp_audit
    from mgaudit.study.needs import check_needs

    workers = jobs or default_jobs(plan.design.device)
    check_needs([(plan.design, [plan.arm])], workers, out)
    folder = RunFolder.create(out, plan.slug, plan.sha256)
    # Only the models of the other adversary are in the store.
    kept = KEPT if plan.settings.adversary == "one-run" else NOTHING_KEPT
    with recorded(folder, progress, kept):
        folder.begin(plan.settings.as_dict())
        announce(plan.design.notes, progress)
        record, arrays = run_dp_audit(plan, workers, progress)
        progress.stage(WRITING)
        folder.write_result(record, [arrays])
        folder.write_reports(DEFAULT_FORMATS)
    return record, arrays, folder


def run_checkpoint_plan(
    plan: "CheckpointPlan", jobs: int | None, out: Path, progress: ProgressBars
) -> Finished:
    """Runs an audit of a checkpoint in a new run directory inside `out`.

    The directory keeps the members and the non-members, and the weights unless they are in a file.
    """
    from mgaudit.checkpoint.audit import run_checkpoint_audit
    from mgaudit.checkpoint.plan import KEY
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.study.needs import check_needs

    check_arms([(KEY, False)], plan.settings.attacks)
    workers = jobs or default_jobs(plan.design.device)
    check_needs([(plan.design, [plan.arm])], workers, out)
    folder = RunFolder.create(out, plan.slug, plan.sha256)
    with recorded(folder, progress):
        folder.begin(plan.settings.as_dict())
        for name, content in plan.kept_files().items():
            write_atomically(folder.path / name, content)
        announce(plan.outputs.notes, progress)
        progress.models_planned(plan.settings.models)
        study, arrays = run_checkpoint_audit(plan, workers, progress)
        record = ResultRecord(
            title="",
            note="",
            command=plan.command,
            settings=plan.settings.as_dict(),
            studies=[study],
        )
        return written(record, [arrays], folder, progress)


def announce(notes: Iterable[str], progress: ProgressBars) -> None:
    """Shows what readers must know about the data, and keeps it for the log."""
    for note in notes:
        progress.stage(f"data: {note}")


def attack_again(
    record: ResultRecord,
    out: Path,
    attacks: Sequence[object],
    queries: object,
    jobs: int | None,
    progress: ProgressBars,
) -> Finished:
    """Runs other attacks on the models of a finished run, in a new run directory inside `out`.

    `queries` None keeps those of the run. Raises UsageError without an attack, and where the cache
    lacks a model.
    """
    if not attacks:
        raise UsageError("attack", "must be given", None, "see `mgaudit list attacks`")
    from mgaudit.study.finished import plan_result_again
    from mgaudit.study.plan import Plan

    changes: dict[str, object] = {"attacks": list(attacks)}
    if queries is not None:
        changes["queries"] = queries
    plan = plan_result_again(record, changes)
    check_settings(plan.settings)
    workers = checked_jobs(jobs)
    if isinstance(plan, Plan):
        return run_study_plan(plan, workers, out, progress)
    return run_comparison_plan(plan, workers, out, progress)


def written(
    record: ResultRecord, arrays: list[Arrays], folder: RunFolder, progress: ProgressBars
) -> Finished:
    """Writes the result and the default reports into the run directory."""
    progress.stage(WRITING)
    folder.write_result(record, arrays)
    reports = folder.write_reports(DEFAULT_FORMATS)
    return Finished(record, arrays, folder, reports)


def _written_log(lines: Sequence[str], folder: RunFolder) -> str:
    """Writes the log into the run directory or a temporary file, and returns where it is."""
    with suppress(OSError):
        folder.write_log(lines)
        return f"see {folder.path / LOG_FILE} for details"
    return temporary_log(lines)
