"""The claims of a paper: the measured value, the allowed range and the verdict."""

import math

from mgaudit.reports.reproduction import VERDICTS, ClaimResult, PaperResult
from mgaudit.reports.table import Cell, Table

MOST_NAMED = 8
AFTER_LOOKING = "* Changed after looking: what is measured, or the allowed range."
# Of each verdict, the verb for one claim and for several.
VERBS = {
    "holds": ("holds", "hold"),
    "does not hold": ("does not hold", "do not hold"),
    "not run here": ("was not run here", "were not run here"),
}


def summary(result: PaperResult) -> str:
    """Returns how many of the claims hold, and which do not."""
    counts = ", ".join(_count(verdict, result.count_claims(verdict)) for verdict in VERDICTS)
    claims = len(result.claims)
    noun = "claim" if claims == 1 else "claims"
    text = f"Of {claims} {noun}, {counts}."
    failing = [claim for claim in result.claims if claim.verdict == "does not hold"]
    if not failing:
        return text
    names = ", ".join(f"{claim.key} ({claim.place})" for claim in failing[:MOST_NAMED])
    if len(failing) > MOST_NAMED:
        names += f" and {len(failing) - MOST_NAMED} more, in the table"
    return f"{text} In our experiments, these claims do not hold: {names}."


def _count(verdict: str, count: int) -> str:
    singular, plural = VERBS[verdict]
    return f"{count} {singular if count == 1 else plural}"


def claims_table(result: PaperResult) -> Table:
    """Returns all claims of a paper: statement, measured value, allowed range and verdict."""
    claims = [(figure.key, claim) for figure in result.figures for claim in figure.claims]
    return table_of_claims("claims", "Claims", claims)


def coverage_table(result: PaperResult) -> Table:
    """Returns the numbered figures and theorems of a paper, and how far each is reproduced."""
    rows = [
        [
            Cell(f"{one.item}: {one.about}"),
            Cell(one.extent),
            Cell(", ".join(one.figures) or "–"),
            Cell(one.why or "–"),
        ]
        for one in result.coverage
    ]
    columns = ["In the paper", "Reproduced", "Our figures", "What is missing, and why"]
    return Table("coverage", "Figures and theorems of the paper", columns, rows)


def multiplicity(result: PaperResult) -> str:
    """Returns how many claims have an interval, and what that means for all claims together.

    The interval of a claim that is false lies within the allowed range with a probability of at
    most 2.5 %: the true value is then beyond one end of the range.
    """
    tested = [claim for claim in result.claims if claim.low is not None]
    if not tested:
        return "No claim has an interval."
    expected = len(tested) * 0.025
    noun = "claim has" if len(tested) == 1 else "claims have"
    return (
        f"{len(tested)} {noun} an interval. Intervals are not corrected for the number of claims: "
        "a false claim holds by chance with a probability of at most 2.5 %, so that of "
        f"{len(tested)} false claims up to {expected:.2g} would hold."
    )


def verdicts_table(result: PaperResult) -> Table:
    """Returns the claims in short, for a terminal: by name, without their statements."""
    rows = []
    for figure in result.figures:
        for claim in figure.claims:
            name = Cell(f"{figure.key}/{claim.key}")
            allowed = _allowed_cell(claim)
            rows.append([name, measured_cell(claim), allowed, Cell(claim.verdict)])
    notes = [AFTER_LOOKING] if any(claim.after_looking for claim in result.claims) else []
    return Table("verdicts", "", ["Claim", "Measured", "Allowed", "Verdict"], rows, notes)


def table_of_claims(key: str, caption: str, claims: list[tuple[str, ClaimResult]]) -> Table:
    """Returns claims as a table.

    `claims` holds pairs of a figure's name and a claim; the names may all be empty.
    """
    with_figure = any(figure for figure, _ in claims)
    columns = ["Claim (where)", "What was measured", "Measured", "Allowed", "Verdict"]
    rows = [_claim_cells(claim) for _, claim in claims]
    if with_figure:
        columns = ["Figure", *columns]
        rows = [[Cell(figure), *cells] for (figure, _), cells in zip(claims, rows, strict=True)]
    notes = [AFTER_LOOKING] if any(claim.after_looking for _, claim in claims) else []
    return Table(key, caption, columns, rows, notes)


def _claim_cells(claim: ClaimResult) -> list[Cell]:
    return [
        Cell(f"{claim.statement} ({claim.place})"),
        Cell(claim.quantity or claim.why),
        measured_cell(claim),
        _allowed_cell(claim),
        Cell(claim.verdict),
    ]


def _allowed_cell(claim: ClaimResult) -> Cell:
    return Cell(allowed_range(claim), mark="*" if claim.after_looking else "")


def measured_cell(claim: ClaimResult) -> Cell:
    """Returns the measured value with its interval, to two digits of the half width.

    >>> shared = {"key": "k", "statement": "s", "place": "p", "verdict": "holds"}
    >>> str(measured_cell(ClaimResult(**shared, value=1.0021, low=1.0011, high=1.0032)))
    '1.0021 [1.0011, 1.0032]'
    """
    if claim.value is None:
        return Cell("–")
    if claim.low is None or claim.high is None or claim.high == claim.low:
        return Cell(_number(claim.value), value=claim.value)
    half = (claim.high - claim.low) / 2
    decimals = max(0, min(12, 1 - math.floor(math.log10(half))))
    value, low, high = (
        f"{number:.{decimals}f}".replace("-", "−")
        for number in (claim.value, claim.low, claim.high)
    )
    return Cell(value, f"[{low}, {high}]", value=claim.value)


def allowed_range(claim: ClaimResult) -> str:
    """Returns the values that a claim allows.

    >>> shared = {"key": "k", "statement": "s", "place": "p", "verdict": "holds"}
    >>> allowed_range(ClaimResult(**shared, value=0.02, at_most=0.1))
    '≤ 0.1'
    """
    low, high = claim.at_least, claim.at_most
    if low is None:
        return "–" if high is None else f"≤ {_number(high)}"
    if high is None:
        return f"≥ {_number(low)}"
    if low == high:
        return f"= {_number(low)}"
    return f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    """Returns a number with four significant digits at most.

    >>> _number(-0.012345), _number(12345.6), _number(0.0), _number(1.00149)
    ('−0.01235', '1.235e+04', '0', '1.001')
    """
    return f"{value:.4g}".replace("-", "−")
