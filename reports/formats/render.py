"""The formats of a report: each is one file or a folder.

The module of a format is imported when it is used, so that a command without a report does not wait
for matplotlib.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from mgaudit.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from mgaudit.reports.document import AuditDocument, Document

DEFAULT_FORMATS = ("html", "pdf")

Content = TypeVar("Content", bound="Document", contravariant=True)


@dataclass(frozen=True)
class Format(Generic[Content]):
    """The name in the run folder, and the function that renders a document.

    It returns the content of a file, or that of a folder's files by their paths.
    """

    name: str
    render: Callable[[Content], bytes | Mapping[str, bytes]]


def _html(document: "Document") -> bytes:
    from mgaudit.reports.formats.html import render_html

    return render_html(document).encode()


def _pdf(document: "Document") -> bytes:
    from mgaudit.reports.formats.pdf import render_pdf

    return render_pdf(document)


def _latex(document: "AuditDocument") -> Mapping[str, bytes]:
    from mgaudit.reports.formats.latex import render_latex

    return render_latex(document)


def _markdown(document: "Document") -> Mapping[str, bytes]:
    from mgaudit.reports.formats.markdown import render_markdown

    return render_markdown(document)


def _csv(document: "AuditDocument") -> bytes:
    from mgaudit.reports.formats.numbers_csv import render_csv

    return render_csv(document.result).encode()


HTML: "Format[Document]" = Format("report.html", _html)
PDF: "Format[Document]" = Format("report.pdf", _pdf)

FORMATS: "dict[str, Format[AuditDocument]]" = {
    "html": HTML,
    "pdf": PDF,
    "latex": Format("report-latex", _latex),
    "csv": Format("report.csv", _csv),
}

PAPER_FORMATS: "dict[str, Format[Document]]" = {
    "html": HTML,
    "pdf": PDF,
    "markdown": Format("report-markdown", _markdown),
}


def chosen_formats(names: str | Sequence[str] | None, known: Collection[str]) -> list[str]:
    """Returns the names of formats, those by default for None or no name.

    Each text is one name, or several joined by commas. Raises UsageError for a name that is not
    known.
    """
    texts = [names] if isinstance(names, str) else names or DEFAULT_FORMATS
    formats = [name.strip() for text in texts for name in text.split(",")]
    for name in formats:
        if name not in known:
            rule = f"must be one of {', '.join(known)}"
            raise UsageError("format", rule, repr(name), did_you_mean(name, known))
    return formats
