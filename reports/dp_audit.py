"""The result of an audit of DP-SGD with canaries, as a table and as a sentence."""

from typing import Any, Literal

from mgaudit.reports.record import Record
from mgaudit.reports.results import Provenance
from mgaudit.reports.table import Cell, Table
from mgaudit.reports.tables import accounting, epsilon_at_least, epsilon_at_most, rounded_up
from mgaudit.reports.verdict import WHAT_AN_ALARM_MEANS

HEURISTIC = "the final weights, if the loss were linear; not a bound"


class Bound(Record):
    """A lower bound on epsilon (nats) and its method; `speaks_of` says what it is a bound for."""

    method: str
    epsilon: float
    speaks_of: str


class DPAuditResult(Record):
    """Lower bounds beside the accountant's upper bound.

    `epsilon_claimed` (nats) is None if no finite bound is claimed. It is the least bound, that of
    `accountant`; `epsilon_prv` and `epsilon_pld` are the bounds by PRV and PLD, None where there is
    none and in results of earlier versions, whose bound is by PRV. `epsilon_last_iterate` is a
    heuristic (Steinke et al. 2024), not a bound; None where it was not requested. Of the `guesses`
    about the coins of `canaries`, `correct` were right; if all were, they would prove
    `epsilon_provable`.
    `bounds[0]` holds for every mechanism and is the one that `alarm` compares with the claim.
    `notes` are about the data.
    """

    schema_version: Literal[2] = 2
    settings: dict[str, Any]
    label: str
    epsilon_claimed: float | None
    epsilon_prv: float | None = None
    epsilon_pld: float | None = None
    accountant: str = "PRV"
    epsilon_last_iterate: float | None = None
    delta: float
    significance: float
    canaries: int
    guesses: int
    correct: int
    epsilon_provable: float
    accuracy: float
    bounds: list[Bound]
    provenance: Provenance
    started: str
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def alarm(self) -> bool:
        """Whether the proved privacy loss exceeds the claimed bound."""
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
    accountant = accounting(result.accountant, result.epsilon_prv, result.epsilon_pld)
    rows.append([Cell(f"claimed ({accountant})"), Cell(claimed), Cell("the training procedure")])
    if result.epsilon_last_iterate is not None:
        heuristic = Cell(f"≈ {result.epsilon_last_iterate:.2f}")
        rows.append([Cell("last iterate (heuristic)"), heuristic, Cell(HEURISTIC)])
    notes = [
        f"{result.correct} of {result.guesses} guesses about {result.canaries} coins were correct. "
        "If all guesses were correct, they would prove ε ≥ "
        f"{epsilon_at_least(result.epsilon_provable)} in one run. All bounds are at δ = "
        f"{rounded_up(result.delta)}, and each bound holds with "
        f"{(1 - result.significance) * 100:g} % confidence. The test accuracy is "
        f"{result.accuracy * 100:.1f} %."
    ]
    return Table("bounds", f"ε of {result.label}", ["Method", "ε", "Statement about"], rows, notes)


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
    at_delta = f"at δ = {rounded_up(result.delta)}"
    if result.alarm:
        return (
            f"Alarm: ε ≤ {claimed} is claimed, but ε ≥ {best} is proved, both {at_delta}. "
            f"{WHAT_AN_ALARM_MEANS}"
        )
    proved = "the guesses prove nothing" if nothing else f"ε ≥ {best} is proved"
    if result.epsilon_provable <= result.epsilon_claimed:
        provable = epsilon_at_least(result.epsilon_provable)
        return (
            f"No alarm was possible: ε ≤ {claimed} is claimed, and these guesses could prove at "
            f"most ε ≥ {provable} ({proved}), all {at_delta}. Audit a smaller ε, or use more "
            "canaries, models or guesses."
        )
    return f"No alarm: ε ≤ {claimed} is claimed, and {proved}, {at_delta}."
