"""Whether models have learned anything: their accuracy against that of a constant guess."""

import numpy as np

from mgaudit.attacks.intervals import clopper_pearson
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult


def chance_accuracy(arrays: Arrays) -> Estimate | None:
    """Returns the share of the most frequent class, with its interval; None without labels.

    A model that always predicts this class has this accuracy. The share is measured on the audited
    examples, and its interval is for other examples, such as the test examples.
    """
    labels = arrays.get("labels")
    if labels is None or not len(labels):
        return None
    most_frequent = int(np.unique(labels, return_counts=True)[1].max())
    interval = clopper_pearson(most_frequent, len(labels))
    return Estimate(value=interval.value, low=interval.low, high=interval.high)


def has_learned_nothing(arm: AuditResult, chance: Estimate | None) -> bool:
    """Returns whether the test accuracy of an arm cannot be distinguished from chance.

    It can not if the accuracy's interval reaches down to that of chance. Where either is unknown,
    the answer is no.
    """
    if arm.accuracy is None or chance is None:
        return False
    return arm.accuracy.low <= chance.high
