"""The claims of a paper: what was measured, what is allowed, and the verdict."""

import math

from mgaudit.reports.reproduction import VERDICTS, ClaimResult, PaperResult
from mgaudit.reports.table import Cell, Table

MOST_NAMED = 8


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
    return table_of_claims(
        "claims", "Claims", [(figure.key, claim) for figure in result.figures for claim in figure.claims]
    )


def verdicts_table(result: PaperResult) -> Table:
    """Returns the same in short, for a terminal: the names of the claims stand for their statements."""
    rows = [
        [Cell(f"{figure.key}/{claim.key}"), measured_cell(claim), Cell(allowed_range(claim)), Cell(claim.verdict)]
        for figure in result.figures
        for claim in figure.claims
    ]
    return Table("verdicts", "", ["Claim", "Measured", "Allowed", "Verdict"], rows)


def table_of_claims(key: str, caption: str, claims: list[tuple[str, ClaimResult]]) -> Table:
    """Returns claims as a table; each has the name of its figure, or none of them has."""
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
