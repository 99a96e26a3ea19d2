"""A table of formatted cells, from which all formats are rendered."""

from dataclasses import dataclass, field, replace
from html import escape

from mgaudit.reports.csv_text import CsvCell, csv_text
from mgaudit.reports.record import Estimate

SMALLEST_LIMIT = 1e-12  # in CSV; smaller ones come from rounding at the end of a range
HTML_LEFT = 'style="text-align: left; vertical-align: top"'


@dataclass(frozen=True)
class Cell:
    """A formatted number with its interval and footnote mark, or a word.

    `value` is the number, in the unit of the column, by which rows are sorted, and `limits` are
    those of its interval, None on a side that is not known.
    """

    text: str
    interval: str = ""
    mark: str = ""
    value: float | None = None
    limits: tuple[float | None, float | None] | None = None

    def __str__(self) -> str:
        return " ".join(part for part in (self.text + self.mark, self.interval) if part)


@dataclass(frozen=True)
class Table:
    """Column headings, rows of cells and footnotes; `key` is its name in paths."""

    key: str
    caption: str
    columns: list[str]
    rows: list[list[Cell]]
    notes: list[str] = field(default_factory=list)

    def csv(self) -> str:
        """Returns the table as CSV: numbers at full precision, other cells as text.

        Numbers are in the unit of their column. The limits of their intervals, remarks and marks
        have columns of their own, after their numbers.
        """
        columns: list[list[CsvCell]] = []
        for index, title in enumerate(self.columns):
            cells = [row[index] for row in self.rows]
            columns.append([title, *map(_csv_value, cells)])
            if any(cell.limits for cell in cells):
                for side, name in enumerate(("low", "high")):
                    columns.append(
                        [f"{title}: {name}", *(_csv_limit(cell, side) for cell in cells)]
                    )
            if any(_remark(cell) for cell in cells):
                columns.append([f"{title}: remark", *map(_remark, cells)])
            if any(cell.mark for cell in cells):
                columns.append([f"{title}: mark", *(cell.mark for cell in cells)])
        return csv_text(zip(*columns, strict=True))

    def _repr_html_(self) -> str:
        return table_html(self)


def _csv_value(cell: Cell) -> CsvCell:
    return cell.text if cell.value is None else cell.value


def _csv_limit(cell: Cell, side: int) -> CsvCell:
    limit = None if cell.limits is None else cell.limits[side]
    if limit is None:
        return None
    return limit if abs(limit) > SMALLEST_LIMIT else 0.0


def _remark(cell: Cell) -> str:
    """Returns what stands beside the number and is not only its interval."""
    return "" if cell.limits is not None else cell.interval


def table_html(table: Table) -> str:
    """Returns the table with its caption and notes as escaped HTML without a style sheet."""
    headings = [f'<th scope="col" {HTML_LEFT}>{escape(column)}</th>' for column in table.columns]
    rows = [f"<tr>{''.join(map(_cell_html, row))}</tr>" for row in table.rows]
    notes = [f"<p><small>{escape(note)}</small></p>" for note in table.notes]
    caption = f"<caption {HTML_LEFT}><strong>{escape(table.caption)}</strong></caption>"
    head = f"<thead><tr>{''.join(headings)}</tr></thead>"
    body = f"<tbody>{''.join(rows)}</tbody>"
    return f"<table>{caption}{head}{body}</table>{''.join(notes)}"


def _cell_html(cell: Cell) -> str:
    interval = f" <small>{escape(cell.interval)}</small>" if cell.interval else ""
    return f"<td {HTML_LEFT}>{escape(cell.text + cell.mark)}{interval}</td>"


def number(
    estimate: Estimate | None,
    scale: float = 1.0,
    digits: int = 3,
    signed: bool = False,
    mark: str = "",
) -> Cell:
    """Returns a cell "0.612 ± 0.010", or "0.002 [0.000, 0.007]" if the interval is asymmetric.

    A number that is not known (None) is the cell "–".

    Args:
        estimate: The number and its interval.
        scale: The factor from the estimate to the unit of the column.
        digits: The number of decimals.
        signed: Whether a positive number has a plus sign.
        mark: The footnote mark.

    >>> str(number(Estimate(value=0.5, low=0.4, high=0.6)))
    '0.500 ± 0.100'
    >>> str(number(Estimate(value=0.985, low=0.96, high=1.0), scale=100, digits=1))
    '98.5 [96.0, 100.0]'
    """

    if estimate is None:
        return Cell("–")

    def format_value(value: float) -> str:
        # A number that rounds to zero has no sign. Adding 0.0 turns -0.0 into 0.0.
        rounded = round(value * scale, digits) + 0.0
        sign = "+" if signed and rounded else ""
        return f"{rounded:{sign}.{digits}f}".replace("-", "−")

    above, below = estimate.high - estimate.value, estimate.value - estimate.low
    if round((above - below) * scale, digits) == 0:
        interval = f"± {(above + below) / 2 * scale:.{digits}f}"
    else:
        interval = f"[{format_value(estimate.low)}, {format_value(estimate.high)}]"
    limits = (estimate.low * scale, estimate.high * scale)
    return Cell(format_value(estimate.value), interval, mark, estimate.value * scale, limits)


def numbered(tables: list[Table]) -> list[Table]:
    """Returns the parts of a table that is divided, each with its number in key and caption.

    A single table stays as it is.
    """
    if len(tables) == 1:
        return tables
    return [
        replace(part, key=f"{part.key}-{count}", caption=f"{part.caption} ({count})")
        for count, part in enumerate(tables, start=1)
    ]
