"""The layout of a table in text: comment lines, the separator of cells, and the header."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from mgaudit.errors import UsageError
from mgaudit.targets.limits import COLUMNS
from mgaudit.targets.own_module import one_line

AUTO = "auto"
BLANKS = r"\s+"  # runs of blanks, as pandas names them
SEPARATORS = (",", ";", "\t", "|")
NAMES_OF_SEPARATORS = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    r"\t": "\t",
    "blanks": BLANKS,
    "blank": BLANKS,
    "space": BLANKS,
    " ": BLANKS,
    "pipe": "|",
}
SAMPLE_LINES = 50
SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[^\w\n])"?[^\w\n]*\n')  # as Excel writes it
UNNAMED = "Unnamed: {}"  # as pandas names the columns without a name


@dataclass(frozen=True)
class Layout:
    """The layout of a table.

    `separator` is one character, or `BLANKS`. `columns` are their names from the header, without
    blanks around them. `body` is the text below the header.
    """

    separator: str
    columns: tuple[str, ...]
    body: str
    notes: tuple[str, ...]

    def records(self) -> Iterator[list[str]]:
        """Returns the cells of each row of the body; blank lines are left out."""
        return records(self.body, self.separator)


def find_layout(key: str, text: str, label: str, separator: str) -> Layout:
    """Returns the layout of a table.

    Args:
        key: Name of the dataset, for errors.
        text: The table, with line breaks `\\n`.
        label: Name of the label column, by which the header is recognised.
        separator: The separator of cells, its name, or "auto".

    Raises:
        UsageError: For a text without a header, and for a separator that is none.
    """
    chosen = _chosen_separator(key, separator)
    named = SEPARATOR_LINE.match(text)
    if named is not None:
        text = text[named.end() :]
        chosen = chosen or named["separator"]
    comments, start = _comments(text)
    rest = text[start:]
    used = chosen or recognised_separator(rest, label)
    if comments and _is_header(comments[-1], rest, label, chosen):
        header_line = comments.pop()
        rest = f"{header_line}\n{rest}"
        used = chosen or recognised_separator(rest, label)
    columns, body = _header(key, rest, used)
    notes = []
    if comments:
        notes.append(f"Comment lines before the header are left out: {len(comments)}.")
    if used != "," and not chosen:
        name = "runs of blanks" if used == BLANKS else repr(used)
        notes.append(f"The cells are separated by {name}.")
    return Layout(used, columns, body, tuple(notes))


def records(text: str, separator: str) -> Iterator[list[str]]:
    """Returns the cells of each row, without blanks around them; blank lines are left out.

    Raises:
        csv.Error: For a cell that is too long.
    """
    if separator == BLANKS:
        lines = text.split("\n")
        return (_unquoted(line.split()) for line in lines if line.strip())
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    rows = ([cell.strip() for cell in record] for record in reader)
    return (row for row in rows if row not in ([], [""]))


def recognised_separator(text: str, label: str) -> str:
    """Returns the separator of the cells of a table, by its first lines.

    A separator by which the header has the label column is preferred, then one by which all rows
    have the same number of cells. Blanks separate cells only where nothing else does.

    >>> recognised_separator("label;size\\na;1,5\\nb;2,5", "label")
    ';'
    """
    sample = "\n".join(islice(text.split("\n"), SAMPLE_LINES))
    possible = [separator for separator in SEPARATORS if separator in sample.partition("\n")[0]]
    possible = possible or [BLANKS]

    def suitability(separator: str) -> tuple[bool, bool]:
        rows = _sample_rows(sample, separator)
        header = rows[0] if rows else []
        is_regular = len(header) > 1 and all(len(row) == len(header) for row in rows)
        return label in header, is_regular

    return max(possible, key=suitability)


def _sample_rows(sample: str, separator: str) -> list[list[str]]:
    """Returns the rows of a sample, the last of which may be incomplete and is left out."""
    try:
        rows = list(records(sample, separator))
    except csv.Error:
        return []
    return rows[:-1] if len(rows) > 2 else rows


def _unquoted(cells: Iterable[str]) -> list[str]:
    return [cell[1:-1] if re.fullmatch('".*"', cell) else cell for cell in cells]


def _chosen_separator(key: str, separator: str) -> str | None:
    """Returns the separator that the user chose; None for "auto"."""
    if separator == AUTO:
        return None
    chosen = NAMES_OF_SEPARATORS.get(separator, separator)
    if chosen != BLANKS and (len(chosen) != 1 or chosen.isalnum() or chosen in "\"'.+-\n\r#\\_"):
        rule = "must be one character between cells, or comma, semicolon, tab or blanks"
        raise UsageError(f"{key}: separator", rule, repr(separator))
    return chosen


def _comments(text: str) -> tuple[list[str], int]:
    """Returns the lines before the header that begin with `#`, and where the other lines begin."""
    comments = []
    position = 0
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        line = text[position:end]
        if line.strip() and not line.lstrip().startswith("#"):
            break
        if line.strip():
            comments.append(line)
        position = end + 1
    return comments, position


def _is_header(comment: str, rest: str, label: str, chosen: str | None) -> bool:
    """Returns whether a line that begins with `#` is the header of the rows in `rest`.

    It is the header if it has the label column and the first line of `rest` does not have it. If
    neither has it, it is the header if the first line contains a number, as rows of data do.
    """

    def cells(line: str) -> list[str]:
        separator = chosen or recognised_separator(line, label)
        return next(records(line, separator), [])

    first_line = rest.partition("\n")[0]
    if label in cells(first_line):
        return False
    if label in cells(comment):
        return True
    has_number = any(re.fullmatch(r"[-+]?[\d.,]*\d", cell) for cell in cells(first_line))
    return has_number and len(cells(comment)) == len(cells(first_line)) > 1


def _header(key: str, text: str, separator: str) -> tuple[tuple[str, ...], str]:
    """Returns the names of the columns and the text below the header.

    Raises:
        UsageError: For a text without a header, and for two columns with one name.
    """
    lines = io.StringIO(text)
    try:
        if separator == BLANKS:
            names = next(records(lines.readline(), BLANKS), [])
        else:
            reader = csv.reader(
                iter(lines.readline, ""), delimiter=separator, skipinitialspace=True
            )
            names = next((row for row in reader if row), [])
    except csv.Error as error:
        raise UsageError(key, "must be a table with a header", one_line(error)) from error
    if not names:
        raise UsageError(key, "must be a table with a header", "an empty file")
    COLUMNS.check(key, len(names))
    columns = [name.strip() or UNNAMED.format(index) for index, name in enumerate(names)]
    positions: dict[str, int] = {}
    for index, name in enumerate(columns):
        first = positions.setdefault(name, index)
        if first != index:
            rule = "must have a header with different names"
            value = f"two columns {name!r}, columns {first + 1} and {index + 1}"
            raise UsageError(key, rule, value, "rename one of the two")
    return tuple(columns), lines.read()
