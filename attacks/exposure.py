"""How exposed each single example is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.intervals import LEVEL, Interval, lower_limit, resampled_metrics, two_way_interval, upper_limit
from mgaudit.attacks.ranks import share_below

Floats = NDArray[np.float64]
FEWEST_IN_CLASS = 10


@dataclass(frozen=True)
class Exposure:
    """What an attack finds of each example where a target trained on it ("in") and where none did ("out").

    All are (examples,). `score_in` and `score_out` are mean scores over these targets. A rank is the share of a
    target's other non-members that the example outranks, ties counted half; `rank_in` and `rank_out` are its means. An
    example that is always ranked high is easy for the attack, and exposed only if it is not so without training on it.
    `low_in`, `high_in`, `low_out` and `high_out` bound the mean ranks for new targets (95 %, each example by itself).
    Where there is no such target, the means are NaN and the bounds 0 and 1.
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
        """Returns the examples that some targets trained on and others did not, the most exposed first.

        They are ordered by score_in - score_out in standard errors, of one sd for all examples: an example that is
        merely easy does not come first, nor one of which few targets happen to say much.
        """
        compared = np.flatnonzero((self.targets_in > 0) & (self.targets_out > 0))
        errors = np.sqrt(1 / self.targets_in[compared] + 1 / self.targets_out[compared])
        gaps = (self.score_in - self.score_out)[compared] / errors
        return np.asarray(compared[np.argsort(-gaps, kind="stable")], dtype=np.int64)


def exposure(scores: Floats, membership: NDArray[np.bool_]) -> Exposure:
    """Returns the exposure of each example from scores and membership (targets, examples).

    A rank lies between 0 and 1, and of all such numbers with the same mean those that are 0 or 1 spread the most. So
    the interval is Clopper and Pearson's for as many trials as targets, with as many successes as the ranks add up to;
    Student's would be sure of itself where all of a few ranks happen to agree.
    """
    ranks = ranks_of(scores, membership)
    score_in, score_out = (_mean(scores, side) for side in (membership, ~membership))
    return Exposure(
        score_in,
        score_out,
        *_bounded_mean(ranks, membership),
        *_bounded_mean(ranks, ~membership),
        membership.sum(axis=0),
        (~membership).sum(axis=0),
    )


def ranks_of(scores: Floats, membership: NDArray[np.bool_]) -> Floats:
    """Returns (targets, examples): the share of a target's other non-members that the example outranks, ties half."""
    return np.stack([_ranks(*pair) for pair in zip(scores, membership, strict=True)])


def _ranks(scores: Floats, members: NDArray[np.bool_]) -> Floats:
    others = scores[~members]
    share = share_below(scores, others)
    beaten = share * len(others) - np.where(members, 0.0, 0.5)  # it ties with itself
    return np.asarray(beaten / np.maximum(len(others) - ~members, 1), dtype=np.float64)


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
        found[label] = two_way_interval(resampled_metrics(scores[:, chosen], inside, drawn)["auc"], int(fewest))
    return found


def _bounded_mean(ranks: Floats, counted: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Returns the mean rank over the targets that are counted, and its bounds, each (examples,)."""
    mean = _mean(ranks, counted)
    targets = counted.sum(axis=0)
    outranked = np.nan_to_num(mean) * targets
    tail = (1 - LEVEL) / 2
    return mean, lower_limit(outranked, targets, tail), upper_limit(outranked, targets, tail)


def _mean(values: Floats, counted: NDArray[np.bool_]) -> Floats:
    """Returns the mean (examples,) over the targets that are counted, NaN where there is none."""
    total, targets = np.where(counted, values, 0.0).sum(axis=0), counted.sum(axis=0)
    mean: Floats = np.divide(total, targets, out=np.full_like(total, np.nan), where=targets > 0)
    return mean
