"""The report on a paper: verdicts first, then each figure with its claims, settings and time."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from mgaudit.reports.claims import (
    claims_table,
    coverage_table,
    multiplicity,
    summary,
    table_of_claims,
)
from mgaudit.reports.document import Chapter, Document
from mgaudit.reports.figures.drawing import Drawing, Row
from mgaudit.reports.reproduction import FigureResult, PaperResult
from mgaudit.reports.section import Block, Facts, Listing, Section, Words
from mgaudit.reports.short_paths import with_short_paths

HOW_JUDGED = (
    "A claim holds if its whole 95 % interval (or its value, for a deterministic number) lies "
    "within the allowed range. If the interval extends outside that range, the claim does not "
    "hold: we did not observe it, which does not show that it is false."
)


def paper_document(result: PaperResult, figures: Mapping[str, Figure]) -> Document:
    """Returns the report of a paper; `figures` holds the figures that were drawn, by their keys."""
    result = with_short_paths(result)
    how_judged = Words([HOW_JUDGED, multiplicity(result)])
    sections = [Section("claims", "Claims", [claims_table(result), how_judged])]
    if result.coverage:
        sections.append(Section("coverage", "What is reproduced", [coverage_table(result)]))
    measured = [_section(figure, figures.get(figure.key)) for figure in result.figures]
    chapter = Chapter("paper", "", result.about, [summary(result)], [*sections, *measured])
    version = result.versions.get("mgaudit", "of unknown version")
    return Document(
        title=f"Reproduction: {result.title}",
        byline=f"{result.started[:10]} · {result.scale} · mgaudit {version}",
        note=f"{result.source}, reproduced with our own code. Statements are paraphrased.",
        overview=[],
        chapters=[chapter],
        closing=[_run_again(result)],
    )


def _run_again(result: PaperResult) -> Section:
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    facts = [
        ("Settings", f"{result.scale}, as below each figure"),
        ("Time", f"{result.seconds:.0f} s"),
        ("Processor", result.processor),
        ("Versions", versions),
    ]
    return Section("again", "Run it again", [Listing(result.command), Facts(facts)])


def _section(figure: FigureResult, drawn: Figure | None) -> Section:
    blocks: list[Block] = [Words([figure.about])]
    if drawn is not None:
        blocks.append(_drawing(figure, drawn))
    claims = [("", claim) for claim in figure.claims]
    blocks.append(table_of_claims(f"{figure.key}-claims", f"Claims of {figure.key}", claims))
    blocks.append(_settings(figure))
    return Section(figure.key, figure.title, blocks)


def _drawing(figure: FigureResult, drawn: Figure) -> Drawing:
    is_sentence = figure.title.endswith((".", "?"))
    caption = figure.title if is_sentence else f"{figure.title}."
    return Drawing(figure.key, lambda: drawn, caption, figure.description, _rows(figure))


def _settings(figure: FigureResult) -> Facts:
    facts = [(name.replace("_", " "), _format(value)) for name, value in figure.settings.items()]
    return Facts([*facts, ("time", f"{figure.seconds:.1f} s")])


def _rows(figure: FigureResult) -> list[Row]:
    """Returns the rows of all tables, with the table's name as first column; None becomes empty."""
    rows: list[Row] = []
    for table, table_rows in figure.data.items():
        for row in table_rows:
            cells = {name: "" if value is None else value for name, value in row.items()}
            rows.append({"table": table, **cells})
    return rows


def _format(value: object) -> str:
    if value is None:
        return "all"
    if isinstance(value, list | tuple):
        return ", ".join(map(_format, value))
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
