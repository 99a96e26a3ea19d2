"""`mgaudit data`: published datasets, fetched and listed."""

import json
from typing import Annotated

import typer
from rich.table import Table as RichTable

from mgaudit.cli.console import err, out, print_paths
from mgaudit.cli.ending import user_errors
from mgaudit.cli.names import of_published_datasets
from mgaudit.cli.options import JsonOption, QuietOption
from mgaudit.cli.repeated_options import Command, Group

data = typer.Typer(cls=Group, no_args_is_help=True, help="Fetch published datasets, and list them.")


@data.command(cls=Command, name="list")
def data_list(as_json: JsonOption = False) -> None:
    """List the published datasets: whether they are in the cache, their size and their source."""
    with user_errors():
        from mgaudit.targets.datasets import published_datasets

        rows = [
            (dataset.name, dataset.state(), dataset.size, dataset.source)
            for dataset in published_datasets().values()
        ]
    if as_json:
        columns = ("name", "state", "bytes", "source")
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in rows]))
        return
    table = RichTable(
        "name", "state", "size", "source", box=None, pad_edge=False, header_style="bold"
    )
    for name, state, size, source in rows:
        table.add_row(name, state, f"{size / 1e6:.0f} MB", source)
    out.print(table)


@data.command(cls=Command)
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="See `mgaudit data list`.", metavar="NAME", autocompletion=of_published_datasets
        ),
    ],
    quiet: QuietOption = False,
) -> None:
    """Download a published dataset into the cache, or check the files that are there."""
    with user_errors():
        from mgaudit.progress_bars import DownloadBar
        from mgaudit.storage.ensembles import check_cache_folder
        from mgaudit.targets.datasets import published_dataset

        check_cache_folder()
        dataset = published_dataset(name)
        expected = sum(file.size for file in dataset.missing)
        with DownloadBar(err, name, expected, silent=quiet) as progress:
            paths = dataset.fetch(progress)
    if not quiet:
        print_paths(paths)
