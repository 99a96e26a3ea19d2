"""The columns of a table as numbers or as categories."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.array_like import LARGEST_WHOLE
from mgaudit.targets.arrays.missing_text import MISSING
from mgaudit.targets.datasets.tables.number_text import (
    OTHER_MARKS,
    Marks,
    is_date,
    is_gap,
)
from mgaudit.targets.datasets.tables.table import Cells, Table, as_texts, is_missing


@dataclass(frozen=True)
class Column:
    """A column of features.

    Args:
        name: Its name in the header.
        values: Numbers (rows,), finite, int64, uint64 or float64; or categories (rows,), objects
            that are texts. The value of a row without a value is 0 or "".
        missing: Which rows (rows,) have no value, bool.
    """

    name: str
    values: Cells
    missing: NDArray[np.bool_]

    @property
    def is_category(self) -> bool:
        """Whether the values are categories."""
        return self.values.dtype.kind == "O"

    @property
    def present(self) -> Cells:
        """The values (rows with a value,)."""
        return self.values[~self.missing]

    def chosen(self, rows: NDArray[np.bool_]) -> "Column":
        """Returns the column of those rows for which `rows` (rows,) is True."""
        return replace(self, values=self.values[rows], missing=self.missing[rows])


@dataclass(frozen=True)
class ColumnReader:
    """Turns the cells of a table into columns.

    Args:
        key: Name of the dataset, for errors.
        rows: The number of each row in the file (rows,), int64, for errors.
        marks: The marks in numbers.
        categorical: Names of the columns whose numbers are categories.
        settable_marks: Whether the user can choose the marks.
    """

    key: str
    rows: NDArray[np.int64]
    marks: Marks
    categorical: frozenset[str] = frozenset()
    settable_marks: bool = True

    def columns(self, table: Table) -> list[Column]:
        """Returns the columns. Raises UsageError for cells that are neither of the two."""
        return [self._column(name, cells) for name, cells in table.columns.items()]

    def _column(self, name: str, cells: Cells) -> Column:
        if name in self.categorical:
            return self._categories(name, as_texts(cells))
        if cells.dtype.kind != "O":
            missing = is_missing(cells)
            values = np.where(missing, cells.dtype.type(0), cells)
            self._refuse_infinite(name, values)
            return Column(name, values, missing)
        return self._of_texts(name, cells)

    def _of_texts(self, name: str, cells: Cells) -> Column:
        """Returns the column of texts, which may all be numbers."""
        counts = Counter(cells.tolist())
        counts.pop(None, None)
        numbers = {}
        for text in counts:
            number = self.marks.number(text)
            if number is not None:
                numbers[text] = number
        words = {text for text in counts if text not in numbers and text not in MISSING}
        wrong_words = {text for text in words if not is_gap(text)}
        if numbers and not wrong_words:
            return self._of_numbers(name, cells, numbers)
        self._refuse_other_marks(name, cells, words, bool(numbers))
        rows_of_numbers = sum(counts[text] for text in numbers)
        rows_of_words = sum(counts[text] for text in words)
        if rows_of_numbers >= rows_of_words > 0:
            self._refuse_word(name, cells, wrong_words)
        return self._categories(name, cells)

    def _of_numbers(self, name: str, cells: Cells, numbers: dict[str, int | float]) -> Column:
        """Returns the column of texts that have these numbers; other texts are missing values."""
        missing = np.array([cell not in numbers for cell in cells.tolist()], dtype=bool)
        values = self._exact(name, [numbers.get(cell, 0) for cell in cells.tolist()])
        self._refuse_infinite(name, values)
        return Column(name, values, missing)

    def _exact(self, name: str, numbers: list[int | float]) -> Cells:
        """Returns numbers as int64, uint64 or float64; float64 must not round whole numbers."""
        if all(isinstance(number, int) for number in numbers):
            for dtype in (np.int64, np.uint64):
                limits = np.iinfo(dtype)
                if limits.min <= min(numbers) and max(numbers) <= limits.max:
                    return np.array(numbers, dtype=dtype)
        for index, number in enumerate(numbers):
            if isinstance(number, int) and abs(number) > LARGEST_WHOLE and not _is_exact(number):
                rule = "must hold numbers that float64 can represent, or whole numbers of 64 bits"
                value = f"{number} in row {self.rows[index]}, column {name!r}"
                raise UsageError(self.key, rule, value, f"leave the column out with drop={name}")
        return np.array(numbers, dtype=np.float64)

    def _categories(self, name: str, cells: Cells) -> Column:
        """Returns the column of texts as categories."""
        missing = np.array([cell is None or cell in MISSING for cell in cells.tolist()], dtype=bool)
        values = np.where(missing, "", cells).astype(object)
        texts = set(values[~missing].tolist())
        for text in texts:
            if "\n" in text:
                rule = "must have quotes at both ends of a cell, and categories in one line"
                self._refuse_cell(name, cells, {text}, rule, "repair the file")
        if name not in self.categorical and texts and all(map(is_date, texts)):
            rule = "must hold numbers or categories, not dates or times"
            way_out = (
                f"write numbers, such as years, leave the column out with drop={name}, "
                f"or read categories with categorical={name}"
            )
            self._refuse_cell(name, cells, texts, rule, way_out)
        return Column(name, values, missing)

    def _refuse_other_marks(
        self, name: str, cells: Cells, words: set[str], has_numbers: bool
    ) -> None:
        """Raises UsageError where numbers have other marks, as in `1,234.5`."""
        others = {text for text in words if OTHER_MARKS.fullmatch(text) and not is_date(text)}
        if not others or (others != words and not has_numbers):
            return
        rule = f"must have numbers with the decimal mark {self.marks.decimal!r}"
        rule += f" and the thousands mark {self.marks.thousands!r}" if self.marks.thousands else ""
        way_out = "write plain numbers"
        if self.settable_marks:
            way_out += ", or add thousands=. to the path"
            if self.marks.decimal == ".":
                way_out = 'write plain numbers, or add thousands="," or decimal="," to the path'
        self._refuse_cell(
            name, cells, others, rule, f"{way_out}, or read categories with categorical={name}"
        )

    def _refuse_word(self, name: str, cells: Cells, words: set[str]) -> NoReturn:
        rule = "must hold a finite number in every feature"
        way_out = (
            f"correct it, leave the column out with drop={name}, "
            f"or read categories with categorical={name}"
        )
        self._refuse_cell(name, cells, words, rule, way_out)

    def _refuse_infinite(self, name: str, values: Cells) -> None:
        infinite = np.isinf(values)
        if infinite.any():
            index = int(infinite.argmax())
            rule = "must hold a finite number in every feature"
            value = f"{str(values[index])!r} in row {self.rows[index]}, column {name!r}"
            way_out = f"correct it, or leave the column out with drop={name}"
            raise UsageError(self.key, rule, value, way_out)

    def _refuse_cell(
        self, name: str, cells: Cells, texts: set[str], rule: str, way_out: str
    ) -> NoReturn:
        """Raises UsageError for the first cell that is one of the texts."""
        index = next(index for index, cell in enumerate(cells.tolist()) if cell in texts)
        value = f"{cells[index]!r} in row {self.rows[index]}, column {name!r}"
        raise UsageError(self.key, rule, value, way_out)


def _is_exact(number: int) -> bool:
    """Returns whether float64 has this whole number."""
    try:
        return int(float(number)) == number
    except OverflowError:
        return False
