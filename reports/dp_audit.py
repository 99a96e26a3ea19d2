"""The result of an audit of DP-SGD with canaries, its table and its finding."""

from typing import Any, Literal

from mgaudit.reports.record import Record
from mgaudit.reports.results import Provenance
from mgaudit.reports.table import Cell, Table
from mgaudit.reports.tables import epsilon_at_least, epsilon_at_most, rounded_up
from mgaudit.reports.verdict import WHAT_AN_ALARM_MEANS

DP_AUDIT_FILE = "dp-audit.json"


class Bound(Record):
    """A lower bound on epsilon (nats), the method behind it, and of what it speaks."""

    method: str
    epsilon: float
    speaks_of: str


class DPAuditResult(Record):
    """Lower bounds beside what the accountant claims.

    `epsilon_claimed` (nats) is None where nothing finite is claimed. `correct` of the `guesses` about `canaries` coins
    were right; if all were, they would prove `epsilon_provable`. `bounds[0]` holds for every mechanism and is the one
    that may raise the alarm.
    """

    schema_version: Literal[1] = 1
    settings: dict[str, Any]
    label: str
    epsilon_claimed: float | None
    delta: float
    significance: float
    canaries: int
    guesses: int
    correct: int
    epsilon_provable: float
    test_accuracy: float
    bounds: list[Bound]
    provenance: Provenance
    started: str
    seconds: float

    @property
    def alarm(self) -> bool:
        """Whether more is proved to leak than is claimed possible."""
        return self.epsilon_claimed is not None and self.bounds[0].epsilon > self.epsilon_claimed


def bounds_table(result: DPAuditResult) -> Table:
    """Returns a row for each bound, and one for the claim."""
    rows = [
        [Cell(bound.method), Cell(f"≥ {epsilon_at_least(bound.epsilon)}"), Cell(bound.speaks_of)]
        for bound in result.bounds
    ]
    claimed = (
        "none" if result.epsilon_claimed is None else f"≤ {epsilon_at_most(result.epsilon_claimed)}"
    )
    rows.append([Cell("claimed (PRV accountant)"), Cell(claimed), Cell("the training procedure")])
    notes = [
        f"{result.correct} of {result.guesses} guesses about {result.canaries} coins were right; all of them would "
        f"prove {epsilon_at_least(result.epsilon_provable)} in one run. "
        f"δ = {rounded_up(result.delta)}; each bound holds with {(1 - result.significance) * 100:g} % confidence. "
        f"Test accuracy {result.test_accuracy * 100:.1f} %."
    ]
    return Table("bounds", f"ε of {result.label}", ["Method", "ε", "Speaks of"], rows, notes)


def finding(result: DPAuditResult) -> str:
    """Returns the finding in one sentence."""
    best = epsilon_at_least(result.bounds[0].epsilon)
    nothing = result.bounds[0].epsilon == 0
    if result.epsilon_claimed is None:
        if nothing:
            return "No finite ε is claimed, and the guesses prove nothing."
        return (
            f"No finite ε is claimed, and ε ≥ {best} at δ = {rounded_up(result.delta)} is proved."
        )
    claimed = epsilon_at_most(result.epsilon_claimed)
    if result.alarm:
        return f"Alarm: ε ≤ {claimed} is claimed, but ε ≥ {best} is proved. {WHAT_AN_ALARM_MEANS}"
    found = "the guesses prove nothing" if nothing else f"ε ≥ {best} is proved"
    if result.epsilon_provable <= result.epsilon_claimed:
        return (
            f"No alarm was possible: ε ≤ {claimed} is claimed, and these guesses could prove "
            f"{epsilon_at_least(result.epsilon_provable)} at most ({found}). Audit a smaller ε, or give more canaries, "
            "models or guesses."
        )
    return f"No alarm: ε ≤ {claimed} is claimed, and {found}."
