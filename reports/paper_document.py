"""The report on a paper: verdicts first, then each figure with its claims, its settings and its time."""

import math
from collections.abc import Mapping

from matplotlib.figure import Figure

from mgaudit.reports.document import Chapter, Document
from mgaudit.reports.figures.drawing import Drawing, Row
from mgaudit.reports.reproduction import VERDICTS, ClaimResult, FigureResult, PaperResult
from mgaudit.reports.section import Block, Facts, Listing, Section, Words
from mgaudit.reports.table import Cell, Table

MOST_NAMED = 8
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


def summary(result: PaperResult) -> str:
    """Returns how many of the claims hold, and which do not."""
    counts = ", ".join(
        f"{result.count_claims(verdict)} {_verb(verdict, result.count_claims(verdict))}" for verdict in VERDICTS
    )
    failing = [f"{claim.key} ({claim.place})" for claim in result.claims if claim.verdict == "does not hold"]
    number = len(result.claims)
    told = f"Of {number} {'claim' if number == 1 else 'claims'} {counts}."
    if not failing:
        return told
    more = len(failing) - MOST_NAMED
    named = ", ".join(failing[:MOST_NAMED]) + (f" and {more} more, in the table" if more > 0 else "")
    return f"{told} In our hands these do not hold: {named}."


def _verb(verdict: str, count: int) -> str:
    if verdict == "not run here":
        return "was not run here" if count == 1 else "were not run here"
    if verdict == "does not hold":
        return "does not hold" if count == 1 else "do not hold"
    return "holds" if count == 1 else "hold"


def claims_table(result: PaperResult) -> Table:
    """Returns all claims of a paper: statement, what was measured, what is allowed, verdict."""
    return _table("claims", "Claims", [(figure.key, claim) for figure in result.figures for claim in figure.claims])


def verdicts_table(result: PaperResult) -> Table:
    """Returns the same in short, for a terminal: the names of the claims stand for their statements."""
    rows = [
        [Cell(f"{figure.key}/{claim.key}"), measured_cell(claim), Cell(allowed_range(claim)), Cell(claim.verdict)]
        for figure in result.figures
        for claim in figure.claims
    ]
    return Table("verdicts", "", ["Claim", "Measured", "Allowed", "Verdict"], rows)


def _section(figure: FigureResult, drawn: Figure | None) -> Section:
    blocks: list[Block] = [Words([figure.about])]
    if drawn is not None:
        caption = figure.title if figure.title.endswith((".", "?")) else f"{figure.title}."
        blocks.append(Drawing(figure.key, lambda: drawn, caption, figure.description, _rows(figure)))
    blocks.append(_table(f"{figure.key}-claims", f"Claims of {figure.key}", [("", claim) for claim in figure.claims]))
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


def _table(key: str, caption: str, claims: list[tuple[str, ClaimResult]]) -> Table:
    several = any(figure for figure, _ in claims)
    rows = [
        [
            *([Cell(figure)] if several else []),
            Cell(f"{claim.statement} ({claim.place})"),
            Cell(claim.quantity or claim.why),
            measured_cell(claim),
            Cell(allowed_range(claim)),
            Cell(claim.verdict),
        ]
        for figure, claim in claims
    ]
    columns = ["Claim (where)", "What was measured", "Measured", "Allowed", "Verdict"]
    return Table(key, caption, [*(["Figure"] if several else []), *columns], rows)


def measured_cell(claim: ClaimResult) -> Cell:
    """Returns the number that decided a claim with its interval, to two digits of the interval's half width.

    >>> held = ClaimResult(key="k", statement="s", place="p", verdict="holds", value=1.0021, low=1.0011, high=1.0032)
    >>> str(measured_cell(held))
    '1.0021 [1.0011, 1.0032]'
    """
    if claim.value is None:
        return Cell("–")
    if claim.low is None or claim.high is None or claim.high == claim.low:
        return Cell(_number(claim.value), value=claim.value)
    half = (claim.high - claim.low) / 2
    decimals = max(0, min(12, 1 - math.floor(math.log10(half))))
    value, low, high = (f"{one:.{decimals}f}".replace("-", "−") for one in (claim.value, claim.low, claim.high))
    return Cell(value, f"[{low}, {high}]", value=claim.value)


def allowed_range(claim: ClaimResult) -> str:
    """Returns the values that a claim allows.

    >>> allowed_range(ClaimResult(key="k", statement="s", place="p", verdict="holds", value=0.02, at_most=0.1))
    '≤ 0.1'
    """
    low, high = claim.at_least, claim.at_most
    if low is None:
        return "–" if high is None else f"≤ {_number(high)}"
    if high is None:
        return f"≥ {_number(low)}"
    return f"= {_number(low)}" if low == high else f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    """Returns a number with four significant digits at most.

    >>> _number(-0.012345), _number(12345.6), _number(0.0), _number(1.00149)
    ('−0.01235', '1.235e+04', '0', '1.001')
    """
    return f"{value:.4g}".replace("-", "−")


def _told(value: object) -> str:
    if value is None:
        return "all"
    if isinstance(value, list | tuple):
        return ", ".join(map(_told, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
