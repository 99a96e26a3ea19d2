"""What a command prints that trained one share of the models."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mgaudit.study.shard import ShardResult


def print_shard(result: "ShardResult", as_json: bool, quiet: bool) -> None:
    """Prints how many models were trained, as a sentence or as JSON."""
    if as_json:
        print(json.dumps(asdict(result)))
    elif not quiet:
        typer.echo(str(result))
