"""The formats of a report: each is one file or a folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from mgaudit.reports.document import AuditDocument, Document
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.formats.latex import render_latex
from mgaudit.reports.formats.markdown import render_markdown
from mgaudit.reports.formats.numbers_csv import render_csv
from mgaudit.reports.formats.pdf import render_pdf

DEFAULT_FORMATS = ("html", "pdf")

Told = TypeVar("Told", bound=Document, contravariant=True)


@dataclass(frozen=True)
class Format(Generic[Told]):
    """The name in the run folder, and what turns a document into it: a file, or a folder's files by their paths."""

    name: str
    render: Callable[[Told], bytes | Mapping[str, bytes]]


HTML: Format[Document] = Format("report.html", lambda document: render_html(document).encode())
PDF: Format[Document] = Format("report.pdf", render_pdf)

FORMATS: dict[str, Format[AuditDocument]] = {
    "html": HTML,
    "pdf": PDF,
    "latex": Format("report-latex", render_latex),
    "csv": Format("report.csv", lambda document: render_csv(document.result).encode()),
}

PAPER_FORMATS: dict[str, Format[Document]] = {
    "html": HTML,
    "pdf": PDF,
    "markdown": Format("report-markdown", render_markdown),
}
