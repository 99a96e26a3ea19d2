"""`mgaudit compare`: many arms on targets, datasets and seeds, as a study file or the options say."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table as RichTable
from rich.text import Text

from mgaudit.cli.bars import Shown
from mgaudit.cli.console import err, out, print_run
from mgaudit.cli.ending import logged_in, user_errors
from mgaudit.cli.options import (
    DeviceOption,
    ExamplesOption,
    JobsOption,
    JsonOption,
    ModelsOption,
    NewFolderOption,
    QuietOption,
    StackOption,
    with_training_options,
)
from mgaudit.reports.formats.render import DEFAULT_FORMATS
from mgaudit.settings.study_files import study_values
from mgaudit.storage.run_folder import RunFolder

if TYPE_CHECKING:
    from mgaudit.study.comparison import ComparisonPlan
    from mgaudit.study.estimate import PlanTime

MINUTE = 60

StudyArgument = Annotated[
    Path | None, typer.Argument(help="A study file, or the settings.toml of an earlier run.", metavar="STUDY")
]
SchemesOption = Annotated[
    list[str] | None, typer.Option(help="An arm: NAME:key=value,…, or none; repeatable. In place of the study's.")
]
TargetsOption = Annotated[list[str] | None, typer.Option(help="See `mgaudit list targets`; repeatable.")]
DatasetsOption = Annotated[list[str] | None, typer.Option(help="See `mgaudit list datasets`; repeatable.")]
SeedsOption = Annotated[list[int] | None, typer.Option(help="Determines everything random; repeatable.")]
AttacksOption = Annotated[list[str] | None, typer.Option(help="See `mgaudit list attacks`; repeatable.")]
QueriesOption = Annotated[str | None, typer.Option(help="What each model is asked; see `mgaudit list`.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be trained and how long it takes, and train nothing.")
]


@with_training_options()
def compare(
    *,
    study: StudyArgument = None,
    scheme: SchemesOption = None,
    target: TargetsOption = None,
    dataset: DatasetsOption = None,
    seed: SeedsOption = None,
    attack: AttacksOption = None,
    queries: QueriesOption = None,
    models: ModelsOption = None,
    examples: ExamplesOption = None,
    training: dict[str, Any],
    stack: StackOption = None,
    device: DeviceOption = None,
    jobs: JobsOption = None,
    dry_run: DryRunOption = False,
    out_folder: NewFolderOption = Path("runs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Compare many arms: train them on every target, dataset and seed of a study, and write one report.

    STUDY is a TOML file, as in studies/; options replace what it says. Without one, name the arms with --scheme.
    """
    changes = {
        "schemes": scheme,
        "targets": target,
        "datasets": dataset,
        "seeds": seed,
        "attacks": attack,
        "queries": queries,
        "models": models,
        "examples": examples,
        "stack": stack,
        "device": device,
    }
    progress = Shown(err, silent=quiet)
    with user_errors():
        progress.stage("loading data and settings")
        plan, workers = _plan(study, changes, training, jobs)
        if dry_run:
            _estimate(plan, workers, progress, as_json, quiet)
            return
        folder = RunFolder.create(out_folder, plan.slug, plan.sha256)
    _run(plan, workers, folder, progress, as_json, quiet)


def _plan(
    study: Path | None, changes: dict[str, Any], training: dict[str, Any], jobs: int | None
) -> tuple["ComparisonPlan", int]:
    """Returns what to run, and the number of workers."""
    from mgaudit.compute.parallel import default_jobs
    from mgaudit.settings.grid import edited_grid
    from mgaudit.storage.ensembles import check_cache_folder
    from mgaudit.study.comparison import plan_comparison

    grid = edited_grid({} if study is None else study_values(study), changes, training)
    check_cache_folder()
    plan = plan_comparison(grid)
    return plan, jobs or default_jobs(plan.device)


def _estimate(plan: "ComparisonPlan", workers: int, progress: Shown, as_json: bool, quiet: bool) -> None:
    """Prints what would be trained, and how long it takes."""
    from mgaudit.study.estimate import estimated

    time = estimated(plan.cells, workers, progress)
    if as_json:
        print(json.dumps({**asdict(time), "seconds": time.seconds}))
    elif not quiet:
        _print_plan(time, workers)


def _run(plan: "ComparisonPlan", workers: int, folder: RunFolder, progress: Shown, as_json: bool, quiet: bool) -> None:
    """Runs the studies, writes the run folder and prints it."""
    from mgaudit.study.comparison import run_comparison

    with logged_in(folder, progress):
        result, arrays = run_comparison(plan, workers, progress)
        progress.stage("writing the result and the reports")
        folder.write_result(result, arrays)
        paths = folder.write_reports(DEFAULT_FORMATS)
    print_run(folder, result, paths, as_json, quiet)


def _print_plan(time: "PlanTime", workers: int) -> None:
    for cell in time.cells:
        table = RichTable(title=cell.name, title_justify="left", box=None, pad_edge=False, header_style="bold")
        table.add_column("arm", overflow="fold")
        for column in ("models", "there", "training"):
            table.add_column(column, justify="right")
        for arm in cell.arms:
            table.add_row(Text(arm.label), str(arm.models), str(arm.there), _told(arm.training))
        table.add_row(Text("queries and attacks", style="dim"), "", "", _told(cell.auditing))
        out.print(table)
        out.print()
    out.print(
        f"about {_told(time.seconds)} with {workers} {'worker' if workers == 1 else 'workers'}, reports not counted; "
        "measured just now on this machine",
        highlight=False,
        soft_wrap=True,
    )


def _told(seconds: float) -> str:
    """Returns a time as one says it, "40 s", "12 min" or "3.4 h".

    >>> _told(40.4), _told(12 * 60), _told(3.44 * 3600)
    ('40 s', '12 min', '3.4 h')
    """
    if seconds < 1.5 * MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 90 * MINUTE else f"{seconds / MINUTE**2:.1f} h"
