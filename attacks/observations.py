"""What an adversary sees: the models' outputs, and the shadows' membership but never the target's."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Signal = Callable[[NDArray[np.floating], NDArray[np.int64]], Floats]


@dataclass(frozen=True)
class ShadowMoments:
    """The shadows' signal, summed up for each example and query, apart for members (in) and non-members (out).

    Counts are (examples, 1); means and sums of squared deviations from them are (examples, queries). Where a
    count is 0 the mean is NaN and the sum of squares 0.
    """

    count_in: NDArray[np.int64]
    mean_in: Floats
    squares_in: Floats
    count_out: NDArray[np.int64]
    mean_out: Floats
    squares_out: Floats

    def filled_means(self) -> tuple[Floats, Floats]:
        """Returns mean_in and mean_out (examples, queries) without gaps.

        Where an example has no shadow on one side, that mean is the other one moved by the average gap mean_in -
        mean_out of the examples that have both.
        """
        both = (self.count_in > 0) & (self.count_out > 0)
        gaps = np.where(both, self.mean_in - self.mean_out, 0.0)
        gap = gaps.sum(axis=0) / max(int(both.sum()), 1)
        mean_in = np.where(self.count_in > 0, self.mean_in, self.mean_out + gap)
        mean_out = np.where(self.count_out > 0, self.mean_out, self.mean_in - gap)
        return mean_in, mean_out


@dataclass(frozen=True)
class Observations:
    """Outputs of `models` that were each trained on a random subset of the same examples.

    `logits` (models, examples, queries, classes) float; `labels` (examples,) class numbers; `membership`
    (models, examples) bool, True where the model trained on the example. Axes drop from the right. The population,
    if there is one, is data that no model trained on: `population_logits` (models, population, queries, classes) and
    `population_labels` (population,). Raises ValueError for shapes that do not fit and for logits that are not
    finite, naming model and example.
    """

    logits: NDArray[np.floating]
    labels: NDArray[np.int64]
    membership: NDArray[np.bool_]
    population_logits: NDArray[np.floating] | None = None
    population_labels: NDArray[np.int64] | None = None
    _signals: dict[Signal, Floats] = field(default_factory=dict, init=False, repr=False, compare=False)
    _totals: dict[Signal, "_Totals"] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.logits.ndim != 4:
            raise ValueError(
                "logits must have the shape (models, examples, queries, classes), "
                f"got {self.logits.ndim} axes: {self.logits.shape}"
            )
        models, examples, queries, classes = self.logits.shape
        if models < 3:
            raise ValueError(f"models must be >= 3, a target and two shadows, got {models}")
        if queries < 1 or classes < 2:
            raise ValueError(
                f"logits must hold at least 1 query and 2 classes, got {queries} and {classes} (axes 2 and 3)"
            )
        if self.labels.shape != (examples,):
            raise ValueError(f"labels must have the shape ({examples},) of the examples, got {self.labels.shape}")
        if not np.issubdtype(self.labels.dtype, np.integer):
            raise ValueError(f"labels must be whole class numbers, got {self.labels.dtype}")
        if examples and not (self.labels.min() >= 0 and self.labels.max() < classes):
            raise ValueError(f"labels must lie in 0..{classes - 1}, got {self.labels.min()}..{self.labels.max()}")
        if self.membership.shape != (models, examples) or self.membership.dtype != np.bool_:
            raise ValueError(
                f"membership must be bool of shape (models, examples) = ({models}, {examples}), "
                f"got {self.membership.dtype} of shape {self.membership.shape}"
            )
        for model in range(models):
            _refuse_infinite("logits", self.logits[model], model)
            members = int(self.membership[model].sum())
            if members in (0, examples):
                raise ValueError(
                    f"membership of model {model} must hold members and non-members, got {members} of {examples}"
                )
        if (self.population_logits is None) != (self.population_labels is None):
            raise ValueError("population_logits and population_labels must be given together")
        if self.population_logits is not None and self.population_labels is not None:
            expected = (models, len(self.population_labels), queries, classes)
            if self.population_logits.shape != expected:
                raise ValueError(
                    "population_logits must have the shape (models, population, queries, classes) = "
                    f"{expected}, got {self.population_logits.shape}"
                )
            for model in range(models):
                _refuse_infinite("population_logits", self.population_logits[model], model)

    @property
    def models(self) -> int:
        """The number of models, each of which takes its turn as the target."""
        return len(self.logits)

    def view(self, target: int) -> "AdversaryView":
        """Returns what an adversary of model `target` sees, all other models being its shadows."""
        return AdversaryView(self, target)

    def _signal(self, signal: Signal) -> Floats:
        """Returns the signal (models, examples, queries), computed once, one model at a time."""
        if signal not in self._signals:
            self._signals[signal] = np.stack([signal(logits, self.labels) for logits in self.logits])
        return self._signals[signal]

    def _population_signal(self, signal: Signal, target: int) -> Floats:
        if self.population_logits is None or self.population_labels is None:
            raise ValueError("there is no population: give population_logits and population_labels")
        return signal(self.population_logits[target], self.population_labels)

    def _shadow_moments(self, signal: Signal, target: int) -> ShadowMoments:
        """Returns the moments over all models but `target`, by taking its row out of the totals."""
        if signal not in self._totals:
            self._totals[signal] = _Totals.over(self._signal(signal), self.membership)
        return self._totals[signal].without(self._signal(signal)[target], self.membership[target])


class AdversaryView:
    """What the adversary of one target model holds: its outputs, the shadows' outputs and their membership.

    The target's own membership is not among its public attributes, and nothing that is depends on it.
    """

    def __init__(self, observations: Observations, target: int) -> None:
        if not 0 <= target < observations.models:
            raise ValueError(f"target must lie in 0..{observations.models - 1}, got {target}")
        self.__observations = observations
        self.__target = target

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of each example, (examples,)."""
        return self.__observations.labels

    @property
    def target_logits(self) -> NDArray[np.floating]:
        """The target's logits (examples, queries, classes)."""
        logits: NDArray[np.floating] = self.__observations.logits[self.__target]
        return logits

    @property
    def shadow_logits(self) -> NDArray[np.floating]:
        """The shadows' logits (shadows, examples, queries, classes)."""
        return np.delete(self.__observations.logits, self.__target, axis=0)

    @property
    def shadow_membership(self) -> NDArray[np.bool_]:
        """The shadows' membership (shadows, examples)."""
        return np.delete(self.__observations.membership, self.__target, axis=0)

    def target_signal(self, signal: Signal) -> Floats:
        """Returns a signal of the target's outputs (examples, queries)."""
        values: Floats = self.__observations._signal(signal)[self.__target]
        return values

    def population_signal(self, signal: Signal) -> Floats:
        """Returns a signal of the target's outputs on the population (population, queries)."""
        return self.__observations._population_signal(signal, self.__target)

    def shadow_signal(self, signal: Signal) -> Floats:
        """Returns a signal of the shadows' outputs (shadows, examples, queries)."""
        return np.delete(self.__observations._signal(signal), self.__target, axis=0)

    def shadow_moments(self, signal: Signal) -> ShadowMoments:
        """Returns the counts, means and squared deviations of the shadows' signal, for each example and query."""
        return self.__observations._shadow_moments(signal, self.__target)


