"""Checks of claims about a phase, from the rows of its runs or models."""

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
    """Returns the check of a claim on the rows that match `condition`, which includes their phase.

    If `diverged` is true of a row in another phase than divergence, the check returns the share of
    such rows, and the claim fails. `of` is the word for the rows in messages.
    """

    def check(data: Data) -> Measured | NotRun:
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
