"""The metrics that the verdict reads, fixed before an audit, and their values for guessing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mgaudit.analysis.margins import Margins
from mgaudit.attacks.roc import false_positives_allowed
from mgaudit.reports.arrays import Arrays, array_name, attack_scores
from mgaudit.reports.findings import STORED
from mgaudit.reports.metric_names import fpr_of, is_tpr
from mgaudit.reports.results import AuditResult

FEWEST_FALSE_POSITIVES = 10  # expected in each target, so that a TPR is not too coarse


@dataclass(frozen=True)
class VerdictMetric:
    """A metric with its value for guessing and the smallest effect that matters.

    An effect matters if it is at least `margin`. For a TPR the margin is a fraction: of the plain
    arm's TPR, or of that of guessing.
    """

    name: str
    chance: float
    margin: float

    @property
    def is_relative(self) -> bool:
        """Whether the margin is a fraction of another value of the metric."""
        return is_tpr(self.name)

    @property
    def least_leak(self) -> float:
        """The smallest excess over chance that matters."""
        return self.margin * self.chance if self.is_relative else self.margin


def verdict_metrics(
    arms: Sequence[AuditResult], arrays: Arrays, margins: Margins
) -> list[VerdictMetric]:
    """Returns the AUC, and the TPR at the lowest stored FPR with 10 expected false positives.

    The false positives are those among the fewest non-members of a target in any arm. The TPR is
    left out if no stored one has as many, and if tied scores leave no threshold near that FPR.
    """
    metrics = [VerdictMetric("auc", 0.5, margins.smallest_auc_difference)]
    name = tpr_of_verdict(arms, arrays)
    if name is not None:
        chance = _guessed_tpr(arms[0], fpr_of(name), arrays)
        metrics.append(VerdictMetric(name, chance, margins.smallest_tpr_change))
    return metrics


def tpr_of_verdict(arms: Sequence[AuditResult], arrays: Arrays) -> str | None:
    """Returns the TPR at the lowest FPR with 10 expected false positives in each target, or None.

    Results of earlier versions do not have every TPR in their arrays. Where many scores are equal,
    the largest FPR of a threshold can be far below the level, or 0. Such a TPR says little about
    the attack, so it is left out.
    """
    non_members = min(arm.attacks[0].non_members for arm in arms)
    for name in sorted(filter(is_tpr, STORED), key=fpr_of):
        level = fpr_of(name)
        if _is_fine(level, non_members) and all(
            array_name(index, arm.attacks[0].name, name, "per_target") in arrays
            and has_thresholds(index, arm, level, arrays)
            for index, arm in enumerate(arms)
        ):
            return name
    return None


def has_thresholds(index: int, arm: AuditResult, level: float, arrays: Arrays) -> bool:
    """Returns whether thresholds accept at least half of the non-members that an FPR allows.

    Non-members with the same score are all above a threshold or all below. True where the scores
    are not in the arrays.
    """
    attack = arm.attacks[0]
    if array_name(index, attack.name, "scores") not in arrays:
        return True
    membership = arrays["membership"][attack.targets].astype(bool)
    accepted = allowed = 0
    for scores, members in zip(attack_scores(arrays, index, attack.name), membership, strict=True):
        others = np.sort(scores[~members])[::-1]
        most = int(false_positives_allowed(level, len(others)))
        accepted += int((others > others[most]).sum())
        allowed += most
    return accepted >= allowed / 2


def _guessed_tpr(arm: AuditResult, level: float, arrays: Arrays) -> float:
    """Returns the expected TPR of guessing, at an FPR of at most `level`.

    The threshold of a target is above all but k of its N non-members, and (k + 1) / (N + 1) of new
    examples exceed it on average. The result is the mean over the targets.
    """
    membership = arrays["membership"][arm.attacks[0].targets]
    non_members = (~membership.astype(bool)).sum(axis=1)
    allowed = false_positives_allowed(level, non_members)
    return float(np.mean((allowed + 1) / (non_members + 1)))


def fpr_of_verdict(non_members: int) -> float | None:
    """Returns the lowest stored FPR with 10 expected false positives in each target, or None.

    `non_members` is the smallest number of non-members of a target.

    >>> fpr_of_verdict(600), fpr_of_verdict(99)
    (0.1, None)
    """
    levels = sorted(fpr_of(name) for name in filter(is_tpr, STORED))
    return next((level for level in levels if _is_fine(level, non_members)), None)


def _is_fine(level: float, non_members: int) -> bool:
    """Returns whether enough false positives are expected at an FPR."""
    return level * non_members >= FEWEST_FALSE_POSITIVES
