"""A report as Markdown for a documentation site, with its figures as SVG files."""

import html
import re
from collections.abc import Iterable, Iterator

from mgaudit.reports.document import Document
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.section import Facts, Listing, Section, Words
from mgaudit.reports.table import Table

SPECIAL = re.compile(r"([\\`*_{}\[\]#|])")


def render_markdown(document: Document) -> dict[str, bytes]:
    """Returns the files of the report by name: report.md and each figure. All text is escaped."""
    text = "\n\n".join(_lines(document)) + "\n"
    files = {"report.md": text.encode()}
    for section, drawing in document.drawings:
        files[f"{section.anchor}.svg"] = drawing.svg(section.anchor).encode()
    return files


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
                yield "\n".join(_fact(name, value) for name, value in block.pairs)
            case Listing():
                yield "\n".join(f"    {line}" for line in block.text.splitlines())
            case Drawing():
                yield f"![{escape_markdown(block.description)}]({section.anchor}.svg)"
            case Table():
                yield from _table(block)


def _fact(name: str, value: str) -> str:
    return f"- {escape_markdown(name)}: {escape_markdown(value)}"


def _table(table: Table) -> Iterator[str]:
    if table.rows:
        rule = ["---"] * len(table.columns)
        heading = [_row(map(escape_markdown, table.columns)), _row(rule)]
        rows = [_row(escape_markdown(str(cell)) for cell in row) for row in table.rows]
        yield "\n".join([*heading, *rows])
    yield from map(escape_markdown, table.notes)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape_markdown(text: str) -> str:
    """Returns text escaped for Markdown, on one line.

    >>> escape_markdown("a_b * [c] | <d>")
    'a\\\\_b \\\\* \\\\[c\\\\] \\\\| &lt;d&gt;'
    """
    line = " ".join(text.split())
    return html.escape(SPECIAL.sub(r"\\\1", line), quote=False)
