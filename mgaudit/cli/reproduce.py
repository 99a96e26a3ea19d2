"""`mgaudit reproduce`: the figures and claims of papers, made again."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mgaudit.cli.console import err, out, print_paper, print_paths
from mgaudit.cli.ending import FAILED, reported, user_errors
from mgaudit.cli.options import (
    DeviceOption,
    JobsOption,
    JsonOption,
    NewFolderOption,
    QuietOption,
    chosen_formats,
)
from mgaudit.progress_bars import ProgressBars
from mgaudit.reports.formats.render import DEFAULT_FORMATS, PAPER_FORMATS
from mgaudit.running import recorded
from mgaudit.storage.run_folder import RunFolder

KEPT = "models of audits that were trained so far are kept; all else of this paper begins anew"


FiguresArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="A paper or one of its figures, see `mgaudit list papers` (default: all).",
        metavar="[PAPER[/FIGURE]]…",
    ),
]
FullOption = Annotated[
    bool,
    typer.Option(
        "--full/--quick",
        help="The paper's data and sizes, or small ones on embedded data (default).",
    ),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        help="Images in place of those of the settings, as in folder:PATH; see `mgaudit list datasets`."
    ),
]
FormatOption = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        help=f"{', '.join(PAPER_FORMATS)}; several are joined by commas (default: {', '.join(DEFAULT_FORMATS)}).",
    ),
]


def reproduce(
    papers: FiguresArgument = None,
    full: FullOption = False,
    dataset: DatasetOption = None,
    format_: FormatOption = None,
    device: DeviceOption = None,
    jobs: JobsOption = None,
    out_folder: NewFolderOption = Path("runs"),
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make the figures of the papers behind mgaudit again, and judge their claims.

    Each claim gets a number and a verdict: holds, does not hold, or not run here, with the reason. A claim that does
    not hold is a result, and the exit code is 0; it is 1 where a figure could not be made.
    """
    progress = ProgressBars(err, silent=quiet)
    with user_errors():
        progress.stage("loading papers")
        from mgaudit.compute.parallel import default_jobs
        from mgaudit.papers.paper import Workshop
        from mgaudit.papers.reproduction import plan_papers
        from mgaudit.papers.reproduction import reproduce as made
        from mgaudit.reports.paper_document import paper_document
        from mgaudit.storage.ensembles import check_cache_folder
        from mgaudit.targets.device import choose_device

        formats = chosen_formats(format_, PAPER_FORMATS)
        plans = plan_papers(papers or [], full, dataset)
        check_cache_folder()
        chosen = choose_device(device or "auto")
    printed, failed = [], False
    for plan in plans:
        with user_errors():
            folder = RunFolder.create(out_folder, plan.slug, plan.sha256)
        display = ProgressBars(err, silent=quiet)
        with reported(f"the reproduction of {plan.paper.key}", KEPT), recorded(folder, display):
            result, figures = made(plan, Workshop(jobs or default_jobs(chosen), chosen, display))
            display.stage("writing the reports")
            paths = folder.write_paper(result, paper_document(result, figures), formats)
        printed.append({"run": str(folder.path), "result": result.model_dump(mode="json")})
        if not quiet and not as_json:
            print_paper(result)
            print_paths(paths)
            out.print()
        failed = failed or any(figure.failed for figure in result.figures)
    if as_json:
        print(json.dumps(printed))
    if failed:
        raise typer.Exit(FAILED)
