"""A report as Markdown for a documentation site, its figures beside it as SVG."""

import html
import re
from collections.abc import Iterator

from mgaudit.reports.document import Document
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.section import Facts, Listing, Section, Words
from mgaudit.reports.table import Table

SPECIAL = re.compile(r"([\\`*_{}\[\]#|])")


def render_markdown(document: Document) -> dict[str, bytes]:
    """Returns the files of the report by their names: report.md, and a figure each. All text in it is escaped."""
    files = {f"{section.anchor}.svg": drawing.svg(section.anchor).encode() for section, drawing in document.drawings}
    return {"report.md": ("\n\n".join(_lines(document)) + "\n").encode(), **files}


def _lines(document: Document) -> Iterator[str]:
    yield f"# {escaped(document.title)}"
    yield escaped(document.byline)
    if document.note:
        yield escaped(document.note)
    for chapter in document.chapters:
        yield f"*{escaped(chapter.question)}*"
        yield from (f"**{escaped(sentence)}**" for sentence in chapter.verdict)
    for section in document.sections:
        yield from _section(section)


def _section(section: Section) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    for block in section.blocks:
        match block:
            case Words():
                yield from map(escaped, block.paragraphs)
            case Facts():
                yield "\n".join(f"- {escaped(name)}: {escaped(value)}" for name, value in block.pairs)
            case Listing():
                yield "\n".join(f"    {line}" for line in block.text.splitlines())
            case Drawing():
                yield f"![{escaped(block.description)}]({section.anchor}.svg)"
            case Table():
                yield from _table(block)


def _table(table: Table) -> Iterator[str]:
    if table.rows:
        rows = [table.columns, ["---"] * len(table.columns), *([str(cell) for cell in row] for row in table.rows)]
        yield "\n".join(
            "| " + " | ".join(cell if cell == "---" else escaped(cell) for cell in row) + " |" for row in rows
        )
    yield from map(escaped, table.notes)


def escaped(text: str) -> str:
    """Returns text as Markdown shows it.

    >>> escaped("a_b * [c] | <d>")
    'a\\\\_b \\\\* \\\\[c\\\\] \\\\| &lt;d&gt;'
    """
    return html.escape(SPECIAL.sub(r"\\\1", " ".join(text.split())), quote=False)
