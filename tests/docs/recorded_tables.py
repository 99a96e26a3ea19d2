"""Figures on pages that benchmarks and slow tests printed: `benchmarks/record_tables.py`.

The cells of the result files are texts, and pages show them as they are.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.docs.figures import Place, Shown, line
from tests.docs.recorded import rows

EMPTY = "–"  # a cell that was not measured
# Columns of a result file, with the texts that they may have; None: there is no such column.
Where = Mapping[str, str | tuple[str | None, ...]]


def matching(file: str, where: Where) -> list[dict[str, str]]:
    """Returns the rows of a result file that have one of the texts in each column."""
    return [
        row
        for row in rows(file)
        if all(
            row.get(name) in (texts if isinstance(texts, tuple) else (texts,))
            for name, texts in where.items()
        )
    ]


@dataclass(frozen=True)
class Cell:
    """A cell of a result file: the column of the only row that has the columns `where`."""

    file: str
    where: Where
    column: str

    def text(self) -> str:
        """Returns the text of the cell. Raises KeyError if there is no or more than one row."""
        found = matching(self.file, self.where)
        if len(found) != 1:
            raise KeyError(f"{len(found)} rows of {self.file} have {dict(self.where)}")
        return found[0][self.column]


def value_of(text: str) -> float:
    """Returns the first number of a cell.

    >>> value_of("95.7%"), value_of("−0.036"), value_of("1,920 s")
    (95.7, -0.036, 1920.0)
    """
    number = re.search(r"[−+-]?\d[\d,]*\.?\d*|[−+-]?\.\d+", text)
    assert number is not None, text
    return float(number[0].replace("−", "-").replace(",", ""))


@dataclass(frozen=True)
class Extreme:
    """The least or greatest of several cells; `choose` is min or max.

    Args:
        choose: min or max.
        files: The names of the result files.
        columns: The columns of the cells.
        where: The columns of the rows, in one of several ways.
        form: How the number is shown, as the format of `str.format`; "" shows the cell.
        scale: What the number is multiplied by in the form.
    """

    choose: Callable[..., str]
    files: tuple[str, ...]
    columns: tuple[str, ...]
    where: tuple[Where, ...] = ({},)
    form: str = ""
    scale: float = 1.0

    def text(self) -> str:
        """Returns the text of the figure on the page."""
        cells = [
            row[column]
            for file in self.files
            for where in self.where
            for row in matching(file, where)
            for column in self.columns
            if column in row
        ]
        cell = self.choose((cell for cell in cells if cell not in ("", EMPTY)), key=value_of)
        return self.form.format(self.scale * value_of(cell)) if self.form else cell


@dataclass(frozen=True)
class Sum:
    """The sum of the cells of a column."""

    file: str
    column: str
    where: Where

    def text(self) -> str:
        """Returns the text of the figure on the page."""
        found = matching(self.file, self.where)
        assert found, self
        return f"{sum(value_of(row[self.column]) for row in found):g}"


@dataclass(frozen=True)
class Form:
    """A number that is computed from figures, or their texts joined."""

    compute: Callable[..., str]
    parts: tuple[Shown, ...]

    def text(self) -> str:
        """Returns the text of the figure on the page."""
        return self.compute(*(part.text() for part in self.parts))


@dataclass(frozen=True)
class Joined:
    """A column of a page that joins cells; each {} of `form` stands for a cell.

    A cell is that of the row that has the labels of the page's row and the columns of its `picks`.
    """

    form: str
    picks: tuple[tuple[Where, str], ...]

    def cell(self, files: Sequence[str], labels: Where) -> str:
        """Returns the text of the cell; a dash if a part of it was not measured."""
        texts = []
        for where, column in self.picks:
            found = [row for file in files for row in matching(file, {**labels, **where})]
            assert len(found) <= 1, (files, labels, where)
            texts.append(found[0][column] if found else "")
        return self.form.format(*texts) if all(texts) else EMPTY


def pick(column: str, **where: str) -> Joined:
    """Returns the column of a page that shows one column of a file."""
    return Joined("{}", ((where, column),))


@dataclass(frozen=True)
class RecordedTable:
    """A table of a page whose cells are those of result files.

    Args:
        page: The page.
        files: The names of the result files, in the order of their rows on the page.
        columns: For each column of the page, the column of the files that labels a row, or a
            `Joined`.
        where: The columns of the rows that are shown.
        number: The position of the table among those of the page with the same columns.
    """

    page: Path
    files: tuple[str, ...]
    columns: Mapping[str, str | Joined]
    where: Where | None = None
    number: int = 0

    def labels(self) -> list[dict[str, str]]:
        """Returns the labels of the rows, by the column of the files."""
        names = [column for column in self.columns.values() if isinstance(column, str)]
        shown: dict[tuple[str, ...], dict[str, str]] = {}
        for file in self.files:
            for row in matching(file, self.where or {}):
                labels = {name: row[name] for name in names}
                shown[tuple(labels.values())] = labels
        return list(shown.values())

    @cached_property
    def expected(self) -> list[str]:
        """The lines of the rows."""
        return [self.row(labels) for labels in self.labels()]

    def row(self, labels: dict[str, str]) -> str:
        """Returns the line of a row."""
        fixed = self.where or {}
        return line(
            [
                labels[column]
                if isinstance(column, str)
                else column.cell(self.files, {**fixed, **labels})
                for column in self.columns.values()
            ]
        )

    def places(self, page: str) -> list[Place]:
        """Returns the places of the rows, or of all of them if there are too many or too few.

        Raises:
            LookupError: There is no such table.
        """
        header = re.escape(line(list(self.columns)))
        found = list(re.finditer(rf"(?m)^{header}\n.*\n((?:\|.*\n)*)", page))
        if len(found) <= self.number:
            raise LookupError(f"{self.page.name}: {len(found)} tables with {list(self.columns)}")
        span = found[self.number].span(1)
        lines = list(re.compile(r"\|.*(?=\n)").finditer(page, *span))
        if len(lines) == len(self.expected):
            together = zip(lines, self.expected, strict=True)
            return [Place(*row.span(), text) for row, text in together]
        return [Place(*span, "".join(f"{row}\n" for row in self.expected))]


@dataclass(frozen=True)
class FixedTable:
    """A table of a page whose rows have words of the page, and figures.

    Args:
        page: The page.
        columns: The columns of the page.
        rows: The cells of each row: words or a figure.
    """

    page: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Shown, ...], ...]

    def places(self, page: str) -> list[Place]:
        """Returns the places of the rows. Raises LookupError where the table has others."""
        header = re.escape(line(list(self.columns)))
        found = re.search(rf"(?m)^{header}\n.*\n((?:\|.*\n)*)", page)
        lines = [] if found is None else list(re.finditer(r"\|.*(?=\n)", page[: found.end(1)]))
        lines = [] if found is None else [row for row in lines if row.start() >= found.start(1)]
        if len(lines) != len(self.rows):
            raise LookupError(f"{self.page.name}: {len(lines)} rows below {self.columns}")
        return [
            Place(*row.span(), line([str_of(cell) for cell in cells]))
            for row, cells in zip(lines, self.rows, strict=True)
        ]


def str_of(cell: str | Shown) -> str:
    """Returns the text of a cell of a page."""
    return cell if isinstance(cell, str) else cell.text()
