"""`mgaudit compare`: many arms on targets, datasets and seeds, as a study file or the options say."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as RichTable
from rich.text import Text

from mgaudit.cli.bars import Shown
from mgaudit.cli.console import err, out, print_result, told_in, user_errors
from mgaudit.cli.options import (
    AugmentOption,
    BatchSizeOption,
    ClientsOption,
    DeviceOption,
    EpochsOption,
    JobsOption,
    JsonOption,
    LearningRateOption,
    LocalStepsOption,
    NewFolderOption,
    OptimizerOption,
    PrecisionOption,
    QuietOption,
    StackOption,
)
from mgaudit.reports.formats.render import DEFAULT_FORMATS
from mgaudit.settings.study_files import study_values
from mgaudit.storage.run_folder import RunFolder

if TYPE_CHECKING:
    from mgaudit.study.estimate import PlanTime

MINUTE = 60


def compare(
    study: Annotated[
        Path | None, typer.Argument(help="A study file, or the settings.toml of an earlier run.", metavar="STUDY")
    ] = None,
    scheme: Annotated[
        list[str] | None, typer.Option(help="An arm: NAME:key=value,…, or none; repeatable. In place of the study's.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(help="See `mgaudit list targets`; repeatable.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="See `mgaudit list datasets`; repeatable.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Determines everything random; repeatable.")] = None,
    attack: Annotated[list[str] | None, typer.Option(help="See `mgaudit list attacks`; repeatable.")] = None,
    queries: Annotated[str | None, typer.Option(help="What each model is asked; see `mgaudit list`.")] = None,
    models: Annotated[int | None, typer.Option(help="Models per arm, each the target in turn (default: 16).")] = None,
    examples: Annotated[int | None, typer.Option(help="Examples to audit (default: all).")] = None,
    epochs: EpochsOption = None,
    batch_size: BatchSizeOption = None,
    optimizer: OptimizerOption = None,
    learning_rate: LearningRateOption = None,
    augment: AugmentOption = None,
    clients: ClientsOption = None,
    local_steps: LocalStepsOption = None,
    precision: PrecisionOption = None,
    stack: StackOption = None,
    device: DeviceOption = None,
    jobs: JobsOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be trained and how long it takes, and train nothing.")
    ] = False,
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
    training = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "augment": augment,
        "clients": clients,
        "local_steps": local_steps,
        "precision": precision,
    }
    progress = Shown(err, silent=quiet)
    with user_errors():
        progress.stage("loading data and settings")
        from mgaudit.compute.parallel import default_jobs
        from mgaudit.settings.grid import edited_grid
        from mgaudit.storage.ensembles import check_cache_folder
        from mgaudit.study.comparison import plan_comparison, run_comparison

        grid = edited_grid({} if study is None else study_values(study), changes, training)
        check_cache_folder()
        plan = plan_comparison(grid)
        workers = jobs or default_jobs(plan.device)
        if dry_run:
            from mgaudit.study.estimate import estimated

            time = estimated(plan.cells, workers, progress)
            if as_json:
                typer.echo(json.dumps({**asdict(time), "seconds": time.seconds}))
            elif not quiet:
                _print_plan(time, workers)
            return
        folder = RunFolder.create(out_folder, plan.slug, plan.sha256)
    with told_in(folder, progress):
        result, arrays = run_comparison(plan, workers, progress)
        progress.stage("writing the result and the reports")
        folder.write_result(result, arrays)
        paths = folder.write_reports(DEFAULT_FORMATS)
    if as_json:
        typer.echo(json.dumps({"run": str(folder.path), "result": result.model_dump(mode="json")}))
    elif not quiet:
        print_result(result)
        for path in paths:
            out.print(Text(str(path)), soft_wrap=True)


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
