"""ROC curves and the numbers read off them, exact on ties."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.integer]

FPR_LEVELS = (0.1, 0.01, 0.001, 0.0)
CACHED_COUNTS = 50_000  # resamples × examples at a time: more leave the cache, fewer spend the time on calls of numpy


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
        return _share(self.true_positives, self.positives)

    @property
    def fpr(self) -> Floats:
        """False positive rate at each point (..., points)."""
        return _share(self.false_positives, self.negatives)

    def auc(self) -> Floats:
        """Returns P(member scores higher) + P(tie) / 2 (...)."""
        steps = np.diff(self.false_positives, axis=-1).astype(np.int64)
        heights = self.true_positives[..., 1:] + self.true_positives[..., :-1]
        area = (steps * heights).sum(axis=-1)
        return np.asarray(area / (2.0 * self.positives * self.negatives), dtype=np.float64)

    def tpr_at(self, level: float) -> Floats:
        """Returns the largest TPR whose FPR does not exceed `level` (...); nothing is interpolated."""
        allowed = false_positives_allowed(level, self.negatives)
        point = (self.false_positives <= allowed[..., np.newaxis]).sum(axis=-1, keepdims=True) - 1
        accepted = np.take_along_axis(self.true_positives, point, axis=-1)
        return _share(accepted, self.positives)[..., 0]


def false_positives_allowed(level: float | Floats, negatives: Counts | int) -> Counts:
    """Returns how many of `negatives` may be accepted at an FPR of `level`, whole, proof against rounding.

    >>> int(false_positives_allowed(0.29, 100))
    29
    """
    return np.floor(level * np.asarray(negatives) + 1e-9).astype(np.int64)


def roc(scores: Floats, membership: NDArray[np.bool_], counts: Counts | None = None) -> ROC:
    """Returns the ROC curve of `scores` (examples,) finite, higher = member, against `membership` (examples,).

    With `counts` (resamples, examples), which say how often each example counts, the curve of each resample. Raises
    ValueError for scores that are not finite and for membership that holds no member or no non-member.

    >>> curve = roc(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, True, False, False]))
    >>> float(curve.auc())
    0.875
    """
    ordered = _Sorted.of(scores, membership)
    if counts is not None:
        return ordered.curve(counts)
    curve = ordered.curve(np.ones((1, len(scores)), dtype=np.int64))
    return ROC(curve.true_positives[0], curve.false_positives[0])


def metrics(scores: Floats, membership: NDArray[np.bool_], counts: Counts | None = None) -> dict[str, Floats]:
    """Returns every metric by name in each resample (resamples,), or of the examples as they are (1,).

    `counts` (resamples, examples) says how often each example counts. The scores are sorted once for all resamples,
    which are taken in blocks that stay in the processor's cache.
    The advantage is TPR - FPR at a threshold, and balanced accuracy (1 + advantage) / 2. The threshold is the best
    one of the other half of the examples (those of odd index for those of even index, and the other way round), and
    the two halves are averaged: the maximum over thresholds on the same examples would find an advantage in noise.
    """
    if counts is None:
        counts = np.ones((1, len(scores)), dtype=np.int64)
    ordered = _Sorted.of(scores, membership)
    even = np.arange(len(scores)) % 2 == 0
    resamples = max(CACHED_COUNTS // len(scores), 1)
    blocks = []
    for start in range(0, len(counts), resamples):
        drawn = counts[start : start + resamples]
        curve, half = ordered.curve(drawn), ordered.curve(drawn * even)
        rest = ROC(curve.true_positives - half.true_positives, curve.false_positives - half.false_positives)
        curves = Curves(curve, half, rest)
        blocks.append({metric.name: metric.read(curves) for metric in METRICS})
    return {name: np.concatenate([found[name] for found in blocks]) for name in blocks[0]}


@dataclass(frozen=True)
class Curves:
    """The ROC curve of all examples, and those of the two halves of them."""

    whole: ROC
    even: ROC
    odd: ROC

    @cached_property
    def advantage(self) -> Floats:
        """TPR - FPR at a threshold that is chosen on the other half (...)."""
        return _held_out_advantage(self.even, self.odd)


@dataclass(frozen=True)
class Metric:
    """A number that is read off ROC curves.

    Args:
        name: Its name in results.
        title: Its name in reports.
        read: Returns it for every resample (...).
        unit: "%" where reports show it in percent, or empty.
        digits: How many decimal places reports show.
        range: Its least and its largest value, as a fraction.
        guessing: Its value for random scores without ties. It grows with what leaks.
    """

    name: str
    title: str
    read: Callable[[Curves], Floats]
    unit: Literal["", "%"] = "%"
    digits: int = 2
    range: tuple[float, float] = (0.0, 1.0)
    guessing: float = 0.0


def _tpr_metric(level: float) -> Metric:
    title = f"TPR @ {level * 100:g} % FPR"
    return Metric(tpr_name(level), title, lambda curves: curves.whole.tpr_at(level), guessing=level)


METRICS = (
    Metric("auc", "AUC", lambda curves: curves.whole.auc(), unit="", digits=3, guessing=0.5),
    *(_tpr_metric(level) for level in FPR_LEVELS),
    Metric("balanced_accuracy", "balanced accuracy", lambda curves: (1 + curves.advantage) / 2, guessing=0.5),
    Metric("advantage", "advantage", lambda curves: curves.advantage, range=(-1.0, 1.0)),
)


def _held_out_advantage(one: ROC, other: ROC) -> Floats:
    """Returns TPR - FPR of each half at the best threshold of the other half, averaged (...)."""
    gaps = [half.tpr - half.fpr for half in (one, other)]
    best = [gap.argmax(axis=-1, keepdims=True) for gap in gaps]
    held_out = [np.take_along_axis(gaps[half], best[1 - half], axis=-1)[..., 0] for half in (0, 1)]
    return np.asarray((held_out[0] + held_out[1]) / 2, dtype=np.float64)


def check_scores(scores: Floats, membership: NDArray[np.bool_]) -> None:
    """Raises ValueError for scores that are not finite and for membership that does not fit or is all one value."""
    if scores.shape != membership.shape or scores.ndim != 1:
        raise ValueError(
            f"scores and membership must be two vectors of one length, got {scores.shape} and {membership.shape}"
        )
    finite = np.isfinite(scores)
    if not finite.all():
        raise ValueError(f"scores must be finite, got NaN or infinity for example {int(np.argmin(finite))}")
    if membership.all() or not membership.any():
        raise ValueError(f"membership must hold members and non-members, got {membership.sum()} of {len(membership)}")


@dataclass(frozen=True)
class _Sorted:
    """Examples in descending order of score, and which of them is the last of its tie."""

    order: NDArray[np.intp]
    members: NDArray[np.bool_]
    last_of_tie: NDArray[np.bool_]

    @classmethod
    def of(cls, scores: Floats, membership: NDArray[np.bool_]) -> "_Sorted":
        check_scores(scores, membership)
        order = np.argsort(-scores, kind="stable")
        return cls(order, membership[order], np.append(np.diff(scores[order]) != 0, True))

    def curve(self, counts: Counts) -> ROC:
        """Returns the curves (resamples, points) of examples that count so often, all with the same thresholds."""
        drawn = counts[:, self.order]
        return ROC(self._accepted(drawn * self.members), self._accepted(drawn * ~self.members))

    def _accepted(self, drawn: Counts) -> Counts:
        """Returns how many are accepted at each point, from none on."""
        accepted = np.zeros((len(drawn), drawn.shape[1] + 1), dtype=np.int32)
        np.cumsum(drawn, axis=-1, dtype=np.int32, out=accepted[:, 1:])
        return accepted if self.last_of_tie.all() else accepted[:, np.append(True, self.last_of_tie)]


def _share(counts: Counts, total: Counts) -> Floats:
    """Returns counts (..., points) as shares of their total (...), and 0 where there is none."""
    return np.divide(counts, total[..., np.newaxis], out=np.zeros(counts.shape), where=total[..., np.newaxis] > 0)
