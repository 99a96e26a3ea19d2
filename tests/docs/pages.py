"""The pages of the site and their code blocks."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
HOW_TO = sorted((DOCS / "howto").glob("*.md"))

MARK = "<!-- run -->"
BLOCK = re.compile(
    rf'^(?P<mark>{MARK}\n)?```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    Args:
        language: The language after the backticks, such as "python" or "sh".
        title: Name of the file that has this content; "" for a block that is no file.
        text: The content.
        runs: Whether the block is marked as one that runs as printed.
    """

    language: str
    title: str
    text: str
    runs: bool


def blocks(page: Path) -> list[Block]:
    """Returns the code blocks of a page in their order."""
    return [
        Block(found["language"], found["title"] or "", found["text"], found["mark"] is not None)
        for found in BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]


def files(page: Path) -> dict[str, str]:
    """Returns the contents of the files that a page defines, by name."""
    return {block.title: block.text for block in blocks(page) if block.title}


def commands(page: Path) -> list[str]:
    """Returns the commands of the shell blocks that do not run as printed, without comments."""
    lines = "".join(
        block.text for block in blocks(page) if block.language == "sh" and not block.runs
    )
    return [re.sub(r"(^|\s)#.*", "", line).strip() for line in lines.splitlines() if line.strip()]
