"""The blocks of a section of a report."""

from collections.abc import Sequence
from dataclasses import dataclass

from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.table import Table


@dataclass(frozen=True)
class Words:
    """Paragraphs."""

    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Pairs of a name and a value."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Listing:
    """Verbatim text, such as a command."""

    text: str


Block = Words | Facts | Listing | Table | Drawing


@dataclass(frozen=True)
class Section:
    """A heading and its blocks; `anchor` is unique in the document.

    `absent` is the reason why there is nothing to show, and "" where there is.
    """

    anchor: str
    title: str
    blocks: Sequence[Block]
    absent: str = ""

    @classmethod
    def of(cls, title: str, *blocks: Block | None) -> "Section":
        """Returns the section with the blocks that are not None; its anchor is its title.

        A table without rows is left out; its notes say why it has none.
        """
        anchor = "-".join(title.lower().replace("ε", "epsilon").split())
        present = [block for block in blocks if block is not None]
        not_empty = [block for block in present if not isinstance(block, Table) or block.rows]
        reasons = [
            note
            for block in present
            if isinstance(block, Table) and not block.rows
            for note in block.notes
        ]
        reasons = list(dict.fromkeys(reasons))
        if not not_empty:
            return cls(anchor, title, [], " ".join(reasons))
        return cls(anchor, title, [*not_empty, *([Words(reasons)] if reasons else [])])
