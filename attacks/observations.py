"""What an adversary sees: the models' outputs, and the shadows' membership but never the target's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

COINCIDENCES = 0.01

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
    `population_labels` (population,). `extras` holds by name what logits cannot give, (models, examples, ...), and
    `population_extras` the same of the population: "gradient_norm" (models, examples) and "features" (models,
    examples, features). Raises ValueError for shapes that do not fit, for values that are not finite, naming model and
    example, and for a population that holds an audited example.
    """

    logits: NDArray[np.floating]
    labels: NDArray[np.int64]
    membership: NDArray[np.bool_]
    population_logits: NDArray[np.floating] | None = None
    population_labels: NDArray[np.int64] | None = None
    extras: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    population_extras: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    _signals: dict[Signal, Floats] = field(default_factory=dict, init=False, repr=False, compare=False)
    _totals: dict[Signal, "_Totals"] = field(default_factory=dict, init=False, repr=False, compare=False)
    _population_signals: dict[Signal, Floats] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.logits.ndim != 4:
            raise ValueError(
                "logits must have the shape (models, examples, queries, classes), "
                f"got {self.logits.ndim} axes: {self.logits.shape}"
            )
        models, examples, queries, classes = self.logits.shape
        if models < 1:
            raise ValueError("logits must hold at least 1 model (axis 0), got 0")
        if queries < 1 or classes < 2:
            raise ValueError(
                f"logits must hold at least 1 query and 2 classes, got {queries} and {classes} (axes 2 and 3)"
            )
        _check_labels("labels", self.labels, "examples", examples, classes)
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
        _check_extras("extras", self.extras, "examples", models, examples)
        if (self.population_logits is None) != (self.population_labels is None):
            raise ValueError("population_logits and population_labels must be given together")
        if self.population_logits is not None and self.population_labels is not None:
            expected = (models, len(self.population_labels), queries, classes)
            if self.population_logits.shape != expected:
                raise ValueError(
                    "population_logits must have the shape (models, population, queries, classes) = "
                    f"{expected}, got {self.population_logits.shape}"
                )
            _check_labels("population_labels", self.population_labels, "population", expected[1], classes)
            for model in range(models):
                _refuse_infinite("population_logits", self.population_logits[model], model)
            _check_extras("population_extras", self.population_extras, "population", models, expected[1])
            _refuse_overlap(self.logits, self.labels, self.population_logits, self.population_labels)
        self._forbid_writing()

    def _forbid_writing(self) -> None:
        """Replaces all arrays by views that cannot be written to."""
        for name in ("logits", "labels", "membership", "population_logits", "population_labels"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _read_only(getattr(self, name)))
        for name in ("extras", "population_extras"):
            object.__setattr__(self, name, {key: _read_only(values) for key, values in getattr(self, name).items()})

    @property
    def models(self) -> int:
        """The number of models, each of which takes its turn as the target."""
        return len(self.logits)

    @property
    def queries(self) -> int:
        """The number of queries of each example."""
        return int(self.logits.shape[2])

    def of_models(self, models: list[int]) -> "Observations":
        """Returns the outputs of some of the models, in that order."""
        return Observations(
            self.logits[models],
            self.labels,
            self.membership[models],
            None if self.population_logits is None else self.population_logits[models],
            self.population_labels,
            {name: values[models] for name, values in self.extras.items()},
            {name: values[models] for name, values in self.population_extras.items()},
        )

    def view(self, target: int, shadows: "Observations | None" = None) -> "AdversaryView":
        """Returns what an adversary of model `target` sees, all other models being its shadows.

        With `shadows` these are the other models of that ensemble, trained on the same subsets in another way: the
        naive adversary. Model `target` is left out there too, since it shares the target's membership.
        """
        return AdversaryView(self, target, self if shadows is None else shadows)

    def _signal(self, signal: Signal) -> Floats:
        """Returns the signal (models, examples, queries), computed once, one model at a time."""
        if signal not in self._signals:
            self._signals[signal] = _read_only(np.stack([signal(logits, self.labels) for logits in self.logits]))
        return self._signals[signal]

    def _population_signal(self, signal: Signal) -> Floats:
        """Returns the signal of the population (models, population, queries), computed once."""
        if self.population_logits is None or self.population_labels is None:
            raise ValueError("there is no population: give population_logits and population_labels")
        if signal not in self._population_signals:
            labels = self.population_labels
            values = np.stack([signal(logits, labels) for logits in self.population_logits])
            self._population_signals[signal] = _read_only(values)
        return self._population_signals[signal]

    def _shadow_moments(self, signal: Signal, target: int) -> ShadowMoments:
        """Returns the moments over all models but `target`, by taking its row out of the totals."""
        if signal not in self._totals:
            self._totals[signal] = _Totals.over(self._signal(signal), self.membership)
        return self._totals[signal].without(self._signal(signal)[target], self.membership[target])


