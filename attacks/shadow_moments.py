"""Counts, means and spreads of the shadow models' signals, for each example.

A *signal* is a number for each model, example and query (`mgaudit.attacks.signals`). "in" refers to
the models that trained on an example, and "out" to the others.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ShadowMoments:
    """Counts, means and squared deviations of the shadows' signal for each example and query.

    "in" refers to the shadows that trained on the example, and "out" to the others. Counts are
    numbers of shadows (examples, 1). Means are (examples, queries), and so are the `squares`, sums
    of squared deviations from the mean. Where a count is 0, the mean is NaN and the sum is 0.
    """

    count_in: NDArray[np.int64]
    mean_in: Floats
    squares_in: Floats
    count_out: NDArray[np.int64]
    mean_out: Floats
    squares_out: Floats

    def filled_means(self) -> tuple[Floats, Floats]:
        """Returns mean_in and mean_out (examples, queries) without gaps; counts are (examples, 1).

        Let gap be the average of mean_in - mean_out over the examples that have both, or 0 if there
        are none. A missing mean_in is mean_out + gap, and a missing mean_out is mean_in - gap.
        """
        has_in = self.count_in > 0
        has_out = self.count_out > 0
        has_both = has_in & has_out
        gaps = np.where(has_both, self.mean_in - self.mean_out, 0.0)
        examples_with_both = max(int(has_both.sum()), 1)
        gap = gaps.sum(axis=0) / examples_with_both
        mean_in = np.where(has_in, self.mean_in, self.mean_out + gap)
        mean_out = np.where(has_out, self.mean_out, self.mean_in - gap)
        return mean_in, mean_out


def moments_of(
    values: Floats, references_in: NDArray[np.bool_], references_out: NDArray[np.bool_]
) -> ShadowMoments:
    """Returns the moments of a signal (shadows, examples, queries) over the references.

    `references_in` and `references_out` (shadows, examples) select the shadows of each example.
    """
    inside = _moments_where(values, references_in)
    return ShadowMoments(*inside, *_moments_where(values, references_out))


def _moments_where(
    values: Floats, chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Returns count, mean and sum of squared deviations over the chosen shadows of each example."""
    on_side = chosen[:, :, np.newaxis]
    count = chosen.sum(axis=0)[:, np.newaxis]
    total = np.where(on_side, values, 0.0).sum(axis=0)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    deviations = np.where(on_side, values - mean, 0.0)
    return count, mean, (deviations**2).sum(axis=0)


def moments_of_columns(
    values: Floats, references_in: NDArray[np.bool_], references_out: NDArray[np.bool_]
) -> ShadowMoments:
    """Returns the moments of several signals (models, columns, examples) over the references.

    `references_in` and `references_out` (models, examples) select the models of each example. The
    columns are the queries of the moments.
    """
    mean_in = mean_of_columns(values, references_in)
    mean_out = mean_of_columns(values, references_out)
    centre_in, centre_out = np.nan_to_num(mean_in.T), np.nan_to_num(mean_out.T)
    # Models that are no references of an example have the weight 0 below.
    deviations = np.where(references_in[:, np.newaxis], centre_in, centre_out)
    deviations -= values
    squared = np.multiply(deviations, deviations, out=deviations)
    return ShadowMoments(
        references_in.sum(axis=0)[:, np.newaxis],
        mean_in,
        _sum_of_columns(squared, references_in).T,
        references_out.sum(axis=0)[:, np.newaxis],
        mean_out,
        _sum_of_columns(squared, references_out).T,
    )


def mean_of_columns(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Returns the mean (examples, columns) over the models chosen for each example.

    `values` are (models, columns, examples) and `chosen` (models, examples). The mean is NaN for an
    example without a chosen model.
    """
    count = chosen.sum(axis=0)
    total = _sum_of_columns(values, chosen)
    mean: Floats = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    return mean.T


def _sum_of_columns(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Returns the sum (columns, examples) over the chosen models; see `mean_of_columns`."""
    weights = chosen.astype(np.float64)  # much faster than bool in einsum
    total: Floats = np.einsum("mce,me->ce", values, weights)
    return total


@dataclass(frozen=True)
class Totals:
    """Counts, sums and sums of squares of the centred signal over all models, by membership.

    Counts are (examples, 1), the other arrays (examples, queries). The signal is centred at its
    mean over models (`centre`). This keeps the squares small, so that subtracting one model's
    contribution loses no significant digits.
    """

    centre: Floats
    count_in: NDArray[np.int64]
    sum_in: Floats
    squares_in: Floats
    count_out: NDArray[np.int64]
    sum_out: Floats
    squares_out: Floats

    @classmethod
    def over(cls, values: Floats, membership: NDArray[np.bool_]) -> "Totals":
        """Returns the totals of a signal (models, examples, queries).

        `membership` is (models, examples).
        """
        centre = values.mean(axis=0)
        shape = values.shape[1:]
        sums = {side: np.zeros(shape) for side in (True, False)}
        squares = {side: np.zeros(shape) for side in (True, False)}
        for row, members in zip(values, membership, strict=True):
            deviation = row - centre
            for side in (True, False):
                on_side = (members == side)[:, np.newaxis]
                counted = np.where(on_side, deviation, 0.0)
                sums[side] += counted
                squares[side] += counted * counted
        count_in = membership.sum(axis=0)[:, np.newaxis]
        count_out = len(values) - count_in
        return cls(
            centre, count_in, sums[True], squares[True], count_out, sums[False], squares[False]
        )

    @classmethod
    def about(cls, centre: Floats, values: Floats, membership: NDArray[np.bool_]) -> "Totals":
        """Returns the totals of a signal (models, examples, queries) about a given centre.

        `centre` is (examples, queries), and `membership` (models, examples).
        """
        deviations = values - centre
        squared = deviations**2
        parts = []
        for on_side in (membership, ~membership):
            parts += [
                on_side.sum(axis=0)[:, np.newaxis],
                np.einsum("seq,se->eq", deviations, on_side),
                np.einsum("seq,se->eq", squared, on_side),
            ]
        return cls(centre, *parts)

    def plus(self, other: "Totals") -> "Totals":
        """Returns the totals over the models of both, which have the same centre."""
        parts = (getattr(self, part.name) + getattr(other, part.name) for part in fields(self)[1:])
        return Totals(self.centre, *parts)

    def moments(self) -> ShadowMoments:
        """Returns the moments over all models."""
        inside = _moments(self.centre, self.count_in, self.sum_in, self.squares_in)
        outside = _moments(self.centre, self.count_out, self.sum_out, self.squares_out)
        return ShadowMoments(*inside, *outside)

    def minus(self, values: Floats, membership: NDArray[np.bool_]) -> "Totals":
        """Returns the totals without some of the models.

        `values` (models, examples, queries) is the signal of these models, and `membership`
        (models, examples) their membership.
        """
        removed = Totals.about(self.centre, values, membership)
        parts = (
            getattr(self, part.name) - getattr(removed, part.name) for part in fields(self)[1:]
        )
        return Totals(self.centre, *parts)


def _moments(
    centre: Floats, count: NDArray[np.int64], total: Floats, squares: Floats
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Returns count, mean and sum of squared deviations from it, of the IN or of the OUT shadows.

    `count` (examples, 1) is their number. `total` and `squares` (examples, queries) are the sum of
    the signal's deviations from `centre` (examples, queries), and the sum of their squares. Where
    the count is 0, the mean is NaN.
    """
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    about_mean = squares - np.nan_to_num(mean) * total
    squared_deviations = np.where(count > 1, about_mean, 0.0)
    return count, centre + mean, np.maximum(squared_deviations, 0.0)
