"""What the adversary of one target sees, without the target's membership."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.drift import Drift
from mgaudit.attacks.ensemble import Ensemble, Extras, Floats, Key, Labels, Logits, Signal
from mgaudit.attacks.references import ReferenceLimits, chosen_references
from mgaudit.attacks.shadow_moments import (
    ShadowMoments,
    Totals,
    mean_of_columns,
    moments_of,
    moments_of_columns,
)
from mgaudit.attacks.signals import logit_confidence


class AdversaryView:
    """What the adversary of one target sees: outputs of target and shadows, shadow membership.

    The target's own membership is not a public attribute, and no public attribute depends on it.
    Shadows are numbered from 0 without the target.
    """

    def __init__(
        self,
        observations: Ensemble,
        target: int,
        shadows: Ensemble,
        numbers: NDArray[np.int64] | None = None,
        limits: ReferenceLimits | None = None,
        smaller: "AdversaryView | None" = None,
        left_out: NDArray[np.int64] | None = None,
        whole: "AdversaryView | None" = None,
    ) -> None:
        """Makes the view of a target; see `Observations.view`.

        Args:
            observations: The outputs of the target, as model `target`.
            target: The number of the target.
            shadows: The outputs of the shadows.
            numbers: The numbers of the models that are shadows (shadows,); None for all others.
            limits: Limits on the numbers of references; None for those of `shadows`.
            smaller: A view of the same target with the first of these shadows only, whose totals
                are reused.
            left_out: Without `numbers`, the models beside the target that are no shadows either
                (models,); None for none.
            whole: The view of the same target with all shadows, whose signals are reused.
        """
        if not 0 <= target < observations.models:
            raise ValueError(f"target must lie in 0..{observations.models - 1}, got {target}")
        if shadows is not observations:
            check_same_design(observations, shadows)
        self.__left_out = None
        if numbers is None:
            self.__left_out = np.array([], dtype=np.int64) if left_out is None else left_out
            numbers = np.delete(np.arange(shadows.models), [target, *self.__left_out.tolist()])
        self.__observations = observations
        self.__shadows = shadows
        self.__target = target
        self.__shadow_numbers = numbers
        self.__smaller = smaller
        self.__whole = whole
        self.__totals: dict[tuple[Signal, Drift], Totals] = {}
        self.__limits = shadows.references if limits is None else limits

    @property
    def shadows(self) -> int:
        """The number of shadows."""
        return len(self.__shadow_numbers)

    @property
    def has_population(self) -> bool:
        """Whether there is a population, data on which no model trained."""
        return self.__observations.population_logits is not None

    @property
    def labels(self) -> Labels:
        """The class number of each example (examples,), in 0..classes - 1."""
        return self.__observations.labels

    @property
    def population_labels(self) -> Labels:
        """The class number of each population point (population,); ValueError without any."""
        _, labels = self.__observations.population()
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
        logits: Logits = self.__shadows.logits[self.__shadow_numbers[shadows], examples]
        return logits

    @property
    def shadow_membership(self) -> NDArray[np.bool_]:
        """Whether each shadow trained on each example (shadows, examples), bool.

        Attacks compare an example with `references_in` and `references_out` instead, whose numbers
        are limited where they would reveal the target's membership.
        """
        membership: NDArray[np.bool_] = self.__shadows.membership[self.__shadow_numbers]
        return membership

    @cached_property
    def references_in(self) -> NDArray[np.bool_]:
        """The shadows with the example that it is compared with (shadows, examples), bool."""
        most = None if self.__limits is None else self.__limits.references_in
        return self._references(self.shadow_membership, most)

    @cached_property
    def references_out(self) -> NDArray[np.bool_]:
        """The shadows without the example that it is compared with (shadows, examples), bool."""
        most = None if self.__limits is None else self.__limits.references_out
        return self._references(~self.shadow_membership, most)

    def _references(self, candidates: NDArray[np.bool_], most: int | None) -> NDArray[np.bool_]:
        """Returns at most `most` of the candidates for each example; all without a limit."""
        if most is None:
            return candidates
        phi = self.shadow_signal(logit_confidence).mean(axis=-1)
        return chosen_references(phi, candidates, most)

    # A signal of logits without drift is that of `_ensemble`, in which the target is a model too.

    def target_signal(self, signal: Signal, drift: Drift = "none") -> Floats:
        """Returns a signal of the target's outputs (examples, queries).

        `drift`, here and below, is the drift of each model's classes that is subtracted from its
        logits (`mgaudit.attacks.drift`). Without a population, ValueError is raised for a drift.
        """
        source = self.__observations if drift == "none" else self._ensemble
        values: Floats = source.signal(signal, drift)[self.__target]
        return values

    def population_signal(self, signal: Signal, drift: Drift = "none") -> Floats:
        """Returns a signal of the target's outputs on the population (population, queries).

        Raises:
            ValueError: Where there is no population.
        """
        source = self.__observations if drift == "none" else self._ensemble
        values: Floats = source.population_signal(signal, drift)[self.__target]
        return values

    def shadow_signal(self, signal: Signal, drift: Drift = "none") -> Floats:
        """Returns a signal of the shadows' outputs (shadows, examples, queries)."""
        source = self.__shadows if drift == "none" else self._ensemble
        values: Floats = source.signal(signal, drift)[self.__shadow_numbers]
        return values

    def shadow_population_signal(self, signal: Signal, drift: Drift = "none") -> Floats:
        """Returns a signal of the shadows on the population (shadows, population, queries).

        Raises:
            ValueError: Where there is no population.
        """
        source = self.__shadows if drift == "none" else self._ensemble
        values: Floats = source.population_signal(signal, drift)[self.__shadow_numbers]
        return values

    def shadow_moments(self, signal: Signal, drift: Drift = "none") -> ShadowMoments:
        """Returns counts, means and squared deviations of the references' signal, by example."""
        if self.__limits is None and self.__left_out is not None:
            source = self.__shadows if drift == "none" else self._ensemble
            left_out = np.append(self.__left_out, self.__target)
            values, members = source.signal(signal, drift)[left_out], source.membership[left_out]
            return source.totals(signal, drift).minus(values, members).moments()
        if self.__limits is None and self.__smaller is not None:
            return self._totals(signal, drift).moments()
        values = self.shadow_signal(signal, drift)
        return moments_of(values, self.references_in, self.references_out)

    # Several signals at once are columns: (examples, signals * queries), signal by signal. They are
    # computed from target and shadows alone. So even by rounding, they do not depend on the
    # target's membership.

    def target_columns(self, keys: tuple[Key, ...]) -> Floats:
        """Returns signals of the target (examples, signals * queries), each with its drift."""
        values: Floats = self._ensemble.columns(keys)[self.__target].T
        return values

    def reference_moments(self, keys: tuple[Key, ...]) -> ShadowMoments:
        """Returns the moments of the references' signals, (examples, signals * queries) each."""
        values = self._ensemble.columns(keys)
        return moments_of_columns(values, *self._references_of_models)

    def reference_means(self, keys: tuple[Key, ...]) -> tuple[Floats, Floats]:
        """Returns means over IN and over OUT references, (examples, signals * queries) each.

        A mean is NaN for an example without such a reference.
        """
        values = self._ensemble.columns(keys)
        inside, outside = self._references_of_models
        return mean_of_columns(values, inside), mean_of_columns(values, outside)

    @cached_property
    def _references_of_models(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The models that are IN and OUT references of each example (models, examples), bool."""
        shape = self.__shadows.membership.shape
        inside, outside = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        inside[self.__shadow_numbers] = self.references_in
        outside[self.__shadow_numbers] = self.references_out
        return inside, outside

    def with_more_shadows(self, numbers: NDArray[np.int64]) -> "AdversaryView":
        """Returns the view with further models as shadows, whose numbers are (more shadows,).

        Moments are updated instead of computed again.
        """
        more = np.concatenate([self.__shadow_numbers, numbers])
        observations, shadows, target = self.__observations, self.__shadows, self.__target
        return AdversaryView(observations, target, shadows, more, self.__limits, smaller=self)

    def without(self, models: NDArray[np.int64]) -> "AdversaryView":
        """Returns the view without some of the shadows, for the jackknife over models.

        `models` are numbers of models, among which the target is ignored. Limits on references are
        lower by the number of shadows left out, but at least 1.
        """
        left_out = models[models != self.__target]
        limits = _lowered(self.__limits, len(left_out), least=1)
        observations, shadows, target = self.__observations, self.__shadows, self.__target
        return AdversaryView(
            observations, target, shadows, limits=limits, left_out=left_out, whole=self
        )

    def _totals(self, signal: Signal, drift: Drift) -> Totals:
        """Returns the totals of a signal over the shadows."""
        key = signal, drift
        if key not in self.__totals:
            source = self.__shadows if drift == "none" else self._ensemble
            centre = source.totals(signal, drift).centre
            known = 0 if self.__smaller is None else self.__smaller.shadows
            new = self.__shadow_numbers[known:]
            values, members = source.signal(signal, drift)[new], source.membership[new]
            totals = Totals.about(centre, values, members)
            if self.__smaller is not None:
                totals = self.__smaller._totals(signal, drift).plus(totals)
            self.__totals[key] = totals
        return self.__totals[key]

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

    def pseudo_target(self, shadow: int) -> tuple["AdversaryView", NDArray[np.bool_]]:
        """Returns the view of an adversary of a shadow, and the membership of the shadow.

        The other shadows are its shadows; the target is not among them. An attack can be trained on
        such views, because the adversary knows the membership of the shadows (examples,), bool.
        Limits on references are lower by 1, because there is one shadow less.
        """
        model = int(self.__shadow_numbers[shadow])
        others = np.delete(self.__shadow_numbers, shadow)
        ensemble = self._ensemble
        view = AdversaryView(ensemble, model, ensemble, others, self._lower_limits)
        return view, ensemble.membership[model]

    def like_pseudo_target(self) -> "AdversaryView":
        """Returns the same view under the limits on references of `pseudo_target`.

        Its `shadow_moments` are computed from the shadows alone. So they do not depend on the
        target's membership even by rounding.
        """
        ensemble, numbers = self._ensemble, self.__shadow_numbers
        return AdversaryView(ensemble, self.__target, ensemble, numbers, self._lower_limits)

    @property
    def has_limits(self) -> bool:
        """Whether the numbers of references are limited: membership was not drawn by coins."""
        return self.__limits is not None

    @property
    def _lower_limits(self) -> ReferenceLimits | None:
        """The limits for a pseudo-target, which has one shadow less; None without limits."""
        return _lowered(self.__limits, 1, least=0)

    @cached_property
    def _ensemble(self) -> Ensemble:
        """The outputs of the shadows, with the target in the row that has its number."""
        if self.__whole is not None:
            return self.__whole._ensemble
        if self.__shadows is self.__observations:
            return self.__observations
        return self.__shadows.with_model(self.__target, self.__observations)


def _lowered(limits: ReferenceLimits | None, by: int, least: int) -> ReferenceLimits | None:
    """Returns both limits lowered by a number, but not below `least`; None without limits."""
    if limits is None:
        return None
    return ReferenceLimits(
        max(limits.references_in - by, least), max(limits.references_out - by, least)
    )


def _extra_of_model(argument: str, extras: Extras, name: str, target: int) -> NDArray[np.floating]:
    """Returns the target's row of an extra (examples, ...); `argument` names `extras` in errors."""
    if name not in extras:
        raise ValueError(f"{argument} must hold {name!r}, got {sorted(extras)}")
    values: NDArray[np.floating] = extras[name][target]
    return values


def check_same_design(observations: Ensemble, shadows: Ensemble) -> None:
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
