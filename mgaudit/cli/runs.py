"""`mgaudit runs`: list, show, compare and remove run directories."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mgaudit.cli.console import confirmed, out
from mgaudit.cli.ending import WRONG_USAGE, user_errors
from mgaudit.cli.options import JsonOption, RunArgument, RunsArgument, RunsOption
from mgaudit.cli.repeated_options import Command, Group
from mgaudit.reports.files import DP_AUDIT_FILE
from mgaudit.settings.arguments import RUNS

if TYPE_CHECKING:
    from mgaudit.storage.run_summary import Run

MOST_ARMS = 3  # whose names are printed

runs = typer.Typer(cls=Group, help="List, show, compare and remove run directories.")


@runs.callback(invoke_without_command=True)
def runs_list(
    context: typer.Context, folder: RunsOption = RUNS, as_json: JsonOption = False
) -> None:
    """List the run directories, the latest first; or show, compare or remove some."""
    if context.invoked_subcommand is None:
        _print_runs(folder, as_json)


@runs.command(cls=Command, name="list")
def list_runs(folder: RunsOption = RUNS, as_json: JsonOption = False) -> None:
    """List the run directories, the latest first."""
    _print_runs(folder, as_json)


def _print_runs(folder: Path, as_json: bool) -> None:
    """Prints the name of each run on a line of its own, which is never wrapped, and its facts."""
    with user_errors():
        from mgaudit.storage.run_list import listed_runs

        listed = listed_runs(folder)
    if as_json:
        print(json.dumps([asdict(run) for run in listed]))
        return
    for run in listed:
        out.print(Text(run.name, style="bold"), soft_wrap=True)
        out.print(Text(f"  {_facts(run)}", style="dim"), soft_wrap=True)
        for line in _ways_out(run, folder):
            out.print(Text(f"  {line}", style="dim"), soft_wrap=True)


def _facts(run: "Run") -> str:
    arms = ", ".join(run.arms[:MOST_ARMS])
    if len(run.arms) > MOST_ARMS:
        arms += f" and {len(run.arms) - MOST_ARMS} more"
    started = run.started.replace("T", " ")[:16]
    size = f"{run.bytes / 1e6:.1f} MB"
    return " · ".join(filter(None, [started, run.what, run.trouble or arms, size]))


def _ways_out(run: "Run", folder: Path) -> list[str]:
    """Returns what can be done about a run that has not finished."""
    if run.state not in ("failed", "unfinished"):
        return []
    elsewhere = "" if folder == RUNS else f" --runs {shlex.quote(str(folder))}"
    return [
        f"to continue it: {run.resume or 'repeat its command'}",
        f"to remove it: mgaudit runs remove {shlex.quote(run.name)}{elsewhere}",
    ]


@runs.command(cls=Command)
def show(run: RunArgument, folder: RunsOption = RUNS) -> None:
    """Print the verdict and the table of a run, or the claims of a paper."""
    with user_errors():
        from mgaudit.cli.printing import print_dp_record, print_paper, print_result
        from mgaudit.reports.reproduction import read_paper
        from mgaudit.storage.read_run import read_dp_audit, read_run
        from mgaudit.storage.run_list import find_run

        path = find_run(run, folder)
        paper = read_paper(path)
        audit = read_dp_audit(path)[0] if (path / DP_AUDIT_FILE).exists() else None
        if paper is None and audit is None:
            result, _ = read_run(path)
    if audit is not None:
        print_dp_record(audit)
    elif paper is not None:
        print_paper(paper)
    else:
        print_result(result)


@runs.command(cls=Command, name="compare")
def runs_compare(first: RunArgument, second: RunArgument, folder: RunsOption = RUNS) -> None:
    """Print the settings that differ between two runs, and the numbers of the arms of both."""
    with user_errors():
        from mgaudit.cli.printing import print_table
        from mgaudit.storage.join import read_runs
        from mgaudit.storage.side_by_side import numbers_apart, settings_apart

        left, right = read_runs([first, second], folder)
        tables = [settings_apart(left, right), numbers_apart(left, right)]
    for table in tables:
        print_table(table)


@runs.command(cls=Command, name="remove")
def runs_remove(
    run_folders: RunsArgument,
    folder: RunsOption = RUNS,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete run directories with all that is in them; trained models stay in the cache."""
    with user_errors():
        from mgaudit.storage.run_list import removable, remove

        chosen = removable(run_folders, folder)
    for run in chosen:
        size = f"{len(run.files)} files, {run.bytes / 1e6:.1f} MB"
        out.print(Text(f"{run.path}: {size}"), soft_wrap=True)
    names = ", ".join(run.path.name for run in chosen)
    if not yes and not confirmed(f"Delete {names}?"):
        raise typer.Exit(WRONG_USAGE)
    with user_errors():
        for run in chosen:
            remove(run)
