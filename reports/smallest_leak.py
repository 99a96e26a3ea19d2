"""The smallest leak that an audit would have found, for an arm without a proven leak, in words."""

import math
from collections.abc import Sequence

from mgaudit.reports.metric_names import fpr_of
from mgaudit.reports.record import Record

MOST_NAMED = 5  # arms that have a sentence of their own
TOO_SMALL = "the audit is too small to find any leak with {power} power"


class SmallestLeak(Record):
    """The smallest values of the first `attack` on an arm that prove a leak in most audits.

    `arm` is the index of an arm of the study whose leak is not proved: the intervals of AUC and TPR
    at the two-sided `level`, at which all limits of the verdicts hold together, contain their
    values for guessing. In a share `power` of audits with these standard errors, the interval lies
    above guessing if the expected AUC is `auc`, and likewise for the `tpr`, which is the metric
    `tpr_metric`. They are None where no value is large enough; `tpr_metric` is None where every TPR
    is too coarse for a verdict.
    """

    arm: int
    attack: str
    level: float
    power: float
    auc: float | None
    tpr_metric: str | None
    tpr: float | None


def smallest_leak_sentences(leaks: Sequence[SmallestLeak], labels: Sequence[str]) -> list[str]:
    """Returns a sentence for each leak, or one for all if there are many.

    `labels` has the names of all arms of the study.
    """
    if len(leaks) > MOST_NAMED:
        return [_of_many(leaks)]
    return [_of_one(leak, labels[leak.arm]) for leak in leaks]


def _of_one(leak: SmallestLeak, label: str) -> str:
    values = " or ".join(_values(leak))
    if not values:
        return f"For {label}, no leak is proved, and {TOO_SMALL.format(power=_power(leak))}."
    return f"For {label}, no leak is proved; {_found(leak.attack, values, _power(leak))}."


def _values(leak: SmallestLeak) -> list[str]:
    values = []
    if leak.auc is not None:
        values.append(f"an AUC above {auc_text(leak.auc)}")
    if leak.tpr is not None and leak.tpr_metric is not None:
        values.append(f"a TPR above {tpr_text(leak.tpr)} at {_fpr(leak.tpr_metric)} FPR")
    return values


def _found(attack: str, values: str, power: str) -> str:
    leak = f"a leak that gives the attack {attack} {values}"
    return f"{leak} would have been found with about {power} power"


def _of_many(leaks: Sequence[SmallestLeak]) -> str:
    """Returns the largest of the smallest leaks, which holds for all arms."""
    aucs = [leak.auc for leak in leaks if leak.auc is not None]
    power, start = _power(leaks[0]), f"No leak is proved for {len(leaks)} arms"
    if len(aucs) < len(leaks):
        too_small = TOO_SMALL.format(power=power)
        return f"{start}, and for {len(leaks) - len(aucs)} of them {too_small}."
    largest = f"an AUC above {auc_text(max(aucs))}"
    return f"{start}; {_found(leaks[0].attack, largest, power)} in each of them."


def auc_text(auc: float) -> str:
    """Returns an AUC rounded up, so that the sentence about larger ones stays true.

    >>> auc_text(0.5121)
    '0.513'
    """
    return f"{_rounded_up(auc, 3):.3f}"


def tpr_text(tpr: float) -> str:
    """Returns a TPR in percent, rounded up.

    >>> tpr_text(0.13141)
    '13.15 %'
    """
    return f"{_rounded_up(100 * tpr, 2):.2f} %"


def _rounded_up(value: float, digits: int) -> float:
    unit = 10.0**digits
    return math.ceil(value * unit - 1e-9) / unit


def _fpr(metric: str) -> str:
    return f"{fpr_of(metric) * 100:g} %"


def _power(leak: SmallestLeak) -> str:
    return f"{leak.power * 100:g} %"
