"""What a white-box audit of DP-SGD found: its checks as a table, and its finding in a sentence."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from mgaudit.reports.record import Record
from mgaudit.reports.table import Cell, Table

FEWEST_SHOWN_P = 1e-4

IMPLIED = (
    "“Implied” means: the accountant's ε at the noise that the scores leave possible. It needs "
    "Gaussian noise that is independent over steps, Poisson sampling, a contribution of at most "
    "the clip norm, and an adversary who sees every step. It is no evidence on sampling or "
    "accounting."
)


@dataclass(frozen=True)
class CheckWords:
    """What a check compares, what it means if it fails, and whether no chance is in it."""

    compared: str
    failed: str
    deterministic: bool = False


# The names of the checks of `attacks.white_box_checks` in words.
CHECK_WORDS = {
    "canary-noise": CheckWords(
        "noise multiplier along the canaries", "the noise is smaller than claimed"
    ),
    "noise": CheckWords(
        "noise multiplier, least of all tensors",
        "the noise of some weights is smaller than claimed",
    ),
    "noise-of-a-step": CheckWords(
        "noise multiplier, least of all steps", "the noise of a step is smaller than claimed"
    ),
    "contribution": CheckWords(
        "contribution of a canary ÷ clip norm",
        "an example can change the sum by more than the clip norm",
    ),
    "clipped-sum": CheckWords(
        "excess along the clipped sum, z",
        "the sum is larger than that of clipped gradients",
    ),
    "successive-steps": CheckWords("correlation of noise, successive steps", "noise is used again"),
    "any-two-steps": CheckWords("correlation of noise, any two steps", "noise is used again"),
    "kurtosis": CheckWords("kurtosis of the noise", "the noise is not Gaussian"),
    "noise-against-batch-size": CheckWords(
        "correlation of noise and batch size",
        "the noise depends on the size of the batch, as after a division by it",
    ),
    "contribution-in-batch": CheckWords(
        "largest contribution of an example in a batch ÷ clip norm",
        "an example of a batch changes the sum by more than the clip norm",
        deterministic=True,
    ),
    "sample-rate": CheckWords("sampling rate", "examples are sampled more often than claimed"),
    "batch-sizes": CheckWords(
        "variance of batch sizes ÷ Poisson's", "batches are not Poisson samples"
    ),
    "inclusions": CheckWords(
        "variance of inclusions ÷ Poisson's",
        "batches are not Poisson samples",
    ),
}


class CheckResult(Record):
    """One check of what the claim assumes.

    `value` is None where the check does not apply to so few data, or to this optimizer. `alarm`
    states whether the p-value is below the check's share of the significance; that of a check
    without chance is 0 or 1.
    """

    name: str
    part: Literal["mechanism", "sampler"]
    value: float | None
    expected: float
    p_value: Annotated[float, Field(ge=0, le=1)]
    alarm: bool


class WhiteBoxFacts(Record):
    """The setting of a white-box audit, and its checks.

    `contribution` is that of a canary in units of the clip norm, with its interval. `noise_at_most`
    are the upper limits of the noise multiplier by the method of the bound that follows from it.
    `audits_clipping` states whether canaries entered before gradients are clipped. `by_steps` has
    the epsilon for all steps that the guesses of the first steps imply, by their number.
    """

    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    steps: int
    examples: int
    directions: int
    contribution: tuple[float, float, float]
    noise_at_most: dict[str, float | None]
    audits_clipping: bool
    checks: Annotated[list[CheckResult], Field(min_length=1)]
    by_steps: tuple[tuple[int, float], ...] = ()

    @property
    def alarms(self) -> list[CheckResult]:
        """The checks that failed."""
        return [check for check in self.checks if check.alarm]


def _signed(value: float) -> str:
    """Returns a number with four digits.

    >>> _signed(-0.05041), _signed(1.0)
    ('−0.05041', '1')
    """
    return ("−" if value < 0 else "") + f"{abs(value):.4g}"


def checks_table(facts: WhiteBoxFacts) -> Table:
    """Returns a row for each check."""
    rows = []
    for check in facts.checks:
        value = "–" if check.value is None else _signed(check.value)
        outcome = "not done" if check.value is None else "failed" if check.alarm else "passed"
        p_value = "" if check.value is None else _p_text(check)
        rows.append(
            [
                Cell(CHECK_WORDS[check.name].compared),
                Cell(value, value=check.value),
                Cell(f"{check.expected:.4g}", value=check.expected),
                Cell(p_value, value=check.p_value),
                Cell(outcome),
            ]
        )
    notes = [
        f"{facts.steps:,} steps with up to {facts.directions} canaries each, as often in as out. A "
        "check fails if its p-value is below its share of the significance: a quarter for the "
        "sampling rate, and equal shares of the rest for the others. A correct implementation "
        "fails any of them with at most the significance as probability."
    ]
    if any(CHECK_WORDS[check.name].deterministic for check in facts.checks):
        notes.append(
            "The contribution in a batch is computed without noise, by leaving out examples of one "
            "batch in turn. Chance plays no part in it: p is 0 if it exceeds the clip norm by more "
            "than rounding, else 1, and it has no share of the significance."
        )
    if not facts.audits_clipping:
        notes.append(
            "With ghost clipping the canaries enter after the gradients are clipped: the clipping "
            "is not audited. Use Opacus' hooks to audit it."
        )
    columns = ["Check", "Observed", "Claimed", "p", "Result"]
    return Table("checks", "Checks of the mechanism and of the sampler", columns, rows, notes)


def not_done(facts: WhiteBoxFacts) -> str:
    """Returns the checks that were not done, in words; "" if there are none."""
    names = [CHECK_WORDS[check.name].compared for check in facts.checks if check.value is None]
    return "; ".join(names)


def failures(facts: WhiteBoxFacts) -> str:
    """Returns what the failed checks mean, without a full stop; "" if none failed."""
    meanings = dict.fromkeys(CHECK_WORDS[check.name].failed for check in facts.alarms)
    return "; ".join(meanings)


def _p_text(check: CheckResult) -> str:
    if CHECK_WORDS[check.name].deterministic:
        return f"{check.p_value:g}"
    return f"< {FEWEST_SHOWN_P:g}" if check.p_value < FEWEST_SHOWN_P else f"{check.p_value:.2g}"
