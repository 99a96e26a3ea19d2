"""The report as PDF."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import typst

from reports.document import Document

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"


def render_pdf(document: Document) -> bytes:
    """Returns the PDF: vector figures, embedded fonts.

    The template reads the document as data, so no text in it is ever taken for markup.
    """
    with tempfile.TemporaryDirectory(prefix="mgaudit-") as name:
        folder = Path(name)
        (folder / "document.json").write_text(json.dumps(asdict(document)), encoding="utf-8")
        for drawing in (*document.drawings, *filter(None, [document.exposed_drawing])):
            (folder / f"{drawing.name}.svg").write_text(drawing.svg, encoding="utf-8")
        (folder / TEMPLATE.name).write_bytes(TEMPLATE.read_bytes())
        return bytes(typst.compile(folder / TEMPLATE.name, root=folder, format="pdf", ignore_system_fonts=True))
