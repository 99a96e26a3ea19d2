"""The report as one self-contained HTML file."""

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from mgaudit.reports.document import Document
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.table import Cell, Table

TEMPLATES = Path(__file__).parent / "templates"
WIDEST = 14  # characters that a column has at least, where its words are as long
HEADING = 7  # characters on a line of a heading, where it has as many
ARROW = 2  # characters for the sign that a column can be sorted
LONG_WORD = 16  # characters
UNBROKEN = re.compile(
    r"(?<=\d) (?=%)|(?<=[\d%]) (?=± \d)|(?<=\d ±) (?=\d)|(?<=[εδ]) (?=[=≤<>] \d)|(?<=[εδ] [=≤<>]) (?=\d)"
    r"|(?<=,) (?=%)|(?<=\d,) (?=[+−]?[\d.]+\])"
)
BREAKABLE = re.compile(r"(?<=[_:=,+/)])(?=[^_:=,+/.\-)])|(?<=[.\-])(?=[^_:=,+/.\-)\d])")
LARGE_CSV = 500_000  # bytes; a browser does not save a link of more than two million characters


@dataclass(frozen=True)
class Column:
    """A column heading, the characters that the column needs at least, and its digits before the decimal point."""

    title: str
    least: int
    digits: int

    def indent(self, cell: Cell) -> int:
        """Returns by how many digits to indent a number, so that those of a column stand below one another."""
        return 0 if cell.value is None else self.digits - _digits(cell)


@dataclass(frozen=True)
class Download:
    """A file within the page: its name, its data: URI and the words of the link."""

    name: str
    address: str
    words: str


def render_html(document: Document) -> str:
    """Returns the page. It needs no network and no script, and all text in it is escaped.

    Its content security policy lets a browser load nothing and run nothing but the script that comes with it.
    """
    environment = Environment(
        loader=PackageLoader("mgaudit.reports.formats"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": breakable, "picture": picture, "unbroken": unbroken}
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    return environment.get_template("report.html.j2").render(
        document=document,
        kind=lambda block: type(block).__name__,
        columns=columns,
        download=download,
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        policy=_policy(f"\n{script}"),
    )


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


def columns(table: Table) -> list[Column]:
    """Returns the columns of a table with what their widths depend on."""
    found = []
    for place, title in enumerate(table.columns):
        cells = [row[place] for row in table.rows]
        words = [
            len(word) for text in (title, *(cell.text for cell in cells)) for word in text.split()
        ]
        digits = max((_digits(cell) for cell in cells if cell.value is not None), default=0)
        least = max(min(len(title), HEADING), min(max(words), WIDEST))
        found.append(Column(title, least + ARROW, digits))
    return found


def _digits(cell: Cell) -> int:
    found = re.match(r"[+−]?\d+", cell.text)
    return 0 if found is None else len(found[0])


def breakable(text: str) -> Markup:
    """Returns the text with places in its long words at which a line may end.

    >>> breakable("gaussian-mask (kappa=0.3)")
    Markup('gaussian-mask (kappa=0.3)')
    >>> breakable("my.module:Scheme(rate=0.125)")
    Markup('my.<wbr>module:<wbr>Scheme(rate=<wbr>0.125)')
    """
    return Markup(" ").join(
        Markup("<wbr>").join(BREAKABLE.split(word)) if len(word) > LONG_WORD else escape(word)
        for word in text.split(" ")
    )


def unbroken(text: str) -> str:
    """Returns the text with spaces at which no line ends inside its numbers.

    >>> unbroken("paired difference −0.027 ± 0.044, 59.0 % ([51.7, 66.0]), ε ≤ 8.00").replace("\\xa0", "~")
    'paired difference −0.027~±~0.044, 59.0~% ([51.7,~66.0]), ε~≤~8.00'
    """
    return UNBROKEN.sub("\N{NO-BREAK SPACE}", text)


def download(name: str, csv: str) -> Download:
    """Returns the CSV as a file within the page, compressed where it is large."""
    content = csv.encode()
    if len(content) < LARGE_CSV:
        return Download(
            f"{name}.csv", f"data:text/csv;charset=utf-8;base64,{_base64(content)}", "CSV"
        )
    packed = _base64(gzip.compress(content, mtime=0))
    return Download(f"{name}.csv.gz", f"data:application/gzip;base64,{packed}", "CSV (gzip)")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def picture(drawing: Drawing, prefix: str) -> Markup:
    """Returns the figure as an SVG element whose ids are its own on the page; those that nothing refers to are gone.

    Comments, which hold text of the data, and metadata are left out.
    """
    svg = re.sub(r"(?s)<!--.*?-->|<metadata>.*?</metadata>", "", drawing.svg(prefix))
    own = f"{prefix}-{drawing.name}-"
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    svg = re.sub(
        r' id="([^"]+)"', lambda found: f' id="{own}{found[1]}"' if found[1] in used else "", svg
    )
    return Markup(re.sub(r'(href="|url\()#', rf"\g<1>#{own}", svg))
