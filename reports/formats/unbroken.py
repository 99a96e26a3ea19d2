"""What of a cell must stay on one line, for pages that break lines themselves."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mgaudit.reports.table import Cell, Table

LONGEST_WORD = 14  # characters that a narrow column holds
BREAKABLE = "_:=,+/.-()"
TOGETHER = re.compile(r"\[[^\]]{,14}\]|[−+]?[\d.]{1,9}[*†!]* ± [\d.]{1,9}(?: %)?|[\d.]{1,9} %")
HELD = "\0"


@dataclass(frozen=True)
class Lines:
    """A cell as pieces that hold together: those of the value and those of its interval.

    `joined` says that the interval stays on the line of the value, as in "0.589 ± 0.012".
    """

    value: list[str]
    interval: list[str]
    joined: bool

    @property
    def pieces(self) -> list[str]:
        """What no line may break."""
        if not self.joined:
            return [*self.value, *self.interval]
        return [*self.value[:-1], f"{self.value[-1]} {self.interval[0]}", *self.interval[1:]]


def lines(cell: Cell) -> Lines:
    """Returns the cell in pieces: words, bracketed intervals and numbers with their "± …"; long words are broken.

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
    """Returns the words, a pair of numbers in brackets being one, and so a number with its error or its unit.

    >>> words("AUC 0.700 ± 0.012 [0.3, 0.4], 5 % of all")
    ['AUC', '0.700 ± 0.012', '[0.3, 0.4],', '5 %', 'of', 'all']
    """
    held = TOGETHER.sub(lambda found: found[0].replace(" ", HELD), text.replace(HELD, "\ufffd"))
    return [word.replace(HELD, " ") for word in held.split()]


def parts(word: str) -> list[str]:
    """Returns the parts of a long word between which a line may end: after signs, and after so many letters.

    >>> parts("my.module:VeryLongClassName"), parts("[96.0, 100.0]"), parts("gaussian-mask")
    (['my.', 'module:', 'VeryLongClassN', 'ame'], ['[96.0, 100.0]'], ['gaussian-mask'])
    """
    if len(word) <= LONGEST_WORD or " " in word:
        return [word]
    found, current = [], ""
    for character in word:
        current += character
        if character in BREAKABLE or len(current) == LONGEST_WORD:
            found.append(current)
            current = ""
    return [*found, current] if current else found


def unbreakable(table: Table, column: int) -> list[str]:
    """Returns all that must fit into a line of the column, its heading too, the longest first."""
    pieces = [piece for row in table.rows for piece in lines(row[column]).pieces]
    found = {part for piece in (*words(table.columns[column]), *pieces) for part in parts(piece)}
    return sorted(found, key=lambda part: (-len(part), part))


def texts(table: Table, column: int) -> Sequence[str]:
    """Returns the cells of the column as they would stand on one line, without the heading, the longest first."""
    return sorted({str(row[column]) for row in table.rows}, key=lambda text: (-len(text), text))
