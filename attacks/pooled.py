"""An attack on a group of examples, pooled over targets: one threshold for all targets.

A small group, such as 100 canaries, has too few non-members in one target for a low FPR. The pairs
of a target and an example have more.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.intervals import Interval, Variances, interval_of, resample_counts
from mgaudit.attacks.roc import ROC, SortedExamples

Floats = NDArray[np.float64]
Members = NDArray[np.bool_]
Counts = NDArray[np.integer]

FPR_LEVELS = (0.001, 0.01, 0.1)
FEWEST_FALSE_POSITIVES = 10.0  # expected at the level
FEWEST = 10  # pooled members, and non-members
RESAMPLES = 200
POINTS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Pooled:
    """AUC and TPR of an attack on a group of examples, with 95 % intervals.

    `non_members` is the number of pairs of a target and an example that it did not train on. The
    intervals are for other targets and other examples of this kind. Both are None with fewer than
    10 pairs of members or of non-members, and the TPR without an FPR level.
    """

    non_members: int
    auc: Interval | None
    tpr: Interval | None


def lowest_level(membership: Members) -> float | None:
    """Returns the lowest FPR of 0.1, 1 and 10 % with at least 10 expected false positives.

    `membership` is (targets, examples), bool. Returns None if there are fewer at 10 %.

    >>> lowest_level(np.zeros((16, 50), dtype=bool))
    0.1
    """
    non_members = int((~membership).sum())
    for level in FPR_LEVELS:
        if level * non_members >= FEWEST_FALSE_POSITIVES - 1e-9:
            return level
    return None


def pooled(
    scores: Floats,
    membership: Members,
    level: float | None,
    generator: np.random.Generator,
    counts: Counts | None = None,
) -> Pooled:
    """Returns the success of an attack on a group of examples.

    The variance has the parts of `intervals.two_way_interval` for a number without a jackknife of
    shadows. V_targets is by the jackknife over targets, (G - 1) / G sum (m_g - mean of m)^2, where
    m_g is the number without target g. V_examples is by resampling the examples jointly for all
    targets, and V_cells by resampling them for each target separately.

    Args:
        scores: Scores (targets, examples), finite; higher means member.
        membership: Membership (targets, examples), bool.
        level: The FPR, in (0, 1), at which the TPR is computed; None for no TPR.
        generator: Draws the resamples.
        counts: Multiplicity of each example in joint resamples (resamples, examples); None draws
            them.
    """
    members, non_members = int(membership.sum()), int((~membership).sum())
    if min(members, non_members) < FEWEST:
        return Pooled(non_members, None, None)
    targets, examples = scores.shape
    ordered = SortedExamples.of(scores.ravel(), membership.ravel())
    if counts is None:
        counts = resample_counts(examples, generator, RESAMPLES)
    joint = np.tile(counts[:RESAMPLES], targets)
    apart = np.concatenate(
        [resample_counts(examples, generator, len(joint)) for _ in range(targets)], axis=1
    )
    left = np.repeat(~np.eye(targets, dtype=bool), examples, axis=1).astype(np.uint8)
    once = np.ones((1, targets * examples), dtype=np.uint8)
    trials = max(int(membership.sum(axis=1).min()), 1)

    def interval(metric: Callable[[ROC], Floats]) -> Interval:
        value = float(_values(ordered, once, metric)[0])
        of_others = _values(ordered, left, metric)
        variances = Variances(
            targets=targets,
            degrees_of_freedom=targets - 1,
            over_models=0.0 if targets == 1 else float(of_others.var() * (len(of_others) - 1)),
            over_examples=float(_values(ordered, joint, metric).var(ddof=1)),
            over_cells=float(_values(ordered, apart, metric).var(ddof=1)),
            is_jackknife=False,
        )
        return interval_of(value, variances, trials)

    tpr = None if level is None else interval(lambda curve: curve.tpr_at(level))
    return Pooled(non_members, interval(lambda curve: curve.auc()), tpr)


def _values(ordered: SortedExamples, counts: Counts, metric: Callable[[ROC], Floats]) -> Floats:
    """Returns the metric for each row of counts (rows, pairs) that has members and non-members."""
    at_once = max(POINTS_AT_ONCE // counts.shape[1], 1)
    blocks = []
    for start in range(0, len(counts), at_once):
        curve = ordered.curve(counts[start : start + at_once])
        has_both = (curve.positives > 0) & (curve.negatives > 0)
        with np.errstate(invalid="ignore"):
            blocks.append(metric(curve)[has_both])
    return np.concatenate(blocks)
