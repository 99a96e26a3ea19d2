"""The Pareto front: the arms that no other arm beats in both accuracy and privacy.

An arm is one noise scheme of a study. A lower AUC of the attack means more privacy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mgaudit.analysis.numbers import CHANGE, Numbers, Quantity, accuracy_quantity
from mgaudit.reports.findings import FrontPoint
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult

SMALLEST_HALF_WIDTH = 1e-12  # so that an interval of width 0 does not divide by 0


@dataclass(frozen=True)
class _Lead:
    """The arm `leader` beats another arm: its test accuracy and AUC minus those of the other arm.

    A difference is None if fewer than three models converged in both arms.
    """

    leader: str
    accuracy: Estimate | None
    auc: Estimate | None

    @property
    def is_clear(self) -> bool:
        """Whether the leader is better in both, by differences whose intervals exclude 0."""
        if self.accuracy is None or self.auc is None:
            return False
        return self.accuracy.sign > 0 and self.auc.sign < 0

    @property
    def clarity(self) -> float:
        """The smaller absolute difference, in half-widths of its interval; -1 if one is None."""
        if self.accuracy is None or self.auc is None:
            return -1.0
        return min(_in_half_widths(self.accuracy), _in_half_widths(self.auc))


def front(arms: Sequence[AuditResult], attack: str, numbers: Numbers) -> list[FrontPoint]:
    """Returns the status of each arm, in the order of `arms`: whether and how clearly it is beaten.

    The arms are compared by their mean test accuracy and by the mean AUC of the adaptive `attack`.
    """
    return [_point(index, arms, attack, numbers) for index in range(len(arms))]


def _point(index: int, arms: Sequence[AuditResult], attack: str, numbers: Numbers) -> FrontPoint:
    arm = arms[index]
    leads = []
    for other_index, other in enumerate(arms):
        if _beats(other, arm, attack):
            accuracy, auc = _differences(other_index, index, attack, numbers)
            leads.append(_Lead(other.key, accuracy, auc))
    if not leads:
        return FrontPoint(arm=arm.key, status="front", by=None, accuracy=None, auc=None)
    clearest = max(leads, key=lambda lead: lead.clarity)
    return FrontPoint(
        arm=arm.key,
        status="dominated" if clearest.is_clear else "within error",
        by=clearest.leader,
        accuracy=clearest.accuracy,
        auc=clearest.auc,
    )


def _beats(arm: AuditResult, other: AuditResult, attack: str) -> bool:
    """Returns whether `arm` is at least as good as `other` in accuracy and AUC, and not equal."""
    more_accurate = arm.known_accuracy.value - other.known_accuracy.value
    more_private = other.metric(attack, "auc").value - arm.metric(attack, "auc").value
    if more_accurate < 0 or more_private < 0:
        return False
    return more_accurate + more_private > 0


def _differences(
    arm: int, other: int, attack: str, numbers: Numbers
) -> tuple[Estimate | None, Estimate | None]:
    """Returns test accuracy and AUC of the arm with index `arm`, minus those of arm `other`."""
    accuracy_terms = [(1.0, accuracy_quantity(arm)), (-1.0, accuracy_quantity(other))]
    auc_terms = [(1.0, Quantity(arm, "auc", attack)), (-1.0, Quantity(other, "auc", attack))]
    accuracy = numbers.estimate(accuracy_terms, CHANGE)
    auc = numbers.estimate(auc_terms, CHANGE)
    return accuracy, auc


def _in_half_widths(difference: Estimate) -> float:
    """Returns the absolute difference in half-widths of its interval; above 1 it is significant."""
    half_width = (difference.high - difference.low) / 2
    return abs(difference.value) / max(half_width, SMALLEST_HALF_WIDTH)
