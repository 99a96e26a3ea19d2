"""`mgaudit data`: published datasets, fetched and listed."""

import json
from typing import Annotated

import typer
from rich.table import Table as RichTable
from rich.text import Text

from mgaudit.cli.console import err, out
from mgaudit.cli.ending import user_errors
from mgaudit.cli.options import JsonOption, QuietOption
from mgaudit.progress_bars import DownloadBar

data = typer.Typer(no_args_is_help=True, help="Fetch published datasets, and list what is here.")


@data.command(name="list")
def data_list(as_json: JsonOption = False) -> None:
    """List the published datasets: whether they are here, their size and their source."""
    from mgaudit.targets.datasets import published_datasets

    with user_errors():
        listed = [
            (dataset.name, dataset.state(), dataset.size, dataset.source)
            for dataset in published_datasets().values()
        ]
    if as_json:
        print(
            json.dumps(
                [
                    dict(zip(("name", "state", "bytes", "source"), one, strict=True))
                    for one in listed
                ]
            )
        )
        return
    table = RichTable(
        "name", "state", "size", "source", box=None, pad_edge=False, header_style="bold"
    )
    for name, state, size, source in listed:
        table.add_row(name, state, f"{size / 1e6:.0f} MB", source)
    out.print(table)


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="See `mgaudit data list`.", metavar="NAME")],
    quiet: QuietOption = False,
) -> None:
    """Download a published dataset into the cache folder, or check the files that are there."""
    with user_errors():
        from mgaudit.storage.ensembles import check_cache_folder
        from mgaudit.targets.datasets import published_dataset

        check_cache_folder()
        dataset = published_dataset(name)
        expected = sum(file.size for file in dataset.missing)
        with DownloadBar(err, name, expected, silent=quiet) as progress:
            paths = dataset.fetch(progress)
    if not quiet:
        for path in paths:
            out.print(Text(str(path)), soft_wrap=True)
