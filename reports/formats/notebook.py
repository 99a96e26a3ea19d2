"""Results and reports in a notebook; none of it styles the rest of the page."""

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
    """Returns what a notebook shows of a result, of one of its studies or of a whole report."""
    if isinstance(item, Document):
        return NotebookView(document_html(item))
    return NotebookView(study_html(item) if isinstance(item, StudyResult) else result_html(item))


def study_html(study: StudyResult) -> str:
    """Returns question, verdict and main table of a study."""
    sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in verdict(study))
    return f"<p><em>{escape(question(study))}</em></p>{sentences}{table_html(accuracy_vs_privacy(study))}"


def result_html(result: Result) -> str:
    """Returns verdict and main table of each study of a result."""
    title = f"<h3>{escape(result.title)}</h3>" if result.title else ""
    if len(result.studies) == 1:
        return title + study_html(result.studies[0])
    named = ((f"{study.name}, seed {study.settings['seed']}", study) for study in result.studies)
    return title + "".join(f"<h4>{escape(name)}</h4>{study_html(study)}" for name, study in named)


def document_html(document: Document) -> str:
    """Returns the page of the report in a frame of its own, from which neither style nor script gets out."""
    page, title = escape(render_html(document)), escape(document.title)
    style = f"width: 100%; height: {HEIGHT}; border: 1px solid #d0d7de"
    return f'<iframe sandbox="allow-scripts" title="{title}" style="{style}" srcdoc="{page}"></iframe>'
