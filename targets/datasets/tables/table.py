"""A table of cells: columns of numbers or of texts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[Any]


@dataclass(frozen=True)
class Table:
    """A table of cells.

    Args:
        columns: The cells of each column (rows,) by its name, in the order of the file: integers,
            floats with NaN for an empty cell, or objects, which are texts without blanks around
            them or None for an empty cell.
        rows: The number of each row (rows,) in the file, int64, from 1, without the header.
        categorical: Names of the columns that the file says are categories, whatever they hold.
    """

    columns: Mapping[str, Cells]
    rows: NDArray[np.int64]
    categorical: frozenset[str] = frozenset()

    def chosen(self, rows: NDArray[np.bool_]) -> "Table":
        """Returns the table of those rows for which `rows` (rows,) is True."""
        columns = {name: cells[rows] for name, cells in self.columns.items()}
        return replace(self, columns=columns, rows=self.rows[rows])

    def without(self, names: set[str]) -> "Table":
        """Returns the table without the columns of these names."""
        columns = {name: cells for name, cells in self.columns.items() if name not in names}
        return replace(self, columns=columns)


def is_missing(cells: Cells) -> NDArray[np.bool_]:
    """Returns which cells (rows,) are empty, bool."""
    if cells.dtype.kind == "f":
        return np.isnan(cells)
    if cells.dtype.kind == "O":
        return np.array([cell is None for cell in cells], dtype=bool)
    return np.zeros(len(cells), dtype=bool)


def as_texts(cells: Cells) -> Cells:
    """Returns cells of any kind (rows,) as texts without blanks around them, or None; objects.

    >>> as_texts(np.array([True, False])), as_texts(np.array([" a ", float("nan")], dtype=object))
    (array(['True', 'False'], dtype=object), array(['a', None], dtype=object))
    """
    texts = np.empty(len(cells), dtype=object)
    without_blanks: dict[str, str | None] = {}  # so that equal texts stay one object
    for row, cell in enumerate(cells.tolist()):
        if type(cell) is not str:
            texts[row] = _text(cell)
            continue
        if cell not in without_blanks:
            without_blanks[cell] = _text(cell)
        texts[row] = without_blanks[cell]
    return texts


def _text(cell: object) -> str | None:
    """Returns the text of a cell; None for None, NaN and blanks."""
    if cell is None or cell != cell:
        return None
    return str(cell).strip() or None
