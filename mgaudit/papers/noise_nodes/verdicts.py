"""How claims on a phase are judged: from the rows of its runs or models, none of which may have diverged unasked."""

import math
from collections.abc import Callable
from typing import Literal

from mgaudit.papers.claim import Data, Measured, NotRun, Row
from mgaudit.papers.noise_nodes.chance import Interval

Judge = Callable[[list[Row]], Measured]


def phase_check(
    wanted: Row, judge: Judge, diverged: Callable[[Row], bool], of: Literal["runs", "models"]
) -> Callable[[Data], Measured | NotRun]:
    """Returns the check of a claim on the rows that hold what is `wanted`, their phase among it.

    Where some `diverged`, in a phase that should not, their share decides and the claim fails.
    """

    def check(data: Data) -> Measured | NotRun:
        rows = [row for row in data["runs"] if wanted.items() <= row.items()]
        if not rows:
            return NotRun(f"the settings have no {of} in the {wanted['phase']} phase")
        ended = sum(map(diverged, rows))
        if ended and wanted["phase"] != "divergence":
            return Measured(f"share of {of} that diverged, where none should", ended / len(rows), at_most=0.0)
        return judge(rows)

    return check


def numbers(rows: list[Row], column: str) -> list[float]:
    """Returns the column of the rows."""
    return [float(row[column]) for row in rows]


def measured(quantity: str, found: Interval, at_least: float = -math.inf, at_most: float = math.inf) -> Measured:
    """Returns what an interval says of a quantity."""
    value, low, high = found
    return Measured(quantity, value, at_least, at_most, low, high)
