"""Tables of scores: a row for each example of each model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError, did_you_mean

REQUIRED = ("score", "member")
COLUMNS = (*REQUIRED, "model", "example", "label", "group")
HEADER = "begin the file with a header such as score,member"


@dataclass(frozen=True)
class Column:
    """A column of texts without blanks at their ends.

    Args:
        codes: Positions (rows,) in `texts`, int64.
        texts: The different texts, in the order of their first row.
    """

    codes: NDArray[np.int64]
    texts: tuple[str, ...]

    @classmethod
    def of(cls, codes: NDArray[np.int64], texts: Sequence[str]) -> "Column":
        """Returns the column of texts that may have blanks at their ends."""
        stripped = [text.strip() for text in texts]
        distinct = tuple(dict.fromkeys(stripped))
        position_of = {text: position for position, text in enumerate(distinct)}
        positions = np.array([position_of[text] for text in stripped], dtype=np.int64)
        return cls(positions[codes], distinct)

    def first_row(self, text: str) -> int | None:
        """Returns the first row with this text, or None."""
        if text not in self.texts:
            return None
        return int((self.codes == self.texts.index(text)).argmax())


@dataclass(frozen=True)
class Table:
    """A table with the columns score and member, and perhaps more.

    Args:
        key: The file, for errors.
        scores: Scores (rows,), finite.
        columns: The other columns by their names, without missing values.
        lines: Number (rows,) of each row in the file, for errors.
        unit: What the numbers count, "line" or "row".
        left_out: Names of columns that are not used.
    """

    key: str
    scores: NDArray[np.float64]
    columns: dict[str, Column]
    lines: NDArray[np.int64]
    unit: str
    left_out: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.scores) == 0:
            raise UsageError(self.key, "must have rows below the header", "none")
        is_wrong = ~np.isfinite(self.scores)
        if is_wrong.any():
            row = int(is_wrong.argmax())
            self.refuse(row, "score", "must be a finite number", str(self.scores[row]))
        for name, column in self.columns.items():
            row_without = column.first_row("")
            if row_without is not None:
                self.refuse(row_without, name, "must have a value in every row", "none")

    def place(self, row: int) -> str:
        """Returns where a row is in the file, such as "line 12"."""
        return f"{self.unit} {self.lines[row]}"

    def refuse(self, row: int, column: str, rule: str, value: str, way_out: str = "") -> NoReturn:
        """Raises UsageError for the cell in a row, counted from 0, and a column."""
        refuse_cell(self.key, self.place(row), column, rule, value, way_out)


def refuse_cell(
    key: str, place: str, column: str, rule: str, value: str, way_out: str = ""
) -> NoReturn:
    """Raises UsageError for the cell at a place such as "line 12" of a column."""
    way_out = way_out or "correct the cell, or leave the row out"
    raise UsageError(f"{key}: {place}, column {column!r}", rule, value, way_out)


def find_columns(key: str, names: Sequence[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Returns the position of each known column, and the names of the other columns.

    Case and blanks at the ends of names are ignored.

    Raises:
        UsageError: Where a required column is missing, a column is there twice, or a name is
            similar to that of a known column that is missing.
    """
    clean = [name.strip().casefold() for name in names]
    for name in COLUMNS:
        if clean.count(name) > 1:
            value = f"{name!r} {clean.count(name)} times"
            raise UsageError(key, "must have each column once", value, "leave one of them out")
    missing = [name for name in COLUMNS if name not in clean]
    others = [name for name, known in zip(names, clean, strict=True) if known not in COLUMNS]
    for name in others:
        question = did_you_mean(name.strip(), missing)
        is_one_name = not any(mark in name.strip() for mark in " |:")
        if question and is_one_name:
            rule = f"must name its columns {', '.join(COLUMNS)}"
            raise UsageError(key, rule, f"a column {name.strip()!r}", question)
    for name in REQUIRED:
        if name in missing:
            listed = ", ".join(repr(name.strip()) for name in names[:10])
            value = f"the columns {listed}{', …' if len(names) > 10 else ''}"
            way_out = "rename the column, and separate columns by commas, semicolons or tabs"
            if _are_numbers(names):
                way_out = HEADER
            raise UsageError(key, f"must have a column {name!r}", value, way_out)
    positions = {name: clean.index(name) for name in COLUMNS if name in clean}
    return positions, tuple(name.strip() or "(no name)" for name in others)


def _are_numbers(names: Sequence[str]) -> bool:
    return any(name.strip().replace(".", "", 1).lstrip("-").isdecimal() for name in names)
