"""The report on a paper: verdicts first, then each figure with its claims, its settings and its time."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from mgaudit.reports.claims import claims_table, summary, table_of_claims
from mgaudit.reports.document import Chapter, Document
from mgaudit.reports.figures.drawing import Drawing, Row
from mgaudit.reports.reproduction import FigureResult, PaperResult
from mgaudit.reports.section import Block, Facts, Listing, Section, Words

HOW_JUDGED = (
    "A claim holds where its whole 95 % interval, or a number without chance in it, lies within what the claim allows. "
    "Where the interval reaches outside it does not hold: we did not see it, which need not mean that it is false. "
    "Intervals are for each claim alone."
)


def paper_document(result: PaperResult, figures: Mapping[str, Figure]) -> Document:
    """Returns the report of a paper; `figures` holds those that were drawn, by their keys."""
    sections = [Section("claims", "Claims", [claims_table(result), Words([HOW_JUDGED])])]
    sections += [_section(figure, figures.get(figure.key)) for figure in result.figures]
    version = result.versions.get("mgaudit", "of unknown version")
    return Document(
        title=f"Reproduction: {result.title}",
        byline=f"{result.started[:10]} · {result.scale} · mgaudit {version}",
        note=f"{result.source}, made again with our own code. Statements are in our words.",
        overview=[],
        chapters=[Chapter("paper", "", result.about, [summary(result)], sections)],
        closing=[
            Section(
                "again",
                "Run it again",
                [
                    Listing(result.command),
                    Facts(
                        [
                            ("Settings", f"{result.scale}, as below each figure"),
                            ("Time", f"{result.seconds:.0f} s"),
                            ("Processor", result.processor),
                            ("Versions", ", ".join(f"{name} {one}" for name, one in result.versions.items())),
                        ]
                    ),
                ],
            )
        ],
    )


def _section(figure: FigureResult, drawn: Figure | None) -> Section:
    blocks: list[Block] = [Words([figure.about])]
    if drawn is not None:
        caption = figure.title if figure.title.endswith((".", "?")) else f"{figure.title}."
        blocks.append(Drawing(figure.key, lambda: drawn, caption, figure.description, _rows(figure)))
    blocks.append(
        table_of_claims(f"{figure.key}-claims", f"Claims of {figure.key}", [("", claim) for claim in figure.claims])
    )
    settings = [(name.replace("_", " "), _told(value)) for name, value in figure.settings.items()]
    blocks.append(Facts([*settings, ("time", f"{figure.seconds:.1f} s")]))
    return Section(figure.key, figure.title, blocks)


def _rows(figure: FigureResult) -> list[Row]:
    """Returns the numbers of all tables as rows of one, a column saying which table; what is not finite is empty."""
    return [
        {"table": name, **{key: "" if value is None else value for key, value in row.items()}}
        for name, rows in figure.data.items()
        for row in rows
    ]


def _told(value: object) -> str:
    if value is None:
        return "all"
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
