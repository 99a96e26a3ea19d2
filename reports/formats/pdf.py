"""The report as PDF."""

import json
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

    The template reads the document as data, so no text in it is interpreted as markup.
    """
    inputs = {"document": json.dumps(_visible(_document(document)))}
    for section, drawing in document.drawings:
        inputs[_file(section, drawing)] = drawing.svg(section.anchor)
    # All content is passed in memory: a process that is killed would leave temporary files. System
    # fonts would make the pages differ between machines.
    pdf = typst.compile(
        TEMPLATE.read_bytes(), format="pdf", ignore_system_fonts=True, sys_inputs=inputs
    )
    return bytes(pdf)


def _visible(part: Any) -> Any:
    """Returns JSON content with every text made visible."""
    if isinstance(part, str):
        return visible(part)
    if isinstance(part, dict):
        return {name: _visible(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_visible(value) for value in part]
    return part


def _file(section: Section, drawing: Drawing) -> str:
    return f"{section.anchor}-{drawing.name}.svg"


def _document(document: Document) -> dict[str, Any]:
    note = [document.note] if document.note else []
    return {
        "title": document.title,
        "byline": document.byline,
        "note": _paragraphs(note),
        "overview": [_section(section) for section in document.overview],
        "chapters": [_chapter(chapter) for chapter in document.chapters],
        "closing": [_section(section) for section in document.closing],
    }


def _chapter(chapter: Chapter) -> dict[str, Any]:
    return {
        "title": chapter.title,
        "question": _pieces(words(chapter.question)),
        "answer": None if chapter.answer is None else _section(chapter.answer),
        "verdict": _paragraphs(chapter.verdict),
        "sections": [_section(section) for section in chapter.sections],
    }


def _section(section: Section) -> dict[str, Any]:
    blocks = [_block(section, block) for block in section.blocks]
    return {"title": section.title, "blocks": blocks}


def _block(section: Section, block: Block) -> dict[str, Any]:
    match block:
        case Words():
            return {"kind": "words", "paragraphs": _paragraphs(block.paragraphs)}
        case Facts():
            pairs = [[name, _pieces(words(value))] for name, value in block.pairs]
            return {"kind": "facts", "pairs": pairs}
        case Listing():
            return {"kind": "listing", "text": block.text}
        case Drawing():
            return _drawing(section, block)
        case Table():
            return _table(block)


def _drawing(section: Section, drawing: Drawing) -> dict[str, Any]:
    return {
        "kind": "drawing",
        "file": _file(section, drawing),
        "caption": drawing.caption,
        "width": drawing.share_of_width,
        "alt": f"{drawing.caption} {drawing.description}",
    }


def _table(table: Table) -> dict[str, Any]:
    columns = range(len(table.columns))
    return {
        "kind": "table",
        "caption": table.caption,
        "columns": [_pieces(words(column)) for column in table.columns],
        "unbreakable": [unbreakable(table, column)[:MEASURED] for column in columns],
        "texts": [texts(table, column)[:MEASURED] for column in columns],
        "rows": [[_cell(cell) for cell in row] for row in table.rows],
        "notes": _paragraphs(table.notes),
    }


def _paragraphs(texts: Sequence[str]) -> list[list[list[str]]]:
    return [_pieces(words(text)) for text in texts]


def _cell(cell: Cell) -> dict[str, Any]:
    cell_lines = lines(cell)
    return {
        "value": _pieces(cell_lines.value),
        "interval": _pieces(cell_lines.interval),
        "joined": cell_lines.joined,
    }


def _pieces(line_words: Sequence[str]) -> list[list[str]]:
    """Returns each word as the parts between which a line may break."""
    return [parts(word) for word in line_words]