class AdversaryView:
    """What the adversary of one target model holds: its outputs, the shadows' outputs and their membership.

    The target's own membership is not among its public attributes, and nothing that is depends on it.
    """

    def __init__(self, observations: Observations, target: int, shadows: Observations) -> None:
        if not 0 <= target < observations.models:
            raise ValueError(f"target must lie in 0..{observations.models - 1}, got {target}")
        if shadows is not observations:
            _check_same_design(observations, shadows)
        self.__observations = observations
        self.__shadows = shadows
        self.__target = target

    @property
    def shadows(self) -> int:
        """The number of shadows."""
        return self.__shadows.models - 1

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of each example, (examples,)."""
        return self.__observations.labels

    @property
    def population_labels(self) -> NDArray[np.int64]:
        """The label of each point of the population, (population,)."""
        labels = self.__observations.population_labels
        if labels is None:
            raise ValueError("there is no population: give population_logits and population_labels")
        return labels

    @property
    def target_logits(self) -> NDArray[np.floating]:
        """The target's logits (examples, queries, classes)."""
        logits: NDArray[np.floating] = self.__observations.logits[self.__target]
        return logits

    def shadow_outputs(self, shadows: NDArray[np.int64], examples: NDArray[np.int64]) -> NDArray[np.floating]:
        """Returns the logits (pairs, queries, classes) of these shadows for these examples, pair by pair."""
        models = shadows + (shadows >= self.__target)
        logits: NDArray[np.floating] = self.__shadows.logits[models, examples]
        return logits

    @property
    def shadow_membership(self) -> NDArray[np.bool_]:
        """The shadows' membership (shadows, examples)."""
        return np.delete(self.__shadows.membership, self.__target, axis=0)

    def target_signal(self, signal: Signal) -> Floats:
        """Returns a signal of the target's outputs (examples, queries)."""
        values: Floats = self.__observations._signal(signal)[self.__target]
        return values

    def population_signal(self, signal: Signal) -> Floats:
        """Returns a signal of the target's outputs on the population (population, queries)."""
        values: Floats = self.__observations._population_signal(signal)[self.__target]
        return values

    def shadow_signal(self, signal: Signal) -> Floats:
        """Returns a signal of the shadows' outputs (shadows, examples, queries)."""
        return np.delete(self.__shadows._signal(signal), self.__target, axis=0)

    def shadow_population_signal(self, signal: Signal) -> Floats:
        """Returns a signal of the shadows' outputs on the population (shadows, population, queries)."""
        return np.delete(self.__shadows._population_signal(signal), self.__target, axis=0)

    def shadow_moments(self, signal: Signal) -> ShadowMoments:
        """Returns the counts, means and squared deviations of the shadows' signal, for each example and query."""
        return self.__shadows._shadow_moments(signal, self.__target)

    def target_extra(self, name: str) -> NDArray[np.floating]:
        """Returns what `extras` holds by that name for the target (examples, ...)."""
        return _held("extras", self.__observations.extras, name, self.__target)

    def population_extra(self, name: str) -> NDArray[np.floating]:
        """Returns what `population_extras` holds by that name for the target (population, ...)."""
        return _held("population_extras", self.__observations.population_extras, name, self.__target)


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    """Returns a view that cannot be written to: all attacks read the same arrays."""
    view = values.view()
    view.flags.writeable = False
    return view


def _held(holder: str, extras: Mapping[str, NDArray[np.floating]], name: str, target: int) -> NDArray[np.floating]:
    if name not in extras:
        raise ValueError(f"{holder} must hold {name!r}, got {sorted(extras)}")
    values: NDArray[np.floating] = extras[name][target]
    return values


def _check_labels(name: str, labels: NDArray[np.int64], axis: str, count: int, classes: int) -> None:
    if labels.shape != (count,):
        raise ValueError(f"{name} must have the shape ({count},) of the {axis}, got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name} must be whole class numbers, got {labels.dtype}")
    if count and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"{name} must lie in 0..{classes - 1}, got {labels.min()}..{labels.max()}")


def _check_extras(name: str, extras: Mapping[str, NDArray[np.floating]], axis: str, models: int, count: int) -> None:
    for key, values in extras.items():
        if values.shape[:2] != (models, count):
            raise ValueError(
                f"{name}[{key!r}] must have the shape (models, {axis}, ...) = ({models}, {count}, ...), "
                f"got {values.shape}"
            )
        for model in range(models):
            _refuse_infinite(f"{name}[{key!r}]", values[model], model)


def _check_same_design(observations: Observations, shadows: Observations) -> None:
    for name in ("labels", "membership", "population_labels"):
        if not np.array_equal(getattr(observations, name), getattr(shadows, name)):
            raise ValueError(f"{name} of the shadows must be that of the targets: both train on the same subsets")
    if shadows.logits.shape[2:] != observations.logits.shape[2:]:
        raise ValueError(
            f"logits of the shadows must have the (queries, classes) {observations.logits.shape[2:]} of the targets', "
            f"got {shadows.logits.shape[2:]}"
        )


def _refuse_infinite(name: str, values: NDArray[np.floating], model: int) -> None:
    finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if not finite.all():
        example = int(np.flatnonzero(~finite)[0])
        raise ValueError(f"{name} must be finite, got NaN or infinity for model {model}, example {example}")


def _refuse_overlap(
    logits: NDArray[np.floating],
    labels: NDArray[np.int64],
    population_logits: NDArray[np.floating],
    population_labels: NDArray[np.int64],
) -> None:
    """Raises ValueError where points of the population have label and logits, of every model, of an audited example.

    Coarse logits, and those of dying models, coincide by chance. They do so among the audited examples, too, and no
    alarm is raised unless the population coincides with them more than three times as often as they do with one
    another, and in more than COINCIDENCES of its points.
    """
    audited, others = _contents(logits, labels), _contents(population_logits.astype(logits.dtype), population_labels)
    places = dict(zip(audited, range(len(audited)), strict=True))
    overlap = [(point, places[content]) for point, content in enumerate(others) if content in places]
    by_chance = 1 - len(places) / len(audited)
    if overlap and len(overlap) / len(others) > max(3 * by_chance, COINCIDENCES):
        point, example = overlap[0]
        raise ValueError(
            f"the population must not overlap the audited examples, but {len(overlap)} of its points have label and "
            f"logits of one of them under every model (point {point}: example {example}); leave them out"
        )


def _contents(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> list[int]:
    """Returns a hash of the label and of all models' logits of each example."""
    return [hash((int(label), logits[:, example].tobytes())) for example, label in enumerate(labels)]


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
