"""`mgaudit attack`: other attacks on the models of a finished run."""

from pathlib import Path
from typing import Annotated

import typer

from mgaudit import api
from mgaudit.cli.console import err, print_run
from mgaudit.cli.ending import reported
from mgaudit.cli.options import JobsOption, JsonOption, QuietOption, RunsOption
from mgaudit.progress_bars import ProgressBars

RunArgument = Annotated[
    str,
    typer.Argument(help="A run: path, name, beginning of its hash, or latest.", metavar="RUN"),
]
AttackOption = Annotated[
    list[str],
    typer.Option(help="See `mgaudit list attacks`; options as in lira:online=false; repeatable."),
]
QueriesOption = Annotated[
    str | None,
    typer.Option(
        help="How each model is queried (default: as in the run); see `mgaudit list queries`."
    ),
]


def attack(
    run: RunArgument,
    attack: AttackOption,
    queries: QueriesOption = None,
    runs: RunsOption = Path("runs"),
    jobs: JobsOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Attack the models of a finished run again, without training. Writes a new run directory beside the run."""
    with reported():
        progress = ProgressBars(err, silent=quiet)
        result = api.attack(
            run, attack=attack, queries=queries, runs=runs, jobs=jobs, progress=progress
        )
    print_run(result, as_json, quiet)
