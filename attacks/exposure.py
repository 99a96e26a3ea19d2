"""Exposure: how well an attack detects, for each single example, whether a model trained on it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.intervals import (
    LEVEL,
    Interval,
    lower_limit,
    resampled_metrics,
    two_way_interval,
    upper_limit,
)
from mgaudit.attacks.jackknife import Jackknife
from mgaudit.attacks.ranks import share_below

Floats = NDArray[np.float64]
FEWEST_IN_CLASS = 10  # members, and non-members


@dataclass(frozen=True)
class Exposure:
    """Scores and ranks of each example, for targets trained on it ("in") or not ("out").

    A target is an attacked model. All arrays are (examples,). `score_in` and `score_out` are mean
    scores over these targets. A rank, in [0, 1], is the share of the target's other non-members
    with a lower score, ties counted half; `rank_in` and `rank_out` are mean ranks. An example with
    a high rank is exposed only if the rank is lower without training on the example. `low_in`,
    `high_in`, `low_out` and `high_out` are the limits of 95 % intervals of the mean ranks, for new
    targets and for each example alone. `targets_in` and `targets_out` are the numbers of targets.
    Where there is no such target, the means are NaN and the limits are 0 and 1.
    """

    score_in: Floats
    score_out: Floats
    rank_in: Floats
    low_in: Floats
    high_in: Floats
    rank_out: Floats
    low_out: Floats
    high_out: Floats
    targets_in: NDArray[np.int64]
    targets_out: NDArray[np.int64]

    def most_exposed(self) -> NDArray[np.int64]:
        """Returns the examples on which only some of the targets trained, the most exposed first.

        The result holds indices (compared examples,); it is empty if no example has both kinds of
        targets.
        They are ordered by (score_in - score_out) / sqrt(1 / targets_in + 1 / targets_out), the
        difference in standard errors up to a common factor. So an example that scores high in both
        cases does not come first, and neither does a large difference from few targets.
        """
        has_both = (self.targets_in > 0) & (self.targets_out > 0)
        compared = np.flatnonzero(has_both)
        errors = np.sqrt(1 / self.targets_in[compared] + 1 / self.targets_out[compared])
        gaps = (self.score_in - self.score_out)[compared] / errors
        order = np.argsort(-gaps, kind="stable")
        return np.asarray(compared[order], dtype=np.int64)


def exposure(scores: Floats, membership: NDArray[np.bool_]) -> Exposure:
    """Returns the exposure of each example from scores and membership (targets, examples).

    The interval of a mean rank is Clopper and Pearson's, with the targets as trials and the sum of
    the ranks as successes. It is wide enough: among random numbers in [0, 1] with the same mean, a
    variable that is always 0 or 1 has the largest variance. Student's interval would have width 0
    where a few ranks agree by chance.
    """
    outside = ~membership
    ranks = ranks_of(scores, membership)
    return Exposure(
        _mean(scores, membership),
        _mean(scores, outside),
        *_bounded_mean(ranks, membership),
        *_bounded_mean(ranks, outside),
        membership.sum(axis=0),
        outside.sum(axis=0),
    )


def ranks_of(scores: Floats, membership: NDArray[np.bool_]) -> Floats:
    """Returns ranks (targets, examples): shares of a target's other non-members with lower scores.

    Ties count half. `scores` and `membership` are (targets, examples). Every target needs at least
    one non-member, whose rank is 0 if there is no other.
    """
    pairs = zip(scores, membership, strict=True)
    return np.stack([_ranks(*pair) for pair in pairs])


def _ranks(scores: Floats, members: NDArray[np.bool_]) -> Floats:
    """Returns the ranks (examples,) of one target from its scores and members (examples,)."""
    others = scores[~members]
    share = share_below(scores, others)
    tie_with_itself = np.where(members, 0.0, 0.5)
    beaten = share * len(others) - tie_with_itself
    compared = np.maximum(len(others) - ~members, 1)
    return np.asarray(beaten / compared, dtype=np.float64)


def auc_by_class(
    scores: Floats,
    membership: NDArray[np.bool_],
    labels: NDArray[np.int64],
    counts: NDArray[np.integer],
    jackknife: Mapping[int, Jackknife] | None = None,
) -> dict[int, Interval | None]:
    """Returns the mean AUC within each class, with its 95 % interval for new targets and examples.

    The keys are the classes in `labels`. The value is None if a target has fewer than 10 members or
    fewer than 10 non-members in the class, or if a resample contains none of them.

    Args:
        scores: Scores (targets, examples), float64, finite; higher means member.
        membership: Membership (targets, examples), bool.
        labels: Class numbers (examples,).
        counts: Multiplicity of each example in each bootstrap resample (resamples, examples).
        jackknife: The jackknife of the AUC within each class that has one.
    """
    of_models = {} if jackknife is None else jackknife
    aucs: dict[int, Interval | None] = {}
    for label in np.unique(labels).tolist():
        in_class = labels == label
        aucs[label] = _auc_interval(
            scores[:, in_class], membership[:, in_class], counts[:, in_class], of_models.get(label)
        )
    return aucs


def _auc_interval(
    scores: Floats,
    membership: NDArray[np.bool_],
    counts: NDArray[np.integer],
    jackknife: Jackknife | None,
) -> Interval | None:
    """Returns the mean AUC with its 95 % interval, or None where there are too few examples.

    The arguments are those of `auc_by_class`, for the examples of one class.
    """
    outside = ~membership
    fewest = min(membership.sum(axis=1).min(), outside.sum(axis=1).min())
    if fewest < FEWEST_IN_CLASS:
        return None
    for side in (*membership, *outside):
        examples_in_resamples = counts @ side.astype(np.int64)
        if not examples_in_resamples.all():
            return None
    of_models = {} if jackknife is None else {"auc": jackknife}
    auc = resampled_metrics(scores, membership, counts, jackknife=of_models, names=["auc"])["auc"]
    return two_way_interval(auc, int(fewest))


def _bounded_mean(ranks: Floats, counted: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Returns the mean rank over the counted targets, and its 95 % limits, each (examples,).

    `ranks` (targets, examples) are in [0, 1], and `counted` (targets, examples) selects the
    targets. The limits are Clopper and Pearson's with the sum of the ranks in place of a number of
    successes. An example without a counted target has the mean NaN and the limits 0 and 1.
    """
    mean = _mean(ranks, counted)
    targets = counted.sum(axis=0)
    sum_of_ranks = np.nan_to_num(mean) * targets
    tail = (1 - LEVEL) / 2
    low = lower_limit(sum_of_ranks, targets, tail)
    high = upper_limit(sum_of_ranks, targets, tail)
    return mean, low, high


def _mean(values: Floats, counted: NDArray[np.bool_]) -> Floats:
    """Returns the mean (examples,) of `values` over the counted targets, NaN where there is none.

    `values` and `counted` are (targets, examples).
    """
    total = np.where(counted, values, 0.0).sum(axis=0)
    targets = counted.sum(axis=0)
    mean: Floats = np.divide(total, targets, out=np.full_like(total, np.nan), where=targets > 0)
    return mean
