"""How exposed each single example is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from attacks.intervals import LEVEL, Interval, Resampled, two_way_interval
from attacks.metrics import metrics

Floats = NDArray[np.float64]
FEWEST_IN_CLASS = 10


@dataclass(frozen=True)
class Exposure:
    """What an attack finds of each example when a target did train on it; all are (examples,).

    `score` is the mean score over those targets. `rank` is the mean share of a target's non-members that the example
    outranks, ties counted half: 0.5 for an example that nothing sets apart, 1 for one that is always found out. `low`
    and `high` bound the mean rank for new targets (95 %). `targets` says how many there are; where there is none, the
    numbers are NaN and the bounds 0 and 1.
    """

    score: Floats
    rank: Floats
    low: Floats
    high: Floats
    targets: NDArray[np.int64]

    def most_exposed(self) -> NDArray[np.int64]:
        """Returns the examples that a target trained on, the most exposed first: by mean score, then by rank."""
        seen = np.flatnonzero(self.targets > 0)
        return np.asarray(seen[np.lexsort((-self.rank[seen], -self.score[seen]))], dtype=np.int64)


def exposure(scores: Floats, membership: NDArray[np.bool_]) -> Exposure:
    """Returns the exposure of each example from scores and membership (targets, examples).

    A rank lies between 0 and 1, and of all such numbers with the same mean those that are 0 or 1 spread the most. So
    the interval is Clopper and Pearson's for as many trials as targets, with as many successes as the ranks add up to;
    Student's would be sure of itself where all of a few ranks happen to agree.
    """
    ranks = np.stack([_ranks_among_non_members(*pair) for pair in zip(scores, membership, strict=True)])
    targets = membership.sum(axis=0)
    rank = _mean(ranks, membership, targets)
    found = np.nan_to_num(rank) * targets
    missed = targets - found
    tail = (1 - LEVEL) / 2
    low = np.where(found > 0, stats.beta.ppf(tail, np.maximum(found, 1e-12), missed + 1), 0.0)
    high = np.where(missed > 0, stats.beta.ppf(1 - tail, found + 1, np.maximum(missed, 1e-12)), 1.0)
    return Exposure(_mean(scores, membership, targets), rank, low, high, targets)


def auc_by_class(
    scores: Floats, membership: NDArray[np.bool_], labels: NDArray[np.int64], counts: NDArray[np.integer]
) -> dict[int, Interval | None]:
    """Returns the AUC within each class, mean over targets with its interval for new targets and new examples.

    `counts` (resamples, examples) says how often each example counts in each bootstrap resample. A class of which some
    target holds, or lacks, fewer than 10 examples, and one that is missing from a resample, gets None.
    """
    found: dict[int, Interval | None] = {}
    for label in np.unique(labels).tolist():
        chosen = labels == label
        inside = membership[:, chosen]
        drawn = counts[:, chosen]
        fewest = min(inside.sum(axis=1).min(), (~inside).sum(axis=1).min())
        complete = all((drawn @ side.astype(np.int64)).all() for side in (*inside, *~inside))
        if fewest < FEWEST_IN_CLASS or not complete:
            found[label] = None
            continue
        pairs = list(zip(scores[:, chosen], inside, strict=True))
        exact = np.concatenate([metrics(*pair)["auc"] for pair in pairs])
        resampled = np.stack([metrics(*pair, drawn)["auc"] for pair in pairs])
        found[label] = two_way_interval(Resampled(exact, resampled), int(fewest))
    return found


def _ranks_among_non_members(scores: Floats, members: NDArray[np.bool_]) -> Floats:
    """Returns for each example the share of the target's non-members that score lower, ties counted half."""
    others = np.sort(scores[~members])
    below = np.searchsorted(others, scores, side="left")
    up_to = np.searchsorted(others, scores, side="right")
    return np.asarray((below + up_to) / (2 * len(others)), dtype=np.float64)


def _mean(values: Floats, membership: NDArray[np.bool_], targets: NDArray[np.int64]) -> Floats:
    """Returns the mean (examples,) over the targets that trained on the example, NaN where there is none."""
    total = np.where(membership, values, 0.0).sum(axis=0)
    mean: Floats = np.divide(total, targets, out=np.full_like(total, np.nan), where=targets > 0)
    return mean
