"""`mgaudit runs`: list, show, compare and remove run folders."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from mgaudit.cli.console import out, print_paper, print_result, print_table
from mgaudit.cli.ending import WRONG_USAGE, user_errors
from mgaudit.cli.options import JsonOption, RunsOption
from mgaudit.reports.reproduction import read_paper
from mgaudit.reports.results import read_result
from mgaudit.storage.run_list import find_run, listed_runs, removable, remove

SHOWN_ARMS = 3

runs = typer.Typer(help="List, show, compare and remove run folders.")


@runs.callback(invoke_without_command=True)
def runs_list(
    context: typer.Context, folder: RunsOption = Path("runs"), as_json: JsonOption = False
) -> None:
    """List the run folders, the latest first; or show, compare or remove some."""
    if context.invoked_subcommand is None:
        print_runs(folder, as_json)


@runs.command(name="list")
def list_runs(folder: RunsOption = Path("runs"), as_json: JsonOption = False) -> None:
    """List the run directories, the latest first."""
    print_runs(folder, as_json)


def print_runs(folder: Path, as_json: bool) -> None:
    """Prints each run: its name on a line of its own, which is never wrapped, and then what it is."""
    with user_errors():
        listed = listed_runs(folder)
    if as_json:
        print(json.dumps([asdict(run) for run in listed]))
        return
    for run in listed:
        more = f" and {len(run.arms) - SHOWN_ARMS} more" if len(run.arms) > SHOWN_ARMS else ""
        arms = run.trouble or ", ".join(run.arms[:SHOWN_ARMS]) + more
        facts = [run.started.replace("T", " ")[:16], run.what, arms, f"{run.bytes / 1e6:.1f} MB"]
        out.print(Text(run.name, style="bold"), soft_wrap=True)
        out.print(Text(f"  {' · '.join(filter(None, facts))}", style="dim"), soft_wrap=True)


@runs.command()
def show(
    run_folder: Annotated[
        str, typer.Argument(help="A run folder, or its name in --runs.", metavar="RUN")
    ],
    folder: RunsOption = Path("runs"),
) -> None:
    """Print a run's table and verdict, or a paper's claims."""
    with user_errors():
        path = find_run(run_folder, folder)
        paper = read_paper(path)
        if paper is None:
            result, _ = read_result(path)
    if paper is None:
        print_result(result)
    else:
        print_paper(paper)


@runs.command(name="compare")
def runs_compare(
    first: Annotated[
        str, typer.Argument(help="A run folder, or its name in --runs.", metavar="RUN")
    ],
    second: Annotated[str, typer.Argument(help="Another one.", metavar="RUN")],
    folder: RunsOption = Path("runs"),
) -> None:
    """Print which settings differ between two runs, and the numbers of the arms that both have."""
    with user_errors():
        from mgaudit.storage.join import read_runs
        from mgaudit.storage.side_by_side import numbers_apart, settings_apart

        one, other = read_runs([first, second], folder)
        tables = [settings_apart(one, other), numbers_apart(one, other)]
    for table in tables:
        print_table(table)


@runs.command(name="remove")
def runs_remove(
    run_folders: Annotated[
        list[str], typer.Argument(help="Run folders, or their names in --runs.", metavar="RUN…")
    ],
    folder: RunsOption = Path("runs"),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete run folders with all that is in them; trained models stay in the cache."""
    with user_errors():
        removed = removable(run_folders, folder)
    for run_folder in removed:
        summary = (
            f"{run_folder.path}: {len(run_folder.files)} files, {run_folder.bytes / 1e6:.1f} MB"
        )
        out.print(Text(summary), soft_wrap=True)
    if not yes and not typer.confirm(
        f"Delete {', '.join(run_folder.path.name for run_folder in removed)}?", err=True
    ):
        raise typer.Exit(WRONG_USAGE)
    with user_errors():
        for run_folder in removed:
            remove(run_folder)
