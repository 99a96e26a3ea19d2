"""The pieces of a cell that must stay on one line, for formats that break lines themselves."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mgaudit.reports.table import Cell, Table

LONGEST_WORD = 14  # characters that a narrow column holds
BREAKABLE = "_:=,+/.-()"
TOGETHER = re.compile(r"\[[^\]]{,14}\]|[−+]?[\d.]{1,9}[*†!]* ± [\d.]{1,9}(?: %)?|[\d.]{1,9} %")
GLUE = "\0"  # stands for a space inside a piece while text is split into words


@dataclass(frozen=True)
class Lines:
    """A cell as unbreakable pieces: those of the value and those of its interval.

    `joined` says that the interval stays on the line of the value, as in "0.589 ± 0.012".
    """

    value: list[str]
    interval: list[str]
    joined: bool

    @property
    def pieces(self) -> list[str]:
        """All pieces between which lines may break."""
        if not self.joined:
            return [*self.value, *self.interval]
        joined = f"{self.value[-1]} {self.interval[0]}"
        return [*self.value[:-1], joined, *self.interval[1:]]


def lines(cell: Cell) -> Lines:
    """Returns the cell in pieces: words, bracketed intervals and numbers with their "± …".

    >>> lines(Cell("0.589", "± 0.012 [0.3]", "*")).pieces
    ['0.589* ± 0.012', '[0.3]']
    >>> lines(Cell("98.5", "[96.0, 100.0]")).pieces
    ['98.5', '[96.0, 100.0]']
    """
    value = words(cell.text + cell.mark) or [""]
    joined = cell.interval.startswith("± ")
    if joined:
        first, _, rest = cell.interval[2:].partition(" ")
        return Lines(value, [f"± {first}", *words(rest)], True)
    return Lines(value, words(cell.interval), False)


def words(text: str) -> list[str]:
    """Returns the words; an interval in brackets or a number with its error or unit is one word.

    >>> words("AUC 0.700 ± 0.012 [0.3, 0.4], 5 % of all")
    ['AUC', '0.700 ± 0.012', '[0.3, 0.4],', '5 %', 'of', 'all']
    """
    clean = text.replace(GLUE, "\ufffd")
    glued = TOGETHER.sub(lambda match: match[0].replace(" ", GLUE), clean)
    return [word.replace(GLUE, " ") for word in glued.split()]


def parts(word: str) -> list[str]:
    """Returns the parts of a word that is longer than LONGEST_WORD characters.

    The word is split after each character of BREAKABLE, and after LONGEST_WORD characters without
    one. A shorter word, and a text with a space, stays whole.

    >>> parts("my.module:VeryLongClassName"), parts("[96.0, 100.0]"), parts("gaussian-mask")
    (['my.', 'module:', 'VeryLongClassN', 'ame'], ['[96.0, 100.0]'], ['gaussian-mask'])
    """
    if len(word) <= LONGEST_WORD or " " in word:
        return [word]
    complete, current = [], ""
    for character in word:
        current += character
        if character in BREAKABLE or len(current) == LONGEST_WORD:
            complete.append(current)
            current = ""
    return [*complete, current] if current else complete


def unbreakable(table: Table, column: int) -> list[str]:
    """Returns all unbreakable parts of the column and its heading, the longest first."""
    pieces = words(table.columns[column])
    for row in table.rows:
        pieces += lines(row[column]).pieces
    column_parts = {part for piece in pieces for part in parts(piece)}
    return sorted(column_parts, key=_longest_first)


def texts(table: Table, column: int) -> Sequence[str]:
    """Returns the cells of the column, each as one line, without the heading, longest first."""
    cells = {str(row[column]) for row in table.rows}
    return sorted(cells, key=_longest_first)


def _longest_first(text: str) -> tuple[int, str]:
    return (-len(text), text)
