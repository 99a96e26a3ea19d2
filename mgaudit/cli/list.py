"""`mgaudit list`: what there is to choose from."""

import json
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table as RichTable

from mgaudit.cli.console import out
from mgaudit.cli.options import JsonOption
from mgaudit.settings.study_files import ready_studies

FACTS = ("needs", "cost", "law", "source", "asks", "path")


class Kind(StrEnum):
    """What `mgaudit list` lists."""

    targets = "targets"
    schemes = "schemes"
    attacks = "attacks"
    queries = "queries"
    datasets = "datasets"
    studies = "studies"
    papers = "papers"


def list_(
    kind: Annotated[Kind | None, typer.Argument(help="What to list (default: all).")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the known targets, schemes, attacks, queries and datasets, with their options; studies here; papers."""
    from mgaudit.cli.catalogue import catalogue, papers

    known = catalogue() | {Kind.studies.value: ready_studies(), Kind.papers.value: papers()}
    listed = {
        name: entries for name, entries in known.items() if kind is None or name == kind.value
    }
    if as_json:
        print(json.dumps(listed))
        return
    for name, entries in listed.items():
        table = RichTable(
            title=name, title_justify="left", box=None, pad_edge=False, header_style="bold"
        )
        options = {Kind.studies.value: "arms", Kind.papers.value: "claims"}.get(name, "options")
        for column in ("name", options, "what it is"):
            table.add_column(column, overflow="fold")
        for entry in entries:
            facts = "".join(f"\n{fact}: {entry[fact]}" for fact in FACTS if fact in entry)
            table.add_row(
                *(
                    escape(text)
                    for text in (entry["name"], entry["options"], entry["summary"] + facts)
                )
            )
        out.print(table)
        out.print()
