"""Rows of tables, and numbers in sentences, of the pages."""

import re
from pathlib import Path


def split(line: str) -> list[str]:
    """Returns the cells of a row of a table."""
    return [part.strip() for part in line.strip("|").split("|")]


def sentence_figure(page: Path, pattern: str) -> str:
    """Returns the figure that a pattern with one group finds in a page, whose lines are joined."""
    text = " ".join(re.sub(r"(?m)^> ", "", page.read_text(encoding="utf-8")).split())
    figures = set(re.findall(pattern, text))
    assert len(figures) == 1, f"{page.name}: {pattern!r} finds {figures}"
    return str(figures.pop())
