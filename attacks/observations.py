"""What an adversary sees: the models' outputs, and the shadow models' membership.

The *target* is the attacked model, and its *shadows* are models that the adversary trained on known
subsets of the same examples. A *query* is an input that is computed from an example, such as the
example itself or a mirrored image. A *signal* (`mgaudit.attacks.signals`) is a number for each
example and query, computed from the logits.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

<<<<<<< HEAD
from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.ensemble import Ensemble, Labels, Logits
from mgaudit.attacks.observation_checks import (
    check_extras,
    check_labels,
    check_logits,
    refuse_infinite,
    refuse_overlap,
)
=======
from mgaudit.attacks.references import ReferenceLimits, chosen_references
from mgaudit.attacks.shadow_moments import ShadowMoments, Totals, moments_of
from mgaudit.attacks.signals import logit_confidence

COINCIDENCES = 0.01  # share of the population that may equal audited examples by chance
COARSE = 0.1  # share of distinct values among logits, below which they coincide by chance
FEWEST_OF_COARSE = 5  # points with the coarse logits of an example that are no coincidence

Floats = NDArray[np.float64]
Logits = NDArray[np.floating]
Labels = NDArray[np.int64]
Extras = Mapping[str, NDArray[np.floating]]
Signal = Callable[[Logits, Labels], Floats]
>>>>>>> main


@dataclass(frozen=True)
class Observations(Ensemble):
    """Outputs of models that were each trained on a random subset of the same examples.

    Args:
        logits: Logits (models, examples, queries, classes), floating, finite.
        labels: Class numbers (examples,), integers in 0..classes - 1.
        membership: Membership (models, examples), bool; True where the model trained on the
            example. Every model has members and non-members.
        population_logits: Logits (models, population, queries, classes) of data on which no model
            trained, or None.
        population_labels: Class numbers (population,) of that data, or None.
        extras: By name, quantities that logits do not contain, (models, examples, ...), finite:
            "gradient_norm" (models, examples) and "features" (models, examples, features).
        population_extras: The same quantities for the population, (models, population, ...).
        references: Limits on the numbers of shadows that an example is compared with; None where
            membership was drawn by independent coins, so that these numbers reveal nothing.

    Raises:
        ValueError: For shapes that do not agree, for values that are not finite (the message names
            the model and the example), and for a population that contains an audited example.
    """

    def __post_init__(self) -> None:
        check_logits(self.logits)
        models, examples, _, classes = self.logits.shape
        check_labels("labels", self.labels, "examples", examples, classes)
        self._check_membership()
        for model in range(models):
            refuse_infinite("logits", self.logits[model], model)
        check_extras("extras", self.extras, "examples", models, examples)
        if (self.population_logits is None) != (self.population_labels is None):
            raise ValueError("population_logits and population_labels must be given together")
        if self.population_logits is not None and self.population_labels is not None:
            self._check_population(self.population_logits, self.population_labels)
        super().__post_init__()

    def _check_membership(self) -> None:
        models, examples = self.logits.shape[:2]
        shape, dtype = self.membership.shape, self.membership.dtype
        if shape != (models, examples) or dtype != np.bool_:
            raise ValueError(
                "membership must be a bool array of shape (models, examples) = "
                f"({models}, {examples}), got {dtype} of shape {shape}"
            )
        for model, members in enumerate(self.membership.sum(axis=1).tolist()):
            if members in (0, examples):
                raise ValueError(
                    f"membership of model {model} must hold members and non-members, "
                    f"got {members} of {examples}"
                )

    def _check_population(self, logits: Logits, labels: Labels) -> None:
        models, _, queries, classes = self.logits.shape
        population = len(labels)
        expected = (models, population, queries, classes)
        if logits.shape != expected:
            raise ValueError(
                "population_logits must have the shape (models, population, queries, classes) = "
                f"{expected}, got {logits.shape}"
            )
        check_labels("population_labels", labels, "population", population, classes)
        for model in range(models):
            refuse_infinite("population_logits", logits[model], model)
        check_extras("population_extras", self.population_extras, "population", models, population)
        refuse_overlap(self.logits, self.labels, logits, labels)

    def of_models(self, models: list[int]) -> "Observations":
        """Returns the outputs of the models with these indices, in this order."""
        population_logits = self.population_logits
        if population_logits is not None:
            population_logits = population_logits[models]
        extras = {name: values[models] for name, values in self.extras.items()}
        population_extras = {
            name: values[models] for name, values in self.population_extras.items()
        }
        return self._unchecked(
            logits=self.logits[models],
            membership=self.membership[models],
            population_logits=population_logits,
            extras=extras,
            population_extras=population_extras,
        )

    def _unchecked(self, **changes: Any) -> "Observations":
        """Returns the observations with other arrays, which are not checked again."""
        changed = object.__new__(Observations)
        for part in fields(self):
            value = changes.get(part.name, getattr(self, part.name)) if part.init else {}
            object.__setattr__(changed, part.name, value)
        Ensemble.__post_init__(changed)
        return changed

    def view(
        self,
        target: int,
        shadows: "Observations | None" = None,
        numbers: NDArray[np.int64] | None = None,
    ) -> AdversaryView:
        """Returns what an adversary of model `target` sees; all other models are its shadows.

        For the naive adversary, who does not know about the noise, `shadows` are the outputs of
        models that were trained on the same subsets without it; they replace the shadows. Model
        `target` of `shadows` is left out too, because it has the target's membership. `numbers` are
        those of the models that are shadows (shadows,), if only some of the others are.

        Raises:
            ValueError: For a target that does not exist, and for `shadows` with other labels,
                membership, queries or classes.
        """
<<<<<<< HEAD
        return AdversaryView(self, target, self if shadows is None else shadows, numbers)
=======
        return AdversaryView(self, target, self if shadows is None else shadows)

    def is_equal(self, other: "Observations") -> bool:
        """Returns whether all arrays equal those of `other`, with the signals computed so far.

        An array that torch shares, as with `torch.from_numpy`, can be changed although it is
        read-only.
        """
        pairs = [
            (getattr(self, name), getattr(other, name))
            for name in ("logits", "labels", "membership", "population_logits", "population_labels")
        ]
        for name in ("extras", "population_extras"):
            extras, others = getattr(self, name), getattr(other, name)
            pairs += [(values, others[key]) for key, values in extras.items()]
        pairs += [(values, other._signal(signal)) for signal, values in self._signals.items()]
        for signal, values in self._population_signals.items():
            pairs.append((values, other._population_signal(signal)))
        return all(np.array_equal(values, expected) for values, expected in pairs)

    def _signal(self, signal: Signal) -> Floats:
        """Returns the signal (models, examples, queries), computed once, one model at a time."""
        if signal not in self._signals:
            values = np.stack([signal(logits, self.labels) for logits in self.logits])
            self._signals[signal] = _read_only(values)
        return self._signals[signal]

    def _population_signal(self, signal: Signal) -> Floats:
        """Returns the signal of the population (models, population, queries), computed once.

        Raises:
            ValueError: Where there is no population.
        """
        if self.population_logits is None or self.population_labels is None:
            raise ValueError("there is no population: give population_logits and population_labels")
        if signal not in self._population_signals:
            labels = self.population_labels
            values = np.stack([signal(logits, labels) for logits in self.population_logits])
            self._population_signals[signal] = _read_only(values)
        return self._population_signals[signal]

    def _shadow_moments(self, signal: Signal, target: int) -> ShadowMoments:
        """Returns the moments of the signal over all models except `target`, without limits."""
        values = self._signal(signal)
        if signal not in self._totals:
            self._totals[signal] = Totals.over(values, self.membership)
        return self._totals[signal].without(values[target], self.membership[target])


class AdversaryView:
    """What the adversary of one target sees: outputs of target and shadows, shadow membership.

    The target's own membership is not a public attribute, and no public attribute depends on it.
    Shadows are numbered from 0 without the target.
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
    def labels(self) -> Labels:
        """The class number of each example (examples,), in 0..classes - 1."""
        return self.__observations.labels

    @property
    def population_labels(self) -> Labels:
        """The class number of each population point (population,); ValueError without any."""
        labels = self.__observations.population_labels
        if labels is None:
            raise ValueError("there is no population: give population_logits and population_labels")
        return labels

    @property
    def target_logits(self) -> Logits:
        """The target's logits (examples, queries, classes)."""
        logits: Logits = self.__observations.logits[self.__target]
        return logits

    def shadow_outputs(self, shadows: NDArray[np.int64], examples: NDArray[np.int64]) -> Logits:
        """Returns logits (pairs, queries, classes): shadow `shadows[i]` for example `examples[i]`.

        `shadows` and `examples` are indices (pairs,), from 0.
        """
        # The shadows are the models without the target, so numbers from its own on move up by 1.
        models = shadows + (shadows >= self.__target)
        logits: Logits = self.__shadows.logits[models, examples]
        return logits

    @property
    def shadow_membership(self) -> NDArray[np.bool_]:
        """Whether each shadow trained on each example (shadows, examples), bool.

        Attacks compare an example with `references_in` and `references_out` instead, whose numbers
        are limited where they would reveal the target's membership.
        """
        return np.delete(self.__shadows.membership, self.__target, axis=0)

    @cached_property
    def references_in(self) -> NDArray[np.bool_]:
        """The shadows with the example that it is compared with (shadows, examples), bool."""
        limits = self.__shadows.references
        most = None if limits is None else limits.references_in
        return self._references(self.shadow_membership, most)

    @cached_property
    def references_out(self) -> NDArray[np.bool_]:
        """The shadows without the example that it is compared with (shadows, examples), bool."""
        limits = self.__shadows.references
        most = None if limits is None else limits.references_out
        return self._references(~self.shadow_membership, most)

    def _references(self, candidates: NDArray[np.bool_], most: int | None) -> NDArray[np.bool_]:
        """Returns at most `most` of the candidates for each example; all without a limit."""
        if most is None:
            return candidates
        phi = self.shadow_signal(logit_confidence).mean(axis=-1)
        return chosen_references(phi, candidates, most)

    def target_signal(self, signal: Signal) -> Floats:
        """Returns a signal of the target's outputs (examples, queries)."""
        values: Floats = self.__observations._signal(signal)[self.__target]
        return values

    def population_signal(self, signal: Signal) -> Floats:
        """Returns a signal of the target's outputs on the population (population, queries).

        Raises:
            ValueError: Where there is no population.
        """
        values: Floats = self.__observations._population_signal(signal)[self.__target]
        return values

    def shadow_signal(self, signal: Signal) -> Floats:
        """Returns a signal of the shadows' outputs (shadows, examples, queries)."""
        return np.delete(self.__shadows._signal(signal), self.__target, axis=0)

    def shadow_population_signal(self, signal: Signal) -> Floats:
        """Returns a signal of the shadows on the population (shadows, population, queries).

        Raises:
            ValueError: Where there is no population.
        """
        return np.delete(self.__shadows._population_signal(signal), self.__target, axis=0)

    def shadow_moments(self, signal: Signal) -> ShadowMoments:
        """Returns counts, means and squared deviations of the references' signal, by example."""
        if self.__shadows.references is None:
            return self.__shadows._shadow_moments(signal, self.__target)
        return moments_of(self.shadow_signal(signal), self.references_in, self.references_out)

    def target_extra(self, name: str) -> NDArray[np.floating]:
        """Returns the target's extra of this name (examples, ...).

        Raises:
            ValueError: Where the observations have no such extra.
        """
        return _extra_of_model("extras", self.__observations.extras, name, self.__target)

    def population_extra(self, name: str) -> NDArray[np.floating]:
        """Returns the target's extra of this name for the population (population, ...).

        Raises:
            ValueError: Where the observations have no such extra of the population.
        """
        extras = self.__observations.population_extras
        return _extra_of_model("population_extras", extras, name, self.__target)


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    """Returns a view that cannot be written to: all attacks read the same arrays.

    The memory of the view is a read-only buffer, so `setflags(write=True)` fails for the view and
    for all parts of it. `values` itself is not changed.
    """
    view: NDArray[Any] = np.asarray(values.data.toreadonly())
    return view


