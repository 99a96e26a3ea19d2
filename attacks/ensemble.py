"""The outputs of models, and the signals that are computed from them once.

A *signal* (`mgaudit.attacks.signals`) is a number for each model, example and query, computed from
the logits. Signals are computed model by model, so that logits without drift are never stored.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.drift import Drift, DriftFit, fit_drift
from mgaudit.attacks.mixed_logits import MixedLogits
from mgaudit.attacks.references import ReferenceLimits
from mgaudit.attacks.shadow_moments import Totals
from mgaudit.attacks.signals import Confidence, ConfidenceSignal, logit_confidence

NO_POPULATION = "there is no population: give population_logits and population_labels"

Floats = NDArray[np.float64]
Logits = NDArray[np.floating]
Labels = NDArray[np.int64]
Extras = Mapping[str, NDArray[np.floating]]
Signal = Callable[[Logits, Labels], Floats]
Key = tuple[Signal, Drift]
Cache = dict[Key, Floats]


@dataclass(frozen=True)
class Ensemble:
    """Outputs of models that were each trained on a subset of the same examples, not checked.

    The fields are those of `mgaudit.attacks.observations.Observations`.
    """

    logits: Logits
    labels: Labels
    membership: NDArray[np.bool_]
    population_logits: Logits | None = None
    population_labels: Labels | None = None
    extras: Extras = field(default_factory=dict)
    population_extras: Extras = field(default_factory=dict)
    references: ReferenceLimits | None = None
    _signals: Cache = field(default_factory=dict, init=False, repr=False, compare=False)
    _population_signals: Cache = field(default_factory=dict, init=False, repr=False, compare=False)
    _totals: dict[tuple[Signal, Drift], Totals] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _fits: dict[Drift, DriftFit] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _columns: dict[tuple[Key, ...], Floats] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    # The ensemble that all models but one are from, that model, and the ensemble that it is from.
    _origin: "tuple[Ensemble, int, Ensemble] | None" = field(
        default=None, init=False, repr=False, compare=False
    )
    # The models whose mean logits drift is measured from; None for all.
    _mean_of: NDArray[np.int64] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Replaces all arrays by views that cannot be written to."""
        for name in ("logits", "labels", "membership", "population_logits", "population_labels"):
            array = getattr(self, name)
            if array is not None:
                object.__setattr__(self, name, _read_only(array))
        for name in ("extras", "population_extras"):
            extras = getattr(self, name)
            views = {key: _read_only(values) for key, values in extras.items()}
            object.__setattr__(self, name, views)

    def __getstate__(self) -> dict[str, Any]:
        """Returns what is sent to another process: the arguments, not what was computed of them."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.init}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Sets the arguments, which are not checked again."""
        for part in fields(self):
            if part.init:
                value = state[part.name]
            else:
                value = part.default if part.default_factory is MISSING else part.default_factory()
            object.__setattr__(self, part.name, value)
        Ensemble.__post_init__(self)

    @property
    def models(self) -> int:
        """The number of models, each of which is the target once."""
        return len(self.logits)

    @property
    def queries(self) -> int:
        """The number of queries of each example."""
        return int(self.logits.shape[2])

    def signal(self, signal: Signal, drift: Drift = "none") -> Floats:
        """Returns a signal (models, examples, queries), computed once, one model at a time.

        `drift` says which drift is first subtracted from the logits; see `mgaudit.attacks.drift`.

        Raises:
            ValueError: For a drift, where there is no population.
        """
        key = signal, drift
        if key not in self._signals:
            self._signals[key] = _read_only(self._computed(signal, drift))
        return self._signals[key]

    def columns(self, keys: tuple[Key, ...]) -> Floats:
        """Returns several signals (models, signals * queries, examples), computed once.

        Each key is a signal and the drift that is first subtracted.
        """
        if keys not in self._columns:
            parts = [self._column(*key).swapaxes(1, 2) for key in keys]
            self._columns[keys] = _read_only(np.concatenate(parts, axis=1))
        return self._columns[keys]

    def _column(self, signal: Signal, drift: Drift) -> Floats:
        """Returns a signal (models, examples, queries); its phi is kept for other columns."""
        if not isinstance(signal, ConfidenceSignal):
            return self.signal(signal, drift)
        phi: Signal = logit_confidence
        if signal.temperature != 1:
            phi = Confidence(signal.temperature)
        return signal.of_confidence(self.signal(phi, drift))

    def _computed(self, signal: Signal, drift: Drift) -> Floats:
        """Returns a signal (models, examples, queries), one model at a time."""
        if isinstance(signal, ConfidenceSignal) and signal.temperature == 1:
            return signal.of_confidence(self.signal(logit_confidence, drift))
        labels, logits = self.labels, self.logits
        if drift != "none":
            fit = self._fit(drift)
            rows = (fit.corrected(model, of_model) for model, of_model in enumerate(logits))
            return np.stack([signal(of_model, labels) for of_model in rows])
        if self._origin is not None:
            others, model, other = self._origin
            values = others.signal(signal).copy()
            values[model] = other.signal(signal)[model]
            return values
        return np.stack([signal(of_model, labels) for of_model in logits])

    def population_signal(self, signal: Signal, drift: Drift = "none") -> Floats:
        """Returns a signal of the population (models, population, queries), computed once.

        Raises:
            ValueError: Where there is no population.
        """
        key = signal, drift
        if key not in self._population_signals:
            values = self._computed_population(signal, drift)
            self._population_signals[key] = _read_only(values)
        return self._population_signals[key]

    def _computed_population(self, signal: Signal, drift: Drift) -> Floats:
        """Returns a signal (models, population, queries), one model at a time."""
        logits, labels = self.population()
        if drift != "none":
            fit = self._fit(drift)
            rows = (
                fit.corrected_population(model, of_model) for model, of_model in enumerate(logits)
            )
            return np.stack([signal(of_model, labels) for of_model in rows])
        if self._origin is not None:
            others, model, other = self._origin
            values = others.population_signal(signal).copy()
            values[model] = other.population_signal(signal)[model]
            return values
        return np.stack([signal(of_model, labels) for of_model in logits])

    def totals(self, signal: Signal, drift: Drift = "none") -> Totals:
        """Returns the totals of a signal over all models, by membership, computed once."""
        key = signal, drift
        if key not in self._totals:
            self._totals[key] = Totals.over(self.signal(signal, drift), self.membership)
        return self._totals[key]

    def population(self) -> tuple[Logits, Labels]:
        """Returns logits and labels of the population.

        Raises:
            ValueError: Where there is no population.
        """
        if self.population_logits is None or self.population_labels is None:
            raise ValueError(NO_POPULATION)
        return self.population_logits, self.population_labels

    def with_model(self, model: int, other: "Ensemble") -> "Ensemble":
        """Returns the outputs with those that model `model` has in `other`, without extras."""
        logits = with_rows(self.logits, model, other.logits)
        population_logits = self.population_logits
        if population_logits is not None and other.population_logits is not None:
            population_logits = with_rows(population_logits, model, other.population_logits)
        mixed = Ensemble(
            logits,
            self.labels,
            self.membership,
            population_logits,
            self.population_labels,
            references=self.references,
        )
        object.__setattr__(mixed, "_origin", (self, model, other))
        return mixed

    def _fit(self, drift: Drift) -> DriftFit:
        if drift not in self._fits:
            population_logits, population_labels = self.population()
            self._fits[drift] = fit_drift(
                drift,
                self.logits,
                self.labels,
                population_logits,
                population_labels,
                self._mean_of,
            )
        return self._fits[drift]


def with_rows(logits: Logits, models: int | NDArray[np.int64], others: Logits) -> Logits:
    """Returns the logits (models, ...) with the rows `models` from `others` (models, ...).

    They are not copied: the result is read as an array is, model by model (`MixedLogits`).
    """
    return cast(Logits, MixedLogits(logits, models, others))


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    """Returns a view that cannot be written to: all attacks read the same arrays.

    Mixed logits stay as they are; their parts are read-only.

    The memory of the view is a read-only buffer, so `setflags(write=True)` fails for the view and
    for all parts of it. `values` itself is not changed.
    """
    if isinstance(values, MixedLogits):
        return values
    view: NDArray[Any] = np.asarray(values.data.toreadonly())
    return view
