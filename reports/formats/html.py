"""The report as one self-contained HTML file."""

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from mgaudit.reports.document import Chapter, Document
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.table import Cell, Table

TEMPLATES = Path(__file__).parent / "templates"
WIDEST = 14  # characters: a column with long words is at least this wide
HEADING = 7  # characters: a long heading has at least this many on a line
ARROW = 2  # characters of the sign that a column can be sorted
LONG_WORD = 16  # characters
UNBROKEN = re.compile(
    r"(?<=\d) (?=%)|(?<=[\d%]) (?=± \d)|(?<=\d ±) (?=\d)"
    r"|(?<=[εδ]) (?=[=≤<>] \d)|(?<=[εδ] [=≤<>]) (?=\d)"
    r"|(?<=,) (?=%)|(?<=\d,) (?=[+−]?[\d.]+\])"
)
BREAKABLE = re.compile(r"(?<=[_:=,+/)])(?=[^_:=,+/.\-)])|(?<=[.\-])(?=[^_:=,+/.\-)\d])")
LARGE_CSV = 500_000  # bytes; browsers do not save a link of two million characters


@dataclass(frozen=True)
class Column:
    """A column heading, the least width in characters and the digits before the decimal point."""

    title: str
    least: int
    digits: int

    def indent(self, cell: Cell) -> int:
        """Returns the indent of a number, in digits, that aligns the decimal points of a column."""
        return 0 if cell.value is None else self.digits - _digits(cell)


@dataclass(frozen=True)
class Download:
    """A file within the page: its name, its data: URI and the text of the link."""

    name: str
    address: str
    words: str


def render_html(document: Document) -> str:
    """Returns the page. It needs no network and no script, and all text in it is escaped.

    Its content security policy lets a browser load nothing and run only the script in the page.
    """
    environment = Environment(
        loader=PackageLoader("mgaudit.reports.formats"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "breakable": breakable,
        "id": id,
        "picture": picture,
        "unbroken": unbroken,
    }
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    style = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    template = environment.get_template("report.html.j2")
    return template.render(
        document=document,
        kind=lambda block: type(block).__name__,
        columns=columns,
        download=download,
        numbers=document.numbers,
        prefixed=prefixed,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(f"\n{script}"),
    )


def prefixed(chapter: Chapter) -> dict[str, str]:
    """Returns the title of a chapter and the prefix of its files; "" where there is only one."""
    return {"title": chapter.title, "prefix": f"{chapter.anchor}-" if chapter.title else ""}


def _policy(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src "
        f"'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def columns(table: Table) -> list[Column]:
    """Returns the columns of a table with the sizes that determine their widths."""
    return [_column(table, index) for index in range(len(table.columns))]


def _column(table: Table, index: int) -> Column:
    title = table.columns[index]
    cells = [row[index] for row in table.rows]
    texts = [title, *(cell.text for cell in cells)]
    longest_word = max(len(word) for text in texts for word in text.split())
    digits = max((_digits(cell) for cell in cells if cell.value is not None), default=0)
    least = max(min(len(title), HEADING), min(longest_word, WIDEST))
    return Column(title, least + ARROW, digits)


def _digits(cell: Cell) -> int:
    """Returns the characters before the decimal point, with the sign."""
    whole = re.match(r"[+−]?\d+", cell.text)
    return 0 if whole is None else len(whole[0])


def breakable(text: str) -> Markup:
    """Returns the text with <wbr> in its long words, where a line may break.

    >>> breakable("gaussian-mask (kappa=0.3)")
    Markup('gaussian-mask (kappa=0.3)')
    >>> breakable("my.module:Scheme(rate=0.125)")
    Markup('my.<wbr>module:<wbr>Scheme(rate=<wbr>0.125)')
    """
    return Markup(" ").join(map(_breakable_word, text.split(" ")))


def _breakable_word(word: str) -> Markup:
    if len(word) <= LONG_WORD:
        return escape(word)
    return Markup("<wbr>").join(BREAKABLE.split(word))


def unbroken(text: str) -> str:
    """Returns the text with no-break spaces inside its numbers.

    >>> unbroken("difference −0.027 ± 0.044, 59.0 % ([51.7, 66.0])").replace("\\xa0", "~")
    'difference −0.027~±~0.044, 59.0~% ([51.7,~66.0])'
    >>> unbroken("ε ≤ 8.00").replace("\\xa0", "~")
    'ε~≤~8.00'
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
    """Returns the figure as an SVG element with ids that are unique on the page.

    Ids without a reference are removed, and so are metadata and comments, which repeat text of the
    data.
    """
    svg = re.sub(r"(?s)<!--.*?-->|<metadata>.*?</metadata>", "", drawing.svg(prefix))
    own = f"{prefix}-{drawing.name}-"
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))

    def rename(match: re.Match[str]) -> str:
        return f' id="{own}{match[1]}"' if match[1] in used else ""

    svg = re.sub(r' id="([^"]+)"', rename, svg)
    return Markup(re.sub(r'(href="|url\()#', rf"\g<1>#{own}", svg))