def _extra_of_model(argument: str, extras: Extras, name: str, target: int) -> NDArray[np.floating]:
    """Returns the target's row of an extra (examples, ...); `argument` names `extras` in errors."""
    if name not in extras:
        raise ValueError(f"{argument} must hold {name!r}, got {sorted(extras)}")
    values: NDArray[np.floating] = extras[name][target]
    return values


def _check_logits(logits: Logits) -> None:
    """Raises ValueError unless `logits` are (models, examples, queries, classes) and not empty."""
    if logits.ndim != 4:
        raise ValueError(
            "logits must have the shape (models, examples, queries, classes), "
            f"got {logits.ndim} axes: {logits.shape}"
        )
    models, _, queries, classes = logits.shape
    if models < 1:
        raise ValueError("logits must hold at least 1 model (axis 0), got 0")
    if queries < 1 or classes < 2:
        raise ValueError(
            "logits must hold at least 1 query and 2 classes, "
            f"got {queries} and {classes} (axes 2 and 3)"
        )


def _check_labels(name: str, labels: Labels, axis: str, count: int, classes: int) -> None:
    """Raises ValueError unless `labels` are (count,) integers in 0..classes - 1.

    `name` and `axis` are the names of the labels and of their axis in the message.
    """
    if labels.shape != (count,):
        raise ValueError(f"{name} must have the shape ({count},) of the {axis}, got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{name} must be whole class numbers, got {labels.dtype}")
    if not count:
        return
    lowest, highest = labels.min(), labels.max()
    if not (lowest >= 0 and highest < classes):
        raise ValueError(f"{name} must lie in 0..{classes - 1}, got {lowest}..{highest}")


