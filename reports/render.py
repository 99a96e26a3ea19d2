"""The formats of a report: each is one file or a folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reports.document import Document
from reports.html import render_html
from reports.latex import render_latex
from reports.numbers_csv import render_csv
from reports.pdf import render_pdf

DEFAULT_FORMATS = ("html", "pdf")


@dataclass(frozen=True)
class Format:
    """The name in the run folder, and what turns a document into it: a file, or a folder's files by their paths."""

    name: str
    render: Callable[[Document], bytes | Mapping[str, bytes]]


FORMATS: dict[str, Format] = {
    "html": Format("report.html", lambda document: render_html(document).encode()),
    "pdf": Format("report.pdf", render_pdf),
    "latex": Format("report-latex", render_latex),
    "csv": Format("report.csv", lambda document: render_csv(document.result).encode()),
    "json": Format("report.json", lambda document: (document.result.model_dump_json(indent=2) + "\n").encode()),
}
