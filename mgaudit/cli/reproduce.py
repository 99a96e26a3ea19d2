"""`mgaudit reproduce`: the figures and claims of papers."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mgaudit.cli.console import out, print_paths
from mgaudit.cli.ending import FAILED, reported
from mgaudit.cli.names import of_formats, of_papers
from mgaudit.cli.options import (
    JsonOption,
    NewFolderOption,
    QuietOption,
    with_options,
)
from mgaudit.cli.own_output import own_output
from mgaudit.reports.formats.render import DEFAULT_FORMATS, PAPER_FORMATS
from mgaudit.settings.arguments import REPRODUCE, RUNS

if TYPE_CHECKING:
    from mgaudit.paper_runs import PaperRun

KEPT = "complete figures and trained models are kept, and the same command continues from there"

PapersArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="A paper or one of its figures, see `mgaudit list papers` (default: all).",
        metavar="[PAPER[/FIGURE]]…",
        autocompletion=of_papers,
    ),
]
FullOption = Annotated[
    bool,
    typer.Option(
        "--full/--quick",
        help="The paper's data and sizes, or small ones on embedded data (default).",
    ),
]
FormatOption = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        help=f"{', '.join(PAPER_FORMATS)}; several are joined by commas "
        f"(default: {', '.join(DEFAULT_FORMATS)}).",
        autocompletion=of_formats,
    ),
]


def _next(runs: "Iterator[PaperRun]", quiet: bool) -> "PaperRun | None":
    """Returns the next paper that was run, or None after the last."""
    with own_output(quiet):
        return next(runs, None)


@with_options(REPRODUCE)
def reproduce(
    papers: PapersArgument = None,
    *,
    full: FullOption = False,
    format_: FormatOption = None,
    options: dict[str, Any],
    out_folder: NewFolderOption = RUNS,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Reproduce the figures of the papers behind mgaudit, and decide their claims.

    - `mgaudit reproduce noise-nodes --quick`

    Each claim gets a number and a verdict: holds, does not hold, or not run here, with the reason.
    A claim that does not hold is a result, and the exit code is 0. The exit code is 1 where a
    figure could not be made.
    """
    printed, failed = [], False
    with reported("the reproduction", KEPT):
        from mgaudit.paper_runs import each_paper

        arguments = {"dataset": None, "device": None, "jobs": None} | options
        runs = each_paper(
            papers or [], full=full, format=format_, out=out_folder, quiet=quiet, **arguments
        )
        while run := _next(runs, quiet):
            failed = failed or run.failed
            printed.append({"run": str(run.path), "result": run.record.model_dump(mode="json")})
            if not quiet and not as_json:
                from mgaudit.cli.printing import print_paper

                print_paper(run.record)
                print_paths(run.reports)
                out.print()
    if as_json:
        print(json.dumps(printed))
    if failed:
        raise typer.Exit(FAILED)