def _check_extras(name: str, extras: Extras, axis: str, models: int, count: int) -> None:
    """Raises ValueError unless every extra is finite and (models, count, ...).

    `name` and `axis` are the names of the extras and of their second axis in the message.
    """
    for key, values in extras.items():
        entry = f"{name}[{key!r}]"
        if values.shape[:2] != (models, count):
            raise ValueError(
                f"{entry} must have the shape (models, {axis}, ...) = ({models}, {count}, ...), "
                f"got {values.shape}"
            )
        for model in range(models):
            _refuse_infinite(entry, values[model], model)


def _check_same_design(observations: Observations, shadows: Observations) -> None:
    """Raises ValueError unless both have the same labels, membership, queries and classes."""
    for name in ("labels", "membership", "population_labels"):
        if not np.array_equal(getattr(observations, name), getattr(shadows, name)):
            raise ValueError(
                f"{name} of the shadows must equal that of the targets: "
                "both must be trained on the same subsets"
            )
    expected = observations.logits.shape[2:]
    shape = shadows.logits.shape[2:]
    if shape != expected:
        raise ValueError(
            f"logits of the shadows must have the (queries, classes) {expected} of the targets', "
            f"got {shape}"
        )


def _refuse_infinite(name: str, values: NDArray[np.floating], model: int) -> None:
    """Raises ValueError for a NaN or infinity in one model's `values` (examples, ...)."""
    axes_of_an_example = tuple(range(1, values.ndim))
    finite = np.isfinite(values).all(axis=axes_of_an_example)
    if not finite.all():
        example = int(np.flatnonzero(~finite)[0])
        raise ValueError(
            f"{name} must be finite, got NaN or infinity for model {model}, example {example}"
        )


