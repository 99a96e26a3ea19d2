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
    """A heading and its blocks; `anchor` is unique in the document."""

    anchor: str
    title: str
    blocks: Sequence[Block]

    @classmethod
    def of(cls, title: str, *blocks: Block | None) -> "Section":
        """Returns the section with the blocks that are not None; its anchor is its title."""
        anchor = "-".join(title.lower().replace("ε", "epsilon").split())
        present = [block for block in blocks if block is not None]
        return cls(anchor, title, present)
