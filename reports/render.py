"""Report files by format."""

from collections.abc import Callable

from reports.document import Document
from reports.html import render_html
from reports.pdf import render_pdf

FORMATS: dict[str, Callable[[Document], bytes]] = {
    "html": lambda document: render_html(document).encode(),
    "pdf": render_pdf,
}
