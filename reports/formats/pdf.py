"""The report as PDF."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typst

from mgaudit.reports.document import Chapter, Document
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.formats.unbroken import lines, parts, texts, unbreakable, words
from mgaudit.reports.formats.visible import visible
from mgaudit.reports.section import Block, Facts, Listing, Section, Words
from mgaudit.reports.table import Cell, Table

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"
MEASURED = 12  # longest cells of a column that the template measures


def render_pdf(document: Document) -> bytes:
    """Returns the PDF: contents, vector figures, embedded fonts.

    The template reads the document as data, so no text in it is ever taken for markup.
    """
    with tempfile.TemporaryDirectory(prefix="mgaudit-") as name:
        folder = Path(name)
        for section, drawing in document.drawings:
            (folder / _file(section, drawing)).write_text(drawing.svg(section.anchor), encoding="utf-8")
        (folder / "document.json").write_text(json.dumps(_visible(_document(document))), encoding="utf-8")
        (folder / TEMPLATE.name).write_bytes(TEMPLATE.read_bytes())
        return bytes(typst.compile(folder / TEMPLATE.name, root=folder, format="pdf", ignore_system_fonts=True))


def _visible(part: Any) -> Any:
    if isinstance(part, str):
        return visible(part)
    if isinstance(part, dict):
        return {name: _visible(value) for name, value in part.items()}
    return [_visible(value) for value in part] if isinstance(part, list) else part


def _file(section: Section, drawing: Drawing) -> str:
    return f"{section.anchor}-{drawing.name}.svg"


def _document(document: Document) -> dict[str, Any]:
    return {
        "title": document.title,
        "byline": document.byline,
        "note": _paragraphs([document.note] if document.note else []),
        "overview": [_section(one) for one in document.overview],
        "chapters": [_chapter(one) for one in document.chapters],
        "closing": [_section(one) for one in document.closing],
    }


def _chapter(chapter: Chapter) -> dict[str, Any]:
    return {
        "title": chapter.title,
        "question": _pieces(words(chapter.question)),
        "verdict": _paragraphs(chapter.verdict),
        "sections": [_section(one) for one in chapter.sections],
    }


def _section(section: Section) -> dict[str, Any]:
    return {"title": section.title, "blocks": [_block(section, block) for block in section.blocks]}


def _block(section: Section, block: Block) -> dict[str, Any]:
    match block:
        case Words():
            return {"kind": "words", "paragraphs": _paragraphs(block.paragraphs)}
        case Facts():
            return {"kind": "facts", "pairs": [[name, _pieces(words(value))] for name, value in block.pairs]}
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
                "caption": block.caption,
                "columns": [_pieces(words(column)) for column in block.columns],
                "unbreakable": [unbreakable(block, place)[:MEASURED] for place in range(len(block.columns))],
                "texts": [texts(block, place)[:MEASURED] for place in range(len(block.columns))],
                "rows": [[_cell(cell) for cell in row] for row in block.rows],
                "notes": [_pieces(words(note)) for note in block.notes],
            }


def _paragraphs(texts: Sequence[str]) -> list[list[list[str]]]:
    return [_pieces(words(text)) for text in texts]


def _cell(cell: Cell) -> dict[str, Any]:
    found = lines(cell)
    return {"value": _pieces(found.value), "interval": _pieces(found.interval), "joined": found.joined}


def _pieces(found: Sequence[str]) -> list[list[str]]:
    """Returns each word as the parts between which a line may end."""
    return [parts(word) for word in found]