def _refuse_infinite(name: str, logits: NDArray[np.floating], model: int) -> None:
    finite = np.isfinite(logits).all(axis=(1, 2))
    if not finite.all():
        example = int(np.flatnonzero(~finite)[0])
        raise ValueError(f"{name} must be finite, got NaN or infinity for model {model}, example {example}")


@dataclass(frozen=True)
class _Totals:
    """Counts, sums and sums of squares over all models, of the signal less each example's mean over models.

    The subtraction keeps the squares small, so that taking one model out again loses no digits that matter.
    """

    centre: Floats
    count_in: NDArray[np.int64]
    sum_in: Floats
    squares_in: Floats
    count_out: NDArray[np.int64]
    sum_out: Floats
    squares_out: Floats

    @classmethod
    def over(cls, values: Floats, membership: NDArray[np.bool_]) -> "_Totals":
        centre = values.mean(axis=0)
        shape = values.shape[1:]
        sums = {side: np.zeros(shape) for side in (True, False)}
        squares = {side: np.zeros(shape) for side in (True, False)}
        for row, members in zip(values, membership, strict=True):
            deviation = row - centre
            for side in (True, False):
                kept = np.where((members == side)[:, np.newaxis], deviation, 0.0)
                sums[side] += kept
                squares[side] += kept * kept
        count_in = membership.sum(axis=0)[:, np.newaxis]
        return cls(centre, count_in, sums[True], squares[True], len(values) - count_in, sums[False], squares[False])

    def without(self, row: Floats, members: NDArray[np.bool_]) -> ShadowMoments:
        inside = members[:, np.newaxis]
        deviation = row - self.centre
        left_in = np.where(inside, deviation, 0.0)
        left_out = deviation - left_in
        return ShadowMoments(
            *_moments(
                self.centre,
                self.count_in - inside,
                self.sum_in - left_in,
                self.squares_in - left_in * left_in,
            ),
            *_moments(
                self.centre,
                self.count_out - ~inside,
                self.sum_out - left_out,
                self.squares_out - left_out * left_out,
            ),
        )


def _moments(
    centre: Floats, count: NDArray[np.int64], total: Floats, squares: Floats
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Returns count, mean and sum of squared deviations from it."""
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    spread = np.where(count > 1, squares - np.nan_to_num(mean) * total, 0.0)
    return count, centre + mean, np.maximum(spread, 0.0)
