"""Reading of tables of scores from CSV files."""

import bz2
import csv
import gzip
import lzma
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.limits import SCORE_ROWS
from mgaudit.outputs.outputs_file import shown
from mgaudit.outputs.table import HEADER, Column, Table, find_columns, refuse_cell
from mgaudit.targets.free_memory import check_memory

if TYPE_CHECKING:
    from _csv import Reader

SEPARATORS = (",", ";", "\t")
OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
UTF16 = (b"\xff\xfe", b"\xfe\xff")
ENCODING = "save it as CSV with the encoding UTF-8"
MEMORY_OF_A_ROW = 200  # bytes, of the arrays that are made of all rows
CHUNK = 20_000  # rows that are converted at once
Rows = tuple[list[list[str]], list[int]]


def read_csv_table(path: Path) -> Table:
    """Returns the table in a CSV file with a header.

    Separators are commas, semicolons or tabs, and the encoding is UTF-8 or UTF-16 with a mark.
    Blank lines are skipped. Lines are counted from 1, with the header.

    Raises:
        UsageError: For a file that is no such table, and for a score that is no finite number.
    """
    key = shown(path)
    try:
        with _open(path) as file:
            return _read(key, file)
    except UnicodeError as error:
        raise UsageError(key, "must be text in UTF-8", str(error), ENCODING) from error
    except (EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise UsageError(key, "must be a complete file", str(error), "compress it again") from error


def _open(path: Path) -> TextIOWrapper:
    file: IO[bytes] = OPENERS.get(path.suffix.lower(), open)(path, "rb")
    start = file.read(2)
    file.seek(0)
    return TextIOWrapper(file, "utf-16" if start in UTF16 else "utf-8-sig", newline="")


def _read(key: str, file: TextIOWrapper) -> Table:
    separator = _separator(file)
    reader = csv.reader(file, delimiter=separator, skipinitialspace=True, strict=True)
    try:
        names = next((row for row in reader if not _is_blank(row)), None)
        if names is None:
            raise UsageError(key, "must have a header and rows", "an empty file", HEADER)
        if any("\0" in name for name in names):
            raise UsageError(key, "must be text in UTF-8", "zero bytes", ENCODING)
        return _table(key, reader, names)
    except csv.Error as error:
        value = f"{error} in line {reader.line_num}"
        raise UsageError(key, "must be a CSV file", value, "correct the line") from error


def _separator(file: TextIOWrapper) -> str:
    """Returns the separator that occurs most often in the first line that is not blank."""
    header = next((line for line in file if line.strip()), "")
    file.seek(0)
    return max(SEPARATORS, key=header.count)


class _Codes(dict[str, int]):
    """The number of each text, in the order in which the texts are looked up first."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]


def _table(key: str, reader: "Reader", names: list[str]) -> Table:
    """Returns the rows that follow a header with these names."""
    positions, left_out = find_columns(key, names)
    scores: list[NDArray[np.float64]] = []
    lines: list[int] = []
    texts = {name: _Codes() for name in positions if name != "score"}
    codes: dict[str, list[NDArray[np.int64]]] = {name: [] for name in texts}
    for rows, numbers in _chunks(key, reader, names):
        SCORE_ROWS.check(key, len(lines) + len(rows))
        check_memory(key, MEMORY_OF_A_ROW * len(lines), "more rows", SCORE_ROWS.way_out)
        cells = list(zip(*rows, strict=True))
        scores.append(_numbers(key, cells[positions["score"]], numbers))
        lines += numbers
        for name, code_of in texts.items():
            of_cells = map(code_of.__getitem__, cells[positions[name]])
            codes[name].append(np.fromiter(of_cells, np.int64, len(rows)))
    if not scores:
        raise UsageError(key, "must have rows below the header", "none")
    columns = {name: Column.of(np.concatenate(codes[name]), list(texts[name])) for name in texts}
    return Table(key, np.concatenate(scores), columns, np.array(lines), "line", left_out)


def _chunks(key: str, reader: "Reader", names: list[str]) -> Iterator[Rows]:
    """Yields rows as long as the header, with the number of the line of each.

    Raises:
        UsageError: For a shorter or longer row.
    """
    rows: list[list[str]] = []
    lines: list[int] = []
    for row in reader:
        if len(row) != len(names):
            if _is_blank(row):
                continue
            rule = f"must have {len(names)} cells in every line, as in the header"
            value = f"{len(row)} in line {reader.line_num}"
            raise UsageError(key, rule, value, "correct the line, or leave it out")
        rows.append(row)
        lines.append(reader.line_num)
        if len(rows) == CHUNK:
            yield rows, lines
            rows, lines = [], []
    if rows:
        yield rows, lines


def _is_blank(row: list[str]) -> bool:
    return not any(cell.strip() for cell in row) and len(row) <= 1


def _numbers(key: str, cells: tuple[str, ...], lines: list[int]) -> NDArray[np.float64]:
    """Returns the scores in these cells (rows,), or raises UsageError for another text."""
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError:
        for cell, line in zip(cells, lines, strict=True):
            if not _is_float(cell):
                way_out = "write decimal points, not commas" if "," in cell else ""
                value = repr(cell.strip()) if cell.strip() else "none"
                rule = "must be a finite number"
                refuse_cell(key, f"line {line}", "score", rule, value, way_out)
        raise


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
