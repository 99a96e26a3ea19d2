"""How claims on a phase are judged: from the rows of its runs or models, none of which may have diverged unasked."""

from collections.abc import Callable
from typing import Literal

from mgaudit.papers.claim import Data, Measured, NotRun, Row

Judge = Callable[[list[Row]], Measured]


def phase_check(
    condition: Row, judge: Judge, diverged: Callable[[Row], bool], of: Literal["runs", "models"]
) -> Callable[[Data], Measured | NotRun]:
    """Returns the check of a claim on the rows that hold what `condition` holds, their phase among it.

    Where some `diverged`, in a phase that should not, their share decides and the claim fails.
    """

    def check(data: Data) -> Measured | NotRun:
        rows = [row for row in data["runs"] if condition.items() <= row.items()]
        if not rows:
            return NotRun(f"the settings have no {of} in the {condition['phase']} phase")
        ended = sum(map(diverged, rows))
        if ended and condition["phase"] != "divergence":
            return Measured(f"share of {of} that diverged, where none should", ended / len(rows), at_most=0.0)
        return judge(rows)

    return check


def numbers(rows: list[Row], column: str) -> list[float]:
    """Returns the column of the rows."""
    return [float(row[column]) for row in rows]
