"""The report as one self-contained HTML file."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from reports.document import Document


def render_html(document: Document) -> str:
    """Returns the page. It needs no network and no script, and all text in it is escaped."""
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(document=document, kind=lambda block: type(block).__name__)
