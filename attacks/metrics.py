"""ROC curves, and the metrics that are computed from them; equal scores are counted exactly."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.integer]

FPR_LEVELS = (0.1, 0.01, 0.001, 0.0)
# Resamples × examples per block: more do not fit into the cache, fewer have more overhead in numpy.
CACHED_COUNTS = 50_000


def tpr_name(level: float) -> str:
    """Returns the name of the metric "TPR at an FPR of `level`", with `level` in [0, 1].

    >>> tpr_name(0.001)
    'tpr@0.001'
    """
    return f"tpr@{level:g}"


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
    ordered = _SortedExamples.of(scores, membership)
    if counts is not None:
        return ordered.curve(counts)
    curve = ordered.curve(np.ones((1, len(scores)), dtype=np.int64))
    return ROC(curve.true_positives[0], curve.false_positives[0])


def metrics(
    scores: Floats,
    membership: NDArray[np.bool_],
    counts: Counts | None = None,
    halves: NDArray[np.bool_] | None = None,
    names: Collection[str] | None = None,
) -> dict[str, Floats]:
    """Returns metrics by name, for each resample (resamples,) or for the examples (1,).

    `METRICS` lists the names and the range of each metric. The advantage is TPR - FPR at a
    threshold, and balanced accuracy is (1 + advantage) / 2. For the examples of even index, the
    threshold is the one with the largest TPR - FPR on the examples of odd index, and vice versa;
    the advantage is the mean of both halves. A threshold that is chosen and evaluated on the same
    examples would give an advantage above 0 even for random scores.

    Args:
        scores: Scores (examples,), float64, finite; higher means member.
        membership: Membership (examples,), bool, with members and non-members.
        counts: Multiplicity of each example in each resample (resamples, examples); by default each
            example counts once.
        halves: Examples (examples,), bool, that take the place of those of even index; needed where
            membership may depend on the index, or examples depend on their neighbours.
        names: The metrics to compute; None are all of them.

    Raises:
        ValueError: As `roc`.
    """
    computed = [metric for metric in METRICS if names is None or metric.name in names]
    if halves is None:
        halves = np.arange(len(scores)) % 2 == 0
    if counts is None:
        counts = np.ones((1, len(scores)), dtype=np.int64)
    # The scores are sorted once for all resamples.
    ordered = _SortedExamples.of(scores, membership)
    resamples_at_once = max(CACHED_COUNTS // len(scores), 1)
    blocks: dict[str, list[Floats]] = {metric.name: [] for metric in computed}
    for start in range(0, len(counts), resamples_at_once):
        drawn = counts[start : start + resamples_at_once]
        curves = Curves(ordered, drawn, halves)
        for metric in computed:
            blocks[metric.name].append(metric.read(curves))
    return {name: np.concatenate(values) for name, values in blocks.items()}


def metrics_on_halves(
    scores: Floats,
    membership: NDArray[np.bool_],
    halves: NDArray[np.bool_],
    names: Collection[str] | None = None,
) -> dict[str, Floats]:
    """Returns metrics by name on both halves of the examples (splits, 2, rows).

    The threshold of the advantage on a half is chosen on the other half.

    Args:
        scores: Several scores of the same examples (rows, examples), float64, finite.
        membership: Membership (examples,), bool, with members and non-members in each half.
        halves: Whether an example is in the first half, for each split (splits, examples).
        names: The metrics to compute; None are all of them.
    """
    computed = [metric for metric in METRICS if names is None or metric.name in names]
    order = np.argsort(-scores, axis=1, kind="stable")
    in_order = np.take_along_axis(scores, order, axis=1)
    continues = in_order[:, 1:] == in_order[:, :-1]
    points = None
    if continues.any():
        # A point inside a tie repeats the last point before the tie; point 0 is (0, 0).
        ends = np.append(~continues, np.ones((len(scores), 1), dtype=bool), axis=1)
        points = np.where(ends, np.arange(1, scores.shape[1] + 1), 0)
        points = np.maximum.accumulate(points, axis=1)
    members = membership[order]
    of_splits = []
    for half in halves:
        first = half[order]
        pair = [
            ROC(_accepted(members & side, points), _accepted(~members & side, points))
            for side in (first, ~first)
        ]
        advantages = _held_out_advantages(*pair)
        of_splits.append([OfHalf(*of_half) for of_half in zip(pair, advantages, strict=True)])
    return {
        metric.name: np.array([[metric.read(of_half) for of_half in pair] for pair in of_splits])
        for metric in computed
    }


def _accepted(counted: NDArray[np.bool_], points: NDArray[np.int64] | None) -> Counts:
    """Returns the number of accepted examples at each point (rows, points), from 0 on.

    `counted` (rows, examples) says which examples count, in descending order of score. `points` has
    the number of examples that each point after the first accepts; None without ties.
    """
    accepted = np.zeros((len(counted), counted.shape[1] + 1), dtype=np.int32)
    np.cumsum(counted, axis=1, dtype=np.int32, out=accepted[:, 1:])
    if points is not None:
        accepted[:, 1:] = np.take_along_axis(accepted, points, axis=1)
    return accepted


class Success(Protocol):
    """What metrics are computed from: the ROC curve, and the advantage (...)."""

    @property
    def whole(self) -> ROC:
        """The ROC curve of all examples."""

    @property
    def advantage(self) -> Floats:
        """TPR - FPR at a threshold that is chosen on other examples (...)."""


@dataclass(frozen=True)
class Curves:
    """The ROC curves of resamples, and the advantage, each computed when a metric needs it.

    `counts` (resamples, examples) are the multiplicities of the examples. `halves` (examples,)
    marks those of the first half, by default the examples of even index.
    """

    ordered: "_SortedExamples"
    counts: Counts
    halves: NDArray[np.bool_]

    @cached_property
    def whole(self) -> ROC:
        """The ROC curve of all examples."""
        return self.ordered.curve(self.counts)

    @cached_property
    def advantage(self) -> Floats:
        """TPR - FPR at a threshold chosen on the other half, the mean of both halves (...)."""
        whole, first = self.whole, self.ordered.curve(self.counts * self.halves)
        true_positives = whole.true_positives - first.true_positives
        false_positives = whole.false_positives - first.false_positives
        of_first, of_second = _held_out_advantages(first, ROC(true_positives, false_positives))
        return (of_first + of_second) / 2


class OfHalf(NamedTuple):
    """The ROC curve of one half of the examples, and the advantage on it."""

    whole: ROC
    advantage: Floats


@dataclass(frozen=True)
class Metric:
    """A number computed from ROC curves.

    Args:
        name: Name in results.
        title: Name in reports.
        read: Computes the metric of every resample (...).
        unit: "%" if reports show the metric in percent, or empty.
        digits: Number of decimal places in reports.
        range: Least and largest value, as fractions.
        guessing: Value for random scores without ties. Larger values mean more leakage.
    """

    name: str
    title: str
    read: Callable[[Success], Floats]
    unit: Literal["", "%"] = "%"
    digits: int = 2
    range: tuple[float, float] = (0.0, 1.0)
    guessing: float = 0.0


def _tpr_metric(level: float) -> Metric:
    """Returns the metric "TPR at an FPR of `level`"."""
    title = f"TPR @ {level * 100:g} % FPR"
    return Metric(
        tpr_name(level), title, lambda success: success.whole.tpr_at(level), guessing=level
    )


METRICS = (
    Metric("auc", "AUC", lambda success: success.whole.auc(), unit="", digits=3, guessing=0.5),
    *(_tpr_metric(level) for level in FPR_LEVELS),
    Metric(
        "balanced_accuracy",
        "balanced accuracy",
        lambda success: (1 + success.advantage) / 2,
        guessing=0.5,
    ),
    Metric("advantage", "advantage", lambda success: success.advantage, range=(-1.0, 1.0)),
)


def _held_out_advantages(even: ROC, odd: ROC) -> tuple[Floats, Floats]:
    """Returns TPR - FPR of each half (...) at the best threshold of the other half.

    Both curves have the same thresholds, so that a point has the same index in both.
    """
    gaps = [even.tpr - even.fpr, odd.tpr - odd.fpr]
    best = [gap.argmax(axis=-1, keepdims=True) for gap in gaps]
    of_even, of_odd = (
        np.take_along_axis(gap, other, axis=-1)[..., 0]
        for gap, other in zip(gaps, reversed(best), strict=True)
    )
    return of_even, of_odd


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
class _SortedExamples:
    """Examples in descending order of score; all arrays are (examples,).

    `order` holds the original indices of the examples. `members` is their membership, and
    `last_of_tie` marks the last of several examples with equal scores; both are in this order.
    """

    order: NDArray[np.intp]
    members: NDArray[np.bool_]
    last_of_tie: NDArray[np.bool_]

    @classmethod
    def of(cls, scores: Floats, membership: NDArray[np.bool_]) -> "_SortedExamples":
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
