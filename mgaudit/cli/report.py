"""`mgaudit report`: the reports of a run rendered again, or of several runs joined. Needs no torch."""

from pathlib import Path
from typing import Annotated

import typer

from mgaudit.cli.console import print_paths
from mgaudit.cli.ending import user_errors
from mgaudit.cli.options import OutOption, QuietOption, chosen_formats
from mgaudit.errors import UsageError
from mgaudit.reports.formats.render import DEFAULT_FORMATS, FORMATS
from mgaudit.reports.reproduction import read_paper
from mgaudit.reports.results import read_result
from mgaudit.storage.run_folder import RunFolder
from mgaudit.storage.run_list import find_run

RunsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Run folders, or their names in --runs; several are joined.", metavar="RUN…"
    ),
]
FormatOption = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        help=f"{', '.join(FORMATS)}; several are joined by commas (default: {', '.join(DEFAULT_FORMATS)}).",
    ),
]
ChaptersOption = Annotated[
    bool, typer.Option("--chapters", help="Show runs that cannot be compared one after the other.")
]
DestinationOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder to write to (default: the run folder; joined: a new one)."),
]


def report(
    run_folders: RunsArgument,
    format_: FormatOption = None,
    chapters: ChaptersOption = False,
    out_folder: DestinationOption = None,
    runs: OutOption = Path("runs"),
    quiet: QuietOption = False,
) -> None:
    """Render the reports of a run again, or join several runs into one. Needs no torch.

    Arms of several runs are compared as if they were of one study, which takes the same data, members and settings. The
    joined result gets a run folder of its own.
    """
    with user_errors():
        formats = chosen_formats(format_, FORMATS)
        if len(run_folders) == 1:
            folder = RunFolder(find_run(run_folders[0], runs))
            paper = read_paper(folder.path)
            if paper is not None:
                rule = "must be the folder of a study, and is that of a reproduced paper"
                raise UsageError(
                    str(folder.path), rule, None, f"its reports come from: {paper.command}"
                )
            result, _ = read_result(folder.path)
            paths = folder.write_reports(formats, out_folder)
        else:
            from mgaudit.storage.join import joined, joined_sha256, read_runs

            named = read_runs(run_folders, runs)
            result, arrays = joined(named, chapters)
            folder = RunFolder.create(
                out_folder or runs, f"joined-{len(named)}-runs", joined_sha256(named)
            )
            folder.write_result(result, arrays)
            paths = folder.write_reports(formats)
    if not quiet:
        print_paths(paths)
