"""A table as formatted cells: one source for the terminal, HTML and PDF."""

import csv
import io
from dataclasses import dataclass, field
from html import escape

from mgaudit.reports.record import Estimate

HTML_LEFT = 'style="text-align: left; vertical-align: top"'


@dataclass(frozen=True)
class Cell:
    """A formatted number, its interval and a footnote mark, or a word; `value` is what to sort a number by."""

    text: str
    interval: str = ""
    mark: str = ""
    value: float | None = None

    def __str__(self) -> str:
        return " ".join(part for part in (self.text + self.mark, self.interval) if part)


@dataclass(frozen=True)
class Table:
    """Column headings, rows of cells and footnotes; `key` is its name in a path."""

    key: str
    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    notes: list[str] = field(default_factory=list)

    def csv(self) -> str:
        """Returns the table as CSV: numbers in full, in their column's unit, and all else as it is printed.

        A column with intervals or footnote marks is followed by columns that hold these.
        """
        parts: list[list[str]] = []
        for place, title in enumerate(self.columns):
            cells = [row[place] for row in self.rows]
            parts.append([title, *(cell.text if cell.value is None else str(cell.value) for cell in cells)])
            if any(cell.interval for cell in cells):
                parts.append([f"{title}: interval", *(cell.interval for cell in cells)])
            if any(cell.mark for cell in cells):
                parts.append([f"{title}: mark", *(cell.mark for cell in cells)])
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(zip(*parts, strict=True))
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        return table_html(self)


def table_html(table: Table) -> str:
    """Returns the table with its caption and notes, escaped, without a style sheet."""
    heading = "".join(f'<th scope="col" {HTML_LEFT}>{escape(column)}</th>' for column in table.columns)
    rows = "".join(f"<tr>{''.join(map(_cell_html, row))}</tr>" for row in table.rows)
    notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in table.notes)
    caption = f"<caption {HTML_LEFT}><strong>{escape(table.caption)}</strong></caption>"
    return f"<table>{caption}<thead><tr>{heading}</tr></thead><tbody>{rows}</tbody></table>{notes}"


def _cell_html(cell: Cell) -> str:
    interval = f" <small>{escape(cell.interval)}</small>" if cell.interval else ""
    return f"<td {HTML_LEFT}>{escape(cell.text + cell.mark)}{interval}</td>"


def number(estimate: Estimate, scale: float = 1.0, digits: int = 3, signed: bool = False, mark: str = "") -> Cell:
    """Returns a cell "0.612 ± 0.010", or "0.002 [0.000, 0.007]" where the interval is not symmetric.

    >>> str(number(Estimate(value=0.5, low=0.4, high=0.6)))
    '0.500 ± 0.100'
    >>> str(number(Estimate(value=0.985, low=0.96, high=1.0), scale=100, digits=1))
    '98.5 [96.0, 100.0]'
    """
    sign = "+" if signed else ""

    def shown(value: float) -> str:
        # Adding 0.0 turns a rounded -0.0 into 0.0.
        return f"{round(value * scale, digits) + 0.0:{sign}.{digits}f}".replace("-", "−")

    above, below = estimate.high - estimate.value, estimate.value - estimate.low
    if round((above - below) * scale, digits) == 0:
        interval = f"± {(above + below) / 2 * scale:.{digits}f}"
    else:
        interval = f"[{shown(estimate.low)}, {shown(estimate.high)}]"
    return Cell(shown(estimate.value), interval, mark, estimate.value * scale)
