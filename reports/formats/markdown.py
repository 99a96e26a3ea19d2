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
    yield f"# {escape_markdown(document.title)}"
    yield escape_markdown(document.byline)
    if document.note:
        yield escape_markdown(document.note)
    for chapter in document.chapters:
        yield f"*{escape_markdown(chapter.question)}*"
        yield from (f"**{escape_markdown(sentence)}**" for sentence in chapter.verdict)
    for section in document.sections:
        yield from _section(section)


def _section(section: Section) -> Iterator[str]:
    yield f"## {escape_markdown(section.title)}"
    for block in section.blocks:
        match block:
            case Words():
                yield from map(escape_markdown, block.paragraphs)
            case Facts():
                yield "\n".join(f"- {escape_markdown(name)}: {escape_markdown(value)}" for name, value in block.pairs)
            case Listing():
                yield "\n".join(f"    {line}" for line in block.text.splitlines())
            case Drawing():
                yield f"![{escape_markdown(block.description)}]({section.anchor}.svg)"
            case Table():
                yield from _table(block)


def _table(table: Table) -> Iterator[str]:
    if table.rows:
        rows = [table.columns, ["---"] * len(table.columns), *([str(cell) for cell in row] for row in table.rows)]
        yield "\n".join(
            "| " + " | ".join(cell if cell == "---" else escape_markdown(cell) for cell in row) + " |" for row in rows
        )
    yield from map(escape_markdown, table.notes)


def escape_markdown(text: str) -> str:
    """Returns text as Markdown shows it.

    >>> escape_markdown("a_b * [c] | <d>")
    'a\\\\_b \\\\* \\\\[c\\\\] \\\\| &lt;d&gt;'
    """
    return html.escape(SPECIAL.sub(r"\\\1", " ".join(text.split())), quote=False)
