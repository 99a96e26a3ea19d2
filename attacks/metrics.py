"""ROC curves and the numbers read off them, exact on ties."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

FPR_LEVELS = (0.1, 0.01, 0.001, 0.0)


def tpr_name(level: float) -> str:
    """Returns the name of the metric "TPR at this FPR".

    >>> tpr_name(0.001)
    'tpr_at_0.001_fpr'
    """
    return f"tpr_at_{level:g}_fpr"


@dataclass(frozen=True)
class ROC:
    """The ROC curve as counts: one point for each distinct score, from (0, 0) to (negatives, positives).

    A point is a threshold "score >= t": examples with equal scores are accepted together, never one by one.
    `true_positives` and `false_positives` are (..., points); leading axes are resamples of the same scores, in which
    a score may occur no more and its point repeats the one before.
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
        return self.true_positives / self.positives[..., np.newaxis]

    @property
    def fpr(self) -> Floats:
        """False positive rate at each point (..., points)."""
        return self.false_positives / self.negatives[..., np.newaxis]

    def auc(self) -> Floats:
        """Returns P(member scores higher) + P(tie) / 2 (...)."""
        steps = np.diff(self.false_positives, axis=-1)
        heights = self.true_positives[..., 1:] + self.true_positives[..., :-1]
        area = (steps * heights).sum(axis=-1)
        return np.asarray(area / (2.0 * self.positives * self.negatives), dtype=np.float64)

    def tpr_at(self, level: float) -> Floats:
        """Returns the largest TPR whose FPR does not exceed `level` (...); nothing is interpolated."""
        allowed = false_positives_allowed(level, self.negatives)
        point = (self.false_positives <= allowed[..., np.newaxis]).sum(axis=-1, keepdims=True) - 1
        return np.take_along_axis(self.tpr, point, axis=-1)[..., 0]

    def advantage(self) -> Floats:
        """Returns the largest TPR - FPR over thresholds (...)."""
        return np.asarray((self.tpr - self.fpr).max(axis=-1), dtype=np.float64)

    def metrics(self) -> dict[str, Floats]:
        """Returns every metric by name (...)."""
        advantage = self.advantage()
        return {
            "auc": self.auc(),
            **{tpr_name(level): self.tpr_at(level) for level in FPR_LEVELS},
            "balanced_accuracy": (1 + advantage) / 2,
            "advantage": advantage,
        }


def false_positives_allowed(level: float, negatives: Counts | int) -> Counts:
    """Returns how many of `negatives` may be accepted at an FPR of `level`, whole, proof against rounding.

    >>> int(false_positives_allowed(0.29, 100))
    29
    """
    return np.floor(level * np.asarray(negatives) + 1e-9).astype(np.int64)


def roc(scores: Floats, membership: NDArray[np.bool_]) -> ROC:
    """Returns the ROC curve of `scores` (examples,) finite, higher = member, against `membership` (examples,).

    >>> curve = roc(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]))
    >>> float(curve.auc())
    0.875
    """
    curve = next(resampled_rocs(scores, membership, np.ones((1, len(scores)), dtype=np.int64)))
    return ROC(curve.true_positives[0], curve.false_positives[0])


def resampled_rocs(
    scores: Floats, membership: NDArray[np.bool_], counts: NDArray[np.integer], block: int = 64
) -> Iterator[ROC]:
    """Yields the ROC curves of resamples, `block` at a time: `counts` (resamples, examples) says how often each counts.

    The scores are sorted once for all resamples. Raises ValueError for scores that are not finite and for
    membership that holds no member or no non-member.
    """
    if scores.shape != membership.shape or scores.ndim != 1:
        raise ValueError(
            f"scores and membership must be two vectors of one length, got {scores.shape} and {membership.shape}"
        )
    if not np.isfinite(scores).all():
        raise ValueError(
            f"scores must be finite, got NaN or infinity for example {int(np.argmin(np.isfinite(scores)))}"
        )
    if membership.all() or not membership.any():
        raise ValueError(f"membership must hold members and non-members, got {membership.sum()} of {len(membership)}")
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    members = membership[order]
    for start in range(0, len(counts), block):
        drawn = counts[start : start + block, order].astype(np.int32)
        accepted = np.cumsum(drawn, axis=-1)
        true_positives = np.cumsum(np.where(members, drawn, 0), axis=-1)[:, last_of_tie]
        false_positives = accepted[:, last_of_tie] - true_positives
        yield ROC(_from_zero(true_positives), _from_zero(false_positives))


def _from_zero(counts: NDArray[np.integer]) -> Counts:
    return np.concatenate([np.zeros((len(counts), 1), dtype=np.int64), counts], axis=-1)
