"""The report as PDF."""

import json
import tempfile
from pathlib import Path
from typing import Any

import typst

from reports.document import Block, Chapter, Document, Facts, Listing, Section, Words
from reports.figures.drawing import Drawing
from reports.tables import Table

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"
LONGEST_WORD = 14  # characters that a narrow column holds
NARROWEST, WIDEST = 5.0, 26.0
BREAKABLE = "_:=,+/.-()"
ZERO_WIDTH_SPACE = "\u200b"


def render_pdf(document: Document) -> bytes:
    """Returns the PDF: contents, vector figures, embedded fonts.

    The template reads the document as data, so no text in it is ever taken for markup.
    """
    with tempfile.TemporaryDirectory(prefix="mgaudit-") as name:
        folder = Path(name)
        for section, drawing in document.drawings:
            (folder / _file(section, drawing)).write_text(drawing.svg(section.anchor), encoding="utf-8")
        (folder / "document.json").write_text(json.dumps(_document(document)), encoding="utf-8")
        (folder / TEMPLATE.name).write_bytes(TEMPLATE.read_bytes())
        return bytes(typst.compile(folder / TEMPLATE.name, root=folder, format="pdf", ignore_system_fonts=True))


def _file(section: Section, drawing: Drawing) -> str:
    return f"{section.anchor}-{drawing.name}.svg"


def _document(document: Document) -> dict[str, Any]:
    return {
        "title": document.title,
        "note": document.note,
        "overview": [_section(one) for one in document.overview],
        "chapters": [_chapter(one) for one in document.chapters],
        "closing": [_section(one) for one in document.closing],
    }


def _chapter(chapter: Chapter) -> dict[str, Any]:
    return {
        "title": chapter.title,
        "question": chapter.question,
        "verdict": list(chapter.verdict),
        "sections": [_section(one) for one in chapter.sections],
    }


def _section(section: Section) -> dict[str, Any]:
    return {"title": section.title, "blocks": [_block(section, block) for block in section.blocks]}


def _block(section: Section, block: Block) -> dict[str, Any]:
    match block:
        case Words():
            return {"kind": "words", "paragraphs": list(block.paragraphs)}
        case Facts():
            return {"kind": "facts", "pairs": [[name, breakable(value)] for name, value in block.pairs]}
        case Listing():
            return {"kind": "listing", "text": block.text}
        case Drawing():
            return {
                "kind": "drawing",
                "file": _file(section, block),
                "caption": block.caption,
                "alt": f"{block.caption} {block.description}",
            }
        case Table():
            return {
                "kind": "table",
                "caption": "" if block.caption == section.title else block.caption,
                "columns": [breakable(column) for column in block.columns],
                "widths": column_widths(block),
                "rows": [[[breakable(cell.text) + cell.mark, cell.interval] for cell in row] for row in block.rows],
                "notes": [breakable(note) for note in block.notes],
            }


def column_widths(table: Table) -> list[float]:
    """Returns relative widths: as long as the longest word of the column, and more where there is more to say."""
    widths = []
    for place, column in enumerate(table.columns):
        texts = [text for row in table.rows for text in (row[place].text + row[place].mark, row[place].interval)]
        words = [len(word) for text in (*texts, column) for word in text.split()]
        longest = min(max(words, default=1), LONGEST_WORD)
        mean = sum(map(len, texts[::2])) / max(len(texts[::2]), 1)
        widths.append(min(max(longest, mean, NARROWEST), WIDEST))
    return widths


def breakable(text: str) -> str:
    """Returns the text with places in its long words at which a line may end, which are not to be seen.

    >>> breakable("gaussian-mask (kappa=0.3)") == "gaussian-mask (kappa=0.3)"
    True
    >>> breakable("my.module:VeryLongClassName").split("\\u200b")
    ['my.', 'module:', 'VeryLongClassN', 'ame']
    """
    return " ".join(_broken(word) if len(word) > LONGEST_WORD else word for word in text.split(" "))


def _broken(word: str) -> str:
    parts, current = [], ""
    for character in word:
        current += character
        if character in BREAKABLE or len(current) == LONGEST_WORD:
            parts.append(current)
            current = ""
    return ZERO_WIDTH_SPACE.join([*parts, current] if current else parts)
