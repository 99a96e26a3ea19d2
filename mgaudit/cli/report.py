"""`mgaudit report`: the reports of a run rendered again, or of several runs joined."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mgaudit.cli.console import print_paths
from mgaudit.cli.ending import user_errors
from mgaudit.cli.names import of_formats
from mgaudit.cli.options import (
    QuietOption,
    RunsArgument,
    RunsOption,
)
from mgaudit.errors import UsageError
from mgaudit.reports.files import DP_AUDIT_FILE
from mgaudit.reports.formats.render import DEFAULT_FORMATS, FORMATS, chosen_formats
from mgaudit.settings.arguments import RUNS

if TYPE_CHECKING:
    from mgaudit.storage.run_folder import RunFolder

FormatOption = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        help=f"{', '.join(FORMATS)}; several are joined by commas "
        f"(default: {', '.join(DEFAULT_FORMATS)}).",
        autocompletion=of_formats,
    ),
]
ChaptersOption = Annotated[
    bool, typer.Option("--chapters", help="Show runs that cannot be compared one after the other.")
]
FullPathsOption = Annotated[
    bool, typer.Option("--full-paths", help="Show the directories of the data.")
]
PriorOption = Annotated[
    float | None,
    typer.Option(
        "--prior",
        help="Share of members among the records that an adversary asks about, in (0, 1). Adds "
        "the PPV at this prior, beside those at 0.5, 0.1 and 0.01.",
        show_default=False,
    ),
]
DestinationOption = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Directory to write to (default: that of the run; of several: a new one)."
    ),
]


def report(
    run_folders: RunsArgument,
    format_: FormatOption = None,
    chapters: ChaptersOption = False,
    full_paths: FullPathsOption = False,
    prior: PriorOption = None,
    out_folder: DestinationOption = None,
    runs: RunsOption = RUNS,
    quiet: QuietOption = False,
) -> None:
    """Render the reports of a run again, or join several runs into one. Needs no torch.

    - `mgaudit report latest --format html,latex`
    - `mgaudit report latest --prior 0.03`

    Arms of several runs are compared as if they belonged to one study. This requires the same data,
    members and settings. The joined result gets a run directory of its own.
    """
    from mgaudit.reports.prior import checked_prior  # imports pydantic, which help does not need

    with user_errors():
        formats = chosen_formats(format_, FORMATS)
        checked_prior(prior)
        if len(run_folders) == 1:
            folder = _folder_of_one(run_folders[0], runs)
            paths = folder.write_reports(formats, out_folder, full_paths, prior)
        else:
            folder = _folder_of_several(run_folders, runs, out_folder, chapters)
            paths = folder.write_reports(formats, None, full_paths, prior)
    if not quiet:
        print_paths(paths)


def _folder_of_one(run: str, runs: Path) -> "RunFolder":
    """Returns the folder of a run whose result can be read."""
    from mgaudit.reports.reproduction import read_paper
    from mgaudit.reports.results import read_result
    from mgaudit.storage.run_folder import RunFolder
    from mgaudit.storage.run_list import find_run

    folder = RunFolder(find_run(run, runs))
    paper = read_paper(folder.path)
    if paper is not None:
        rule = "must be the directory of a study, and is that of a reproduced paper"
        way_out = f"its reports come from: {paper.command}"
        raise UsageError(str(folder.path), rule, None, way_out)
    if not (folder.path / DP_AUDIT_FILE).exists():
        read_result(folder.path)  # before any report is written
    return folder


def _folder_of_several(
    names: Sequence[str], runs: Path, out_folder: Path | None, chapters: bool
) -> "RunFolder":
    """Returns a new folder with the joined result of several runs."""
    from mgaudit.storage.join import joined, joined_sha256, read_runs
    from mgaudit.storage.run_folder import RunFolder

    runs_by_name = read_runs(names, runs)
    result, arrays = joined(runs_by_name, chapters)
    slug = f"joined-{len(runs_by_name)}-runs"
    folder = RunFolder.create(out_folder or runs, slug, joined_sha256(runs_by_name))
    folder.write_result(result, arrays)
    return folder
