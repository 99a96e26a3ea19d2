"""The table of `mgaudit compare --dry-run`: what would be trained, and how long it takes."""

from rich.table import Table as RichTable
from rich.text import Text

from mgaudit.cli.console import out
from mgaudit.study.estimate import CellTime, PlanTime
from mgaudit.time_text import time_text


def print_estimate(estimate: PlanTime) -> None:
    """Prints a table for each study, and the time of all."""
    for cell in estimate.cells:
        out.print(_table(cell))
        out.print()
    workers = "1 worker" if estimate.workers == 1 else f"{estimate.workers} workers"
    total = f"about {time_text(estimate.seconds)} with {workers}"
    line = f"{total}, reports not counted; measured on this machine"
    out.print(line, highlight=False, soft_wrap=True)


def _table(cell: CellTime) -> RichTable:
    table = RichTable(
        title=cell.name, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    table.add_column("arm", overflow="fold")
    for column in ("models", "there", "training"):
        table.add_column(column, justify="right")
    for arm in cell.arms:
        label, training = Text(arm.label), time_text(arm.training)
        table.add_row(label, str(arm.models), str(arm.there), training)
    table.add_row(Text("queries and attacks", style="dim"), "", "", time_text(cell.auditing))
    return table
