"""Results and reports in a notebook, without effect on the style of the page."""

from dataclasses import dataclass
from html import escape

from mgaudit.reports.document import Document
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.results import Result, StudyResult
from mgaudit.reports.table import table_html
from mgaudit.reports.tables import accuracy_vs_privacy
from mgaudit.reports.verdict import question, verdict

HEIGHT = "48rem"


@dataclass(frozen=True)
class NotebookView:
    """An object that a notebook shows as this HTML."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def show(item: Result | StudyResult | Document) -> NotebookView:
    """Returns the notebook view of a result, of one of its studies or of a whole report."""
    if isinstance(item, Document):
        return NotebookView(document_html(item))
    if isinstance(item, StudyResult):
        return NotebookView(study_html(item))
    return NotebookView(result_html(item))


def study_html(study: StudyResult) -> str:
    """Returns question, verdict and main table of a study."""
    asked = f"<p><em>{escape(question(study))}</em></p>"
    sentences = [f"<p>{escape(sentence)}</p>" for sentence in verdict(study)]
    table = table_html(accuracy_vs_privacy(study))
    return asked + "".join(sentences) + table


def result_html(result: Result) -> str:
    """Returns verdict and main table of each study of a result."""
    title = f"<h3>{escape(result.title)}</h3>" if result.title else ""
    if len(result.studies) == 1:
        return title + study_html(result.studies[0])
    return title + "".join(map(_titled_study, result.studies))


def _titled_study(study: StudyResult) -> str:
    name = f"{study.name}, seed {study.settings['seed']}"
    return f"<h4>{escape(name)}</h4>{study_html(study)}"


def document_html(document: Document) -> str:
    """Returns the page of the report in a sandboxed frame, which isolates its style and script."""
    page, title = escape(render_html(document)), escape(document.title)
    style = f"width: 100%; height: {HEIGHT}; border: 1px solid #d0d7de"
    attributes = f'sandbox="allow-scripts" title="{title}" style="{style}"'
    return f'<iframe {attributes} srcdoc="{page}"></iframe>'
