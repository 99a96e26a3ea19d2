"""The rules of the verdict: from simultaneous intervals to an outcome.

The rules are applied in order, and the first one that applies decides. Every outcome but
"undecided" is a statement that the intervals prove: a difference that is not significant is never
reported as no difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mgaudit.reports.arm_verdict import Combined, Outcome, Sign
from mgaudit.reports.record import Estimate

LOWER_AVERAGE: Combined = "mixed: lower average risk, higher risk of the most exposed examples"
HIGHER_AVERAGE: Combined = "mixed: higher average risk, lower risk of the most exposed examples"
DIRECTIONS: Mapping[Outcome, Sign] = {
    "protects": -1,
    "protects, by an uncertain amount": -1,
    "exposes more": 1,
    "exposes more, by an uncertain amount": 1,
    "leaks": 1,
    "leaks, by an uncertain amount": 1,
}
UNQUALIFIED: tuple[Outcome, ...] = ("protects", "exposes more", "leaks")


@dataclass(frozen=True)
class Contrasts:
    """The intervals that the rules read for an arm and the plain arm.

    With m the smallest difference that matters, `change` is arm - plain, `above_lower` is arm -
    (plain - m), and `above_upper` is arm - (plain + m). For a TPR, m is a fraction r of the plain
    arm's TPR, so they are arm - plain, arm - (1 - r) plain and arm - (1 + r) plain. `own` and
    `plain` are the values of the arm and of the plain arm minus chance, and `least_leak` is the
    excess over chance below which there is nothing to protect.
    """

    own: Estimate
    plain: Estimate
    change: Estimate
    above_lower: Estimate
    above_upper: Estimate
    least_leak: float


def compared_outcome(contrasts: Contrasts) -> Outcome:
    """Returns the outcome for one metric of an arm, compared with the plain arm."""
    change = contrasts.change
    if max(contrasts.own.high, contrasts.plain.high) < contrasts.least_leak:
        return "nothing to protect"
    if contrasts.above_lower.low > 0 and contrasts.above_upper.high < 0:
        return "no difference that matters"
    if contrasts.above_upper.low >= 0:
        return "exposes more"
    if change.low > 0:
        return "exposes more, by an uncertain amount"
    if contrasts.above_lower.high <= 0:
        return "protects"
    if change.high < 0:
        return "protects, by an uncertain amount"
    return "undecided"


def chance_outcome(excess: Estimate, margin: float) -> Outcome:
    """Returns the outcome for one metric of an arm without a plain arm.

    `excess` is the metric minus its value for an attack that guesses, and `margin` the smallest
    excess that matters.
    """
    if excess.low >= margin:
        return "leaks"
    if excess.high < margin:
        return "no leak that matters"
    if excess.low > 0:
        return "leaks, by an uncertain amount"
    return "undecided"


def combined_outcome(auc: Outcome, tpr: Outcome | None) -> Combined:
    """Returns the outcome for AUC and TPR together; the TPR's is None if it is not measured.

    The AUC speaks of the average risk, the TPR at a low FPR of the most exposed examples. An arm
    protects without a qualification only if both metrics say so.
    """
    if tpr is None:
        return "protects on average" if auc == "protects" else auc
    if auc == tpr:
        return auc
    if "leak" in f"{auc} {tpr}":
        return _either_leak(auc, tpr)
    return _compared_together(auc, tpr)


def _compared_together(auc: Outcome, tpr: Outcome) -> Combined:
    """Returns the outcome of two that differ, both in comparison with the plain arm."""
    of_auc, of_tpr = DIRECTIONS.get(auc, 0), DIRECTIONS.get(tpr, 0)
    if of_auc * of_tpr < 0:
        return LOWER_AVERAGE if of_auc < 0 else HIGHER_AVERAGE
    if of_auc and of_tpr:
        return (
            "protects, by an uncertain amount"
            if of_auc < 0
            else "exposes more, by an uncertain amount"
        )
    if of_auc:
        return "protects on average" if of_auc < 0 else "exposes more on average"
    if of_tpr < 0:
        return "protects the most exposed examples"
    if of_tpr > 0:
        return "exposes the most exposed examples more"
    if "undecided" in (auc, tpr):
        return "undecided"
    return "no difference that matters"


def _either_leak(auc: Outcome, tpr: Outcome) -> Combined:
    """Returns the outcome of two that differ, both in comparison with chance: the graver one."""
    order: tuple[Outcome, ...] = ("leaks", "leaks, by an uncertain amount", "undecided")
    return next(outcome for outcome in order if outcome in (auc, tpr))


def leaves_open(through_noise: Outcome, first: Outcome) -> bool:
    """Returns whether an attack through the noise does not confirm that the noise protects."""
    if DIRECTIONS.get(first, 0) >= 0 or through_noise == "nothing to protect":
        return False
    return DIRECTIONS.get(through_noise, 0) >= 0


def contradicts(other: Outcome, first: Outcome) -> bool:
    """Returns whether the outcome by another attack contradicts that by the first attack.

    An effect by an uncertain amount does not contradict that no difference or leak matters, and an
    outcome in the same direction does not contradict. "no leak that matters" by a weaker attack
    never contradicts a leak.
    """
    direction = DIRECTIONS.get(other, 0)
    if direction == 0 or direction == DIRECTIONS.get(first, 0):
        return False
    if first in ("no difference that matters", "no leak that matters"):
        return other in UNQUALIFIED
    return True
