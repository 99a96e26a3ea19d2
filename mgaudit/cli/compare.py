"""`mgaudit compare`: many arms on targets, datasets and seeds, as a study file or the options say."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table as RichTable
from rich.text import Text

from mgaudit import api
from mgaudit.cli.console import err, out, print_run
from mgaudit.cli.ending import reported
from mgaudit.cli.options import (
    ATTACKS,
    DATA,
    NETWORK,
    NOISE,
    OUTPUT,
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
from mgaudit.progress_bars import ProgressBars

if TYPE_CHECKING:
    from mgaudit.study.estimate import PlanTime

MINUTE = 60

StudyArgument = Annotated[
    Path | None,
    typer.Argument(help="A study file, or the settings.toml of an earlier run.", metavar="STUDY"),
]
SchemesOption = Annotated[
    list[str] | None,
    typer.Option(
        help="An arm: NAME:key=value,…, or none; repeatable. In place of the study's.",
        rich_help_panel=NOISE,
    ),
]
TargetsOption = Annotated[
    list[str] | None,
    typer.Option(help="See `mgaudit list targets`; repeatable.", rich_help_panel=NETWORK),
]
DatasetsOption = Annotated[
    list[str] | None,
    typer.Option(help="See `mgaudit list datasets`; repeatable.", rich_help_panel=DATA),
]
SeedsOption = Annotated[
    list[int] | None, typer.Option(help="Random seed; repeatable.", rich_help_panel=DATA)
]
AttacksOption = Annotated[
    list[str] | None,
    typer.Option(help="See `mgaudit list attacks`; repeatable.", rich_help_panel=ATTACKS),
]
QueriesOption = Annotated[
    str | None,
    typer.Option(
        help="How each model is queried; see `mgaudit list queries`.", rich_help_panel=ATTACKS
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print what would be trained and how long it takes, and train nothing.",
        rich_help_panel=OUTPUT,
    ),
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
    arguments = {
        "scheme": scheme,
        "target": target,
        "dataset": dataset,
        "seed": seed,
        "attack": attack,
        "queries": queries,
        "models": models,
        "examples": examples,
        "stack": stack,
        "device": device,
        **training,
    }
    progress = ProgressBars(err, silent=quiet)
    with reported():
        if dry_run:
            estimate = api.estimate(study, jobs=jobs, progress=progress, **arguments)
        else:
            result = api.compare(study, jobs=jobs, out=out_folder, progress=progress, **arguments)
    if not dry_run:
        print_run(result, as_json, quiet)
    elif as_json:
        print(json.dumps({**asdict(estimate), "seconds": estimate.seconds}))
    elif not quiet:
        _print_plan(estimate)


def _print_plan(time: "PlanTime") -> None:
    for cell in time.cells:
        table = RichTable(
            title=cell.name, title_justify="left", box=None, pad_edge=False, header_style="bold"
        )
        table.add_column("arm", overflow="fold")
        for column in ("models", "there", "training"):
            table.add_column(column, justify="right")
        for arm in cell.arms:
            table.add_row(Text(arm.label), str(arm.models), str(arm.there), _told(arm.training))
        table.add_row(Text("queries and attacks", style="dim"), "", "", _told(cell.auditing))
        out.print(table)
        out.print()
    workers = f"{time.workers} worker" if time.workers == 1 else f"{time.workers} workers"
    total = f"about {_told(time.seconds)} with {workers}"
    out.print(
        f"{total}, reports not counted; measured on this machine", highlight=False, soft_wrap=True
    )


def _told(seconds: float) -> str:
    """Returns a time as one says it, "40 s", "12 min" or "3.4 h".

    >>> _told(40.4), _told(12 * 60), _told(3.44 * 3600)
    ('40 s', '12 min', '3.4 h')
    """
    if seconds < 1.5 * MINUTE:
        return f"{seconds:.0f} s"
    return (
        f"{seconds / MINUTE:.0f} min" if seconds < 90 * MINUTE else f"{seconds / MINUTE**2:.1f} h"
    )
