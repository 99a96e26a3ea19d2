"""ROC curves; equal scores are counted exactly."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.integer]


@dataclass(frozen=True)
class ROC:
    """The ROC curve as counts, from (0, 0) to (negatives, positives).

    Each distinct score has one point, the threshold "score >= t": examples with equal scores are
    accepted together. `true_positives` and `false_positives` are (..., points). Leading axes are
    resamples of the same scores; where a score is missing from a resample, its point repeats the
    previous one.
    """

    true_positives: Counts
    false_positives: Counts

    @property
    def positives(self) -> Counts:
        """The number of members (...)."""
        return self.true_positives[..., -1]

    @property
    def negatives(self) -> Counts:
        """The number of non-members (...)."""
        return self.false_positives[..., -1]

    @property
    def tpr(self) -> Floats:
        """True positive rate at each point (..., points)."""
        return _share(self.true_positives, self.positives)

    @property
    def fpr(self) -> Floats:
        """False positive rate at each point (..., points)."""
        return _share(self.false_positives, self.negatives)

    def auc(self) -> Floats:
        """Returns P(member scores higher than non-member) + P(tie) / 2 (...), in [0, 1].

        It is NaN where a resample contains no members or no non-members.
        """
        steps = np.diff(self.false_positives, axis=-1).astype(np.int64)
        heights = self.true_positives[..., 1:] + self.true_positives[..., :-1]
        area = (steps * heights).sum(axis=-1)
        auc = area / (2.0 * self.positives * self.negatives)
        return np.asarray(auc, dtype=np.float64)

    def tpr_at(self, level: float) -> Floats:
        """Returns the largest TPR among points whose FPR does not exceed `level` (...).

        `level` is in [0, 1]. The TPR is not interpolated between points.
        """
        allowed = false_positives_allowed(level, self.negatives)
        within_level = self.false_positives <= allowed[..., np.newaxis]
        last_point = within_level.sum(axis=-1, keepdims=True) - 1
        accepted = np.take_along_axis(self.true_positives, last_point, axis=-1)
        return _share(accepted, self.positives)[..., 0]


def false_positives_allowed(level: float | Floats, negatives: Counts | int) -> Counts:
    """Returns how many of `negatives` non-members may be accepted at an FPR of at most `level`.

    A small tolerance prevents floating-point rounding from losing an allowed false positive.

    >>> int(false_positives_allowed(0.29, 100))
    29
    """
    allowed = np.floor(level * np.asarray(negatives) + 1e-9)
    return allowed.astype(np.int64)


def roc(scores: Floats, membership: NDArray[np.bool_], counts: Counts | None = None) -> ROC:
    """Returns the ROC curve of scores for predicting membership.

    Args:
        scores: Scores (examples,), float64, finite; higher means member.
        membership: Membership (examples,), bool, with members and non-members.
        counts: Multiplicity of each example in each resample (resamples, examples), for the curve
            of each resample. Without it, there is one curve of the examples, without leading axes.

    Raises:
        ValueError: For scores that are not finite, and for membership without members or without
            non-members.

    >>> curve = roc(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]))
    >>> float(curve.auc())
    0.875
    """
    ordered = SortedExamples.of(scores, membership)
    if counts is not None:
        return ordered.curve(counts)
    curve = ordered.curve(np.ones((1, len(scores)), dtype=np.int64))
    return ROC(curve.true_positives[0], curve.false_positives[0])


def check_scores(scores: Floats, membership: NDArray[np.bool_]) -> None:
    """Checks scores (examples,) and membership (examples,) before a metric is computed.

    Raises:
        ValueError: For scores that are not finite, and for membership of another shape, without
            members or without non-members.
    """
    if scores.shape != membership.shape or scores.ndim != 1:
        raise ValueError(
            "scores and membership must be two vectors of one length, "
            f"got {scores.shape} and {membership.shape}"
        )
    finite = np.isfinite(scores)
    if not finite.all():
        example = int(np.argmin(finite))
        raise ValueError(f"scores must be finite, got NaN or infinity for example {example}")
    if membership.all() or not membership.any():
        raise ValueError(
            "membership must hold members and non-members, "
            f"got {membership.sum()} of {len(membership)}"
        )


@dataclass(frozen=True)
class SortedExamples:
    """Examples in descending order of score; all arrays are (examples,).

    `order` holds the original indices of the examples. `members` is their membership, and
    `last_of_tie` marks the last of several examples with equal scores; both are in this order.
    """

    order: NDArray[np.intp]
    members: NDArray[np.bool_]
    last_of_tie: NDArray[np.bool_]

    @classmethod
    def of(cls, scores: Floats, membership: NDArray[np.bool_]) -> "SortedExamples":
        """Returns the sorted examples, after checking the arguments."""
        check_scores(scores, membership)
        order = np.argsort(-scores, kind="stable")
        differs_from_next = np.diff(scores[order]) != 0
        return cls(order, membership[order], np.append(differs_from_next, True))

    def curve(self, counts: Counts) -> ROC:
        """Returns the curves (resamples, points), all with the same thresholds.

        `counts` (resamples, examples) are the multiplicities of the examples.
        """
        drawn = counts[:, self.order]
        true_positives = self._accepted(drawn * self.members)
        false_positives = self._accepted(drawn * ~self.members)
        return ROC(true_positives, false_positives)

    def _accepted(self, drawn: Counts) -> Counts:
        """Returns the number of accepted examples at each point (resamples, points), from 0 on.

        `drawn` (resamples, examples) are multiplicities in the sorted order, 0 for examples that
        are not to be counted.
        """
        accepted = np.zeros((len(drawn), drawn.shape[1] + 1), dtype=np.int32)
        np.cumsum(drawn, axis=-1, dtype=np.int32, out=accepted[:, 1:])
        if self.last_of_tie.all():
            return accepted
        return accepted[:, np.append(True, self.last_of_tie)]


def _share(counts: Counts, total: Counts) -> Floats:
    """Returns counts (..., points) as shares of their total (...), and 0 where the total is 0."""
    totals = total[..., np.newaxis]
    return np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
