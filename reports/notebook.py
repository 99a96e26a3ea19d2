"""What a notebook shows of a table, a result and a whole report; nothing of it styles the rest of the page."""

from html import escape
from typing import TYPE_CHECKING

from reports.html import render_html
from reports.tables import Cell, Table, accuracy_vs_privacy
from reports.verdict import question, verdict

if TYPE_CHECKING:
    from reports.document import Document
    from reports.results import Result, StudyResult

LEFT = 'style="text-align: left; vertical-align: top"'
HEIGHT = "48rem"


def table_html(table: Table) -> str:
    """Returns the table with its caption and notes, escaped, without a style sheet."""
    heading = "".join(f'<th scope="col" {LEFT}>{escape(column)}</th>' for column in table.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows)
    notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in table.notes)
    caption = f"<caption {LEFT}><strong>{escape(table.caption)}</strong></caption>"
    return f"<table>{caption}<thead><tr>{heading}</tr></thead><tbody>{rows}</tbody></table>{notes}"


def _cell(cell: Cell) -> str:
    interval = f" <small>{escape(cell.interval)}</small>" if cell.interval else ""
    return f"<td {LEFT}>{escape(cell.text + cell.mark)}{interval}</td>"


def study_html(study: "StudyResult") -> str:
    """Returns question, verdict and main table of a study."""
    told = "".join(f"<p>{escape(sentence)}</p>" for sentence in verdict(study))
    return f"<p><em>{escape(question(study))}</em></p>{told}{table_html(accuracy_vs_privacy(study))}"


def result_html(result: "Result") -> str:
    """Returns verdict and main table of each study of a result."""
    title = f"<h3>{escape(result.title)}</h3>" if result.title else ""
    if len(result.studies) == 1:
        return title + study_html(result.studies[0])
    named = ((f"{study.name}, seed {study.settings['seed']}", study) for study in result.studies)
    return title + "".join(f"<h4>{escape(name)}</h4>{study_html(study)}" for name, study in named)


def document_html(document: "Document") -> str:
    """Returns the page of the report in a frame of its own, from which neither style nor script gets out."""
    page, title = escape(render_html(document)), escape(document.title)
    style = f"width: 100%; height: {HEIGHT}; border: 1px solid #d0d7de"
    return f'<iframe sandbox="allow-scripts" title="{title}" style="{style}" srcdoc="{page}"></iframe>'
