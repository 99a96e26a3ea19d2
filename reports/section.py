"""What a section of a report is made of."""

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
    """Names and what they stand for."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Listing:
    """Text as it is typed."""

    text: str


Block = Words | Facts | Listing | Table | Drawing


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; `anchor` is unique in the document."""

    anchor: str
    title: str
    blocks: Sequence[Block]

    @classmethod
    def of(cls, title: str, *blocks: Block | None) -> "Section":
        """Returns the section with the blocks that there are, its anchor being its title."""
        anchor = "-".join(title.lower().replace("ε", "epsilon").split())
        return cls(anchor, title, [block for block in blocks if block is not None])
