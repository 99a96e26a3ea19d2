"""What an adversary sees: the models' outputs, and the shadow models' membership.

The *target* is the attacked model, and its *shadows* are models that the adversary trained on known
subsets of the same examples. A *query* is an input that is computed from an example, such as the
example itself or a mirrored image. A *signal* (`mgaudit.attacks.signals`) is a number for each
example and query, computed from the logits.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView, check_same_design
from mgaudit.attacks.ensemble import Cache, Ensemble, Labels, Logits, with_rows
from mgaudit.attacks.observation_checks import (
    check_extras,
    check_labels,
    check_logits,
    refuse_infinite,
    refuse_overlap,
)


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
        changed.__setstate__({**self.__getstate__(), **changes})
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
        return AdversaryView(self, target, self if shadows is None else shadows, numbers)

    def with_shadows_only(
        self, numbers: NDArray[np.int64], shadows: "Observations | None" = None
    ) -> "Observations":
        """Returns the outputs for attacks whose only shadows are the models `numbers`.

        The drift of a model is measured from the mean over these shadows. So the score of a target
        with `view(target, numbers=numbers)` depends on the target and these shadows, and on no
        other model.

        Args:
            numbers: The numbers of the models that are shadows (shadows,).
            shadows: For the naive adversary, the outputs of the models that are the shadows, as in
                `view`. The outputs of the models `numbers` are then those in `shadows`.

        Raises:
            ValueError: As `view`.
        """
        separate = self._unchecked() if shadows is None else self._replaced(numbers, shadows)
        if shadows is None:
            # Signals of a model's own outputs, without drift, do not depend on other models.
            separate._signals.update(_without_drift(self._signals))
            separate._population_signals.update(_without_drift(self._population_signals))
        object.__setattr__(separate, "_mean_of", numbers)
        return separate

    def _replaced(self, numbers: NDArray[np.int64], others: "Observations") -> "Observations":
        """Returns the outputs, in which the models `numbers` have those of `others`."""
        check_same_design(self, others)
        population_logits = self.population_logits
        if population_logits is not None and others.population_logits is not None:
            population_logits = with_rows(population_logits, numbers, others.population_logits)
        return self._unchecked(
            logits=with_rows(self.logits, numbers, others.logits),
            population_logits=population_logits,
        )

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
        pairs += [(values, other.signal(*key)) for key, values in self._signals.items()]
        for key, values in self._population_signals.items():
            pairs.append((values, other.population_signal(*key)))
        return all(np.array_equal(values, expected) for values, expected in pairs)


def _without_drift(signals: Cache) -> Cache:
    """Returns the signals that are computed without subtracting a drift."""
    return {key: values for key, values in signals.items() if key[1] == "none"}
