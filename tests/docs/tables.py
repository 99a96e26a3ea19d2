"""Figures of the pages: cells of tables, and numbers in sentences."""

import re
from pathlib import Path


def cell(page: Path, header: str, row: str, column: str, beside: str = "") -> str:
    """Returns a cell of the only table of a page with such headers and such a row.

    Args:
        page: A page in Markdown.
        header: The text of the first column's header.
        row: The text of the first column, or of the first columns, "no noise | stacked".
        column: The header of the column.
        beside: The header of another column of this table, where several tables have the row.
    """
    matching = [
        cells[headers.index(column)]
        for headers, rows in tables(page)
        if headers[0] == header and {column, beside or column} <= set(headers)
        for cells in rows
        if set(row.split(" | ")) <= set(cells)
    ]
    assert len(matching) == 1, f"{page.name}: {len(matching)} cells of {row!r}, {column!r}"
    return matching[0]


def tables(page: Path) -> list[tuple[list[str], list[list[str]]]]:
    """Returns the headers and the rows of the tables of a page."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^\|.*\|$\n?)+", text, flags=re.MULTILINE)
    parsed = [[split(line) for line in block.splitlines()] for block in blocks]
    return [(lines[0], lines[2:]) for lines in parsed]


def split(line: str) -> list[str]:
    return [part.strip() for part in line.strip("|").split("|")]


def sentence_figure(page: Path, pattern: str) -> str:
    """Returns the figure that a pattern with one group finds in a page, whose lines are joined."""
    text = " ".join(re.sub(r"(?m)^> ", "", page.read_text(encoding="utf-8")).split())
    figures = set(re.findall(pattern, text))
    assert len(figures) == 1, f"{page.name}: {pattern!r} finds {figures}"
    return str(figures.pop())


def numbers(figure: str) -> list[float]:
    """Returns the numbers of a figure such as "0.626 ± 0.014" or "97.3 [96.2, 98.1]".

    >>> numbers("−0.058 ± 0.016 †"), numbers("25.60* [21.31, 30.42]")
    ([-0.058, 0.016], [25.6, 21.31, 30.42])
    """
    return [float(text) for text in re.findall(r"-?\d+\.?\d*", figure.replace("−", "-"))]


def agree(first: str, second: str) -> bool:
    """Returns whether two figures are the same, up to the rounding of the shorter one.

    >>> agree("4.2 [3.6, 4.8]", "4.16 [3.59, 4.82]"), agree("4.3 [3.6, 4.8]", "4.16 [3.59, 4.82]")
    (True, False)
    """
    one, other = numbers(first), numbers(second)
    half = max(half_unit(first), half_unit(second))
    return len(one) == len(other) > 0 and all(
        abs(a - b) <= half * 1.000001 for a, b in zip(one, other, strict=True)
    )


def half_unit(figure: str) -> float:
    """Returns half of the last digit's unit of the figure's first number."""
    found = re.search(r"\d+\.?(\d*)", figure)
    assert found is not None, figure
    return 0.5 * 10.0 ** -len(found[1])
