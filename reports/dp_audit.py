"""The result of an audit of DP-SGD with canaries, as a table and as a sentence."""

from typing import Any, Literal

from mgaudit.reports.ceiling import Ceiling
from mgaudit.reports.record import Record
from mgaudit.reports.results import Provenance
from mgaudit.reports.table import Cell, Table
from mgaudit.reports.tables import accounting, epsilon_at_least, epsilon_at_most, rounded_up
from mgaudit.reports.verdict import WHAT_AN_ALARM_MEANS
from mgaudit.reports.white_box import IMPLIED, WhiteBoxFacts, failures, not_done

Adversary = Literal["one-run", "white-box", "repeated"]

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
    about the coins of `canaries`, `correct` were right. `notes` are about the data.

    The adversary of one run sees the trained models. If all of its guesses were right, they would
    prove `epsilon_provable`; `bounds[0]` holds for every mechanism and is the one that `alarm`
    compares with the claim. The white-box adversary sees every step: `white_box` has its checks,
    which raise the alarm, and its bounds are implied ones. The adversary of repeated runs sees many
    trained models, each with or without one canary; `guesses` is their number, and it raises no
    alarm. `accuracy` is None where no test data were used. `ceiling` has what no attack exceeds if
    the claim holds; None without a finite claim and in results of earlier versions. `command` says
    how an audit of a training function of the user is repeated; "" for all others, which are
    repeated from their settings.
    """

    schema_version: Literal[2] = 2
    settings: dict[str, Any]
    label: str
    adversary: Adversary = "one-run"
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
    accuracy: float | None
    bounds: list[Bound]
    white_box: WhiteBoxFacts | None = None
    ceiling: Ceiling | None = None
    provenance: Provenance
    started: str
    seconds: float
    notes: tuple[str, ...] = ()
    command: str = ""

    @property
    def alarm(self) -> bool:
        """Whether a bound exceeds the claimed one, or a white-box check failed."""
        if self.white_box is not None:
            return bool(self.white_box.alarms)
        if self.adversary == "repeated":
            return False
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
    by = "claimed"
    if result.accountant:
        accountant = accounting(result.accountant, result.epsilon_prv, result.epsilon_pld)
        by = f"claimed ({accountant})"
    rows.append([Cell(by), Cell(claimed), Cell("the training procedure")])
    if result.epsilon_last_iterate is not None:
        heuristic = Cell(f"≈ {result.epsilon_last_iterate:.2f}")
        rows.append([Cell("last iterate (heuristic)"), heuristic, Cell(HEURISTIC)])
    note = {"one-run": _one_run_note, "white-box": _white_box_note, "repeated": _repeated_note}
    notes = [note[result.adversary](result)]
    return Table("bounds", f"ε of {result.label}", ["Method", "ε", "Statement about"], rows, notes)


def _one_run_note(result: DPAuditResult) -> str:
    return (
        f"{result.correct} of {result.guesses} guesses about {result.canaries} coins were correct. "
        "If all guesses were correct, they would prove ε ≥ "
        f"{epsilon_at_least(result.epsilon_provable)} in one run. All bounds are at δ = "
        f"{rounded_up(result.delta)}, and each bound holds with "
        f"{(1 - result.significance) * 100:g} % confidence.{_accuracy(result)}"
    )


def _white_box_note(result: DPAuditResult) -> str:
    return (
        f"{result.correct:,} of {result.guesses:,} guesses about coins were correct. All bounds "
        f"are at δ = {rounded_up(result.delta)}, and each holds with "
        f"{(1 - result.significance) * 100:g} % confidence. {IMPLIED}{_accuracy(result)}"
    )


def _repeated_note(result: DPAuditResult) -> str:
    return (
        f"{result.guesses:,} trainings of the last layer from the same start, half of them with "
        "one mislabelled example more, on all examples in each step. Half of the trainings chose "
        "the threshold, and the others gave the bounds. If both kinds were told apart without an "
        f"error, they would prove ε ≥ {epsilon_at_least(result.epsilon_provable)}. All bounds "
        f"are at δ = {rounded_up(result.delta)}, and each holds with "
        f"{(1 - result.significance) * 100:g} % confidence."
    )


def _accuracy(result: DPAuditResult) -> str:
    if result.accuracy is None:
        return ""
    return f" The test accuracy is {result.accuracy * 100:.1f} %."


def finding(result: DPAuditResult) -> str:
    """Returns the finding in one sentence."""
    if result.white_box is not None:
        return _white_box_finding(result, result.white_box)
    if result.adversary == "repeated":
        return _repeated_finding(result)
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


def _white_box_finding(result: DPAuditResult, facts: WhiteBoxFacts) -> str:
    """Returns the finding of the white-box adversary in one or two sentences."""
    at_delta = f"at δ = {rounded_up(result.delta)}"
    claimed = (
        "No finite ε is claimed"
        if result.epsilon_claimed is None
        else f"ε ≤ {epsilon_at_most(result.epsilon_claimed)} {at_delta} is claimed"
    )
    if facts.alarms:
        return f"Alarm: {claimed}, but {failures(facts)}. {WHAT_AN_ALARM_MEANS}"
    implied = epsilon_at_least(result.bounds[0].epsilon)
    left_out = not_done(facts)
    checked = (
        f"and the checks that were done passed, without these: {left_out}"
        if left_out
        else "and all checks of noise, clipping and sampling passed"
    )
    return (
        f"No alarm: {claimed}, {checked}. The canaries imply ε ≥ {implied}; errors of the noise "
        "that are smaller than this gap would not show in the bound."
    )


def _repeated_finding(result: DPAuditResult) -> str:
    """Returns the finding of the adversary of repeated runs in one or two sentences."""
    at_delta = f"at δ = {rounded_up(result.delta)}"
    proved, gaussian = (epsilon_at_least(bound.epsilon) for bound in result.bounds)
    claimed = (
        "no finite ε is claimed"
        if result.epsilon_claimed is None
        else f"ε ≤ {epsilon_at_most(result.epsilon_claimed)} is claimed"
    )
    return (
        f"The trainings prove ε ≥ {proved}, and ε ≥ {gaussian} if the trade-off curve is Gaussian; "
        f"{claimed}, all {at_delta}. Bounds of repeated runs are not used for alarms."
    )
