"""The metrics that are computed from ROC curves."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.roc import ROC, Counts, Floats, SortedExamples

FPR_LEVELS = (0.1, 0.01, 0.001, 0.0)
# Resamples × examples per block: more do not fit into the cache, fewer have more overhead in numpy.
CACHED_COUNTS = 50_000


def tpr_name(level: float) -> str:
    """Returns the name of the metric "TPR at an FPR of `level`", with `level` in [0, 1].

    >>> tpr_name(0.001)
    'tpr@0.001'
    """
    return f"tpr@{level:g}"


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
    ordered = SortedExamples.of(scores, membership)
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

    ordered: SortedExamples
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
