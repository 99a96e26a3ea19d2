"""Checks of claims about a phase of training, from the rows of its runs or models.

A phase is one of "decoupled", "decay", "catapult" and "divergence" (`mgaudit.theory.noise_nodes`).
A judge computes the number that decides a claim from rows, one for each run or model.
"""

from collections.abc import Callable
from typing import Literal

from mgaudit.papers.claim import Data, Measured, NotRun, Row
from mgaudit.papers.rows import matching

Judge = Callable[[list[Row]], Measured]


def phase_check(
    condition: Row,
    judge: Judge,
    diverged: Callable[[Row], bool],
    of: Literal["runs", "models"],
) -> Callable[[Data], Measured | NotRun]:
    """Returns the check that applies `judge` to the rows of the table "runs" matching `condition`.

    `condition` maps the column "phase" and further columns to their values. `diverged` tells
    whether the run of a row diverged. If one did in a phase other than "divergence", the check
    returns the share of such rows, with which the claim does not hold. `of` is the word for the
    rows in messages.
    """

    def check(data: Data) -> Measured | NotRun:
        """Returns the result of `judge`, or NotRun if no row matches."""
        phase = condition["phase"]
        rows = matching(data["runs"], **condition)
        if not rows:
            return NotRun(f"the settings have no {of} in the {phase} phase")
        count = sum(map(diverged, rows))
        if count and phase != "divergence":
            quantity = f"share of {of} that diverged, where none should"
            return Measured(quantity, count / len(rows), at_most=0.0)
        return judge(rows)

    return check