def _refuse_overlap(
    logits: Logits, labels: Labels, population_logits: Logits, population_labels: Labels
) -> None:
    """Raises ValueError where points of the population repeat audited examples.

    A point repeats an example if it has the same label and, for every model, the same logits.
    Coarse or saturated logits and logits of models with dead units coincide by chance. So only
    contents that occur once among the audited examples and once in the population count, and an
    overlap is an error only if it exceeds both three times the rate of coincidences among the
    audited examples, and COINCIDENCES. Of coarse logits, such as the votes of three neighbours, a
    few points are no evidence.
    """
    audited = _contents(logits, labels)
    population = _contents(population_logits.astype(logits.dtype), population_labels)
    times = Counter([*audited, *population])
    example_of = dict(zip(audited, range(len(audited)), strict=True))
    overlap = [
        (point, example_of[content])
        for point, content in enumerate(population)
        if content in example_of and times[content] == 2
    ]
    if not overlap:
        return
    by_chance = 1 - len(example_of) / len(audited)
    share = len(overlap) / len(population)
    if share > max(3 * by_chance, COINCIDENCES):
        are_coarse = len(np.unique(logits)) < COARSE * logits.size
        if are_coarse and len(overlap) < FEWEST_OF_COARSE:
            return
        point, example = overlap[0]
        raise ValueError(
            "the population must not overlap the audited examples, "
            f"but {len(overlap)} of its points have label and logits of one of them "
            f"under every model (point {point}: example {example}); leave them out"
        )


def _contents(logits: Logits, labels: Labels) -> list[int]:
    """Returns, for each example, a hash of its label and of all models' logits for it.

    `logits` are (models, examples, queries, classes) and `labels` (examples,).
    """
    return [
        hash((int(label), logits[:, example].tobytes())) for example, label in enumerate(labels)
    ]
>>>>>>> main
