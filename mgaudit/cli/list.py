"""`mgaudit list`: what there is to choose from."""

import json
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table as RichTable

from mgaudit.cli.catalogue import Entry, catalogue
from mgaudit.cli.console import out
from mgaudit.cli.options import JsonOption
from mgaudit.errors import UsageError, did_you_mean
from mgaudit.settings.study_files import ready_studies

FACTS = ("needs", "cost", "law", "source", "asks", "path")


KINDS = ("targets", "schemes", "attacks", "queries", "datasets", "studies", "papers")

# What the second column holds.
OPTIONS_TITLE = {"studies": "arms", "papers": "claims"}

KindArgument = Annotated[
    str | None,
    typer.Argument(
        help=f"What to list: {', '.join(KINDS)} (default: all).",
        metavar="KIND",
        autocompletion=lambda incomplete: [kind for kind in KINDS if kind.startswith(incomplete)],
    ),
]


def list_(
    kind: KindArgument = None,
    as_json: JsonOption = False,
) -> None:
    """List the known targets, schemes, attacks, queries, datasets, studies and papers."""
    if kind is not None and kind not in KINDS:
        rule = f"must be one of {', '.join(KINDS)}"
        raise UsageError("KIND", rule, repr(kind), did_you_mean(kind, KINDS))
    entries = catalogue() | {"studies": ready_studies()}
    kinds = KINDS if kind is None else (kind,)
    if as_json:
        print(json.dumps({listed: entries[listed] for listed in kinds}))
        return
    for listed in kinds:
        out.print(_table(listed, entries[listed]))
        out.print()


def _table(kind: str, entries: list[Entry]) -> RichTable:
    table = RichTable(
        title=kind, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for column in ("name", OPTIONS_TITLE.get(kind, "options"), "what it is"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        facts = [f"{fact}: {entry[fact]}" for fact in FACTS if fact in entry]
        description = "\n".join([entry["summary"], *facts])
        texts = (entry["name"], entry["options"], description)
        table.add_row(*(escape(text) for text in texts))
    return table
