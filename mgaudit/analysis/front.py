"""The Pareto front: which arms no other beats in both accuracy and privacy."""

from collections.abc import Sequence

from mgaudit.analysis.numbers import CHANGE, Numbers, Quantity, accuracy_quantity
from mgaudit.reports.findings import FrontPoint
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult


def front(arms: Sequence[AuditResult], attack: str, numbers: Numbers) -> list[FrontPoint]:
    """Returns where each arm stands, by its mean test accuracy and its mean AUC under the attack."""
    return [_point(place, arms, attack, numbers) for place in range(len(arms))]


def _point(place: int, arms: Sequence[AuditResult], attack: str, numbers: Numbers) -> FrontPoint:
    better = [other for other in range(len(arms)) if _beats(arms[other], arms[place], attack)]
    key = arms[place].key
    if not better:
        return FrontPoint(arm=key, status="front", by=None, accuracy=None, auc=None)
    leads = [(_lead(other, place, attack, numbers), arms[other].key) for other in better]
    (gain, loss), by = max(leads, key=lambda lead: _clarity(*lead[0]))
    clear = gain is not None and loss is not None and gain.sign > 0 and loss.sign < 0
    return FrontPoint(arm=key, status="dominated" if clear else "within error", by=by, accuracy=gain, auc=loss)


def _beats(one: AuditResult, other: AuditResult, attack: str) -> bool:
    more_accurate = one.test_accuracy.value - other.test_accuracy.value
    more_private = other.metric(attack, "auc").value - one.metric(attack, "auc").value
    return more_accurate >= 0 and more_private >= 0 and more_accurate + more_private > 0


def _lead(one: int, other: int, attack: str, numbers: Numbers) -> tuple[Estimate | None, Estimate | None]:
    """Returns how much more accuracy and AUC the one arm has than the other."""
    return (
        numbers.estimate([(1.0, accuracy_quantity(one)), (-1.0, accuracy_quantity(other))], CHANGE),
        numbers.estimate([(1.0, Quantity(one, "auc", attack)), (-1.0, Quantity(other, "auc", attack))], CHANGE),
    )


def _clarity(gain: Estimate | None, loss: Estimate | None) -> float:
    """Returns the lead of the less clear of the two, in half-widths of its interval."""
    if gain is None or loss is None:
        return -1.0
    return min(abs(lead.value) / max((lead.high - lead.low) / 2, 1e-12) for lead in (gain, loss))
