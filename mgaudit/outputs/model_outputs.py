"""Checked outputs of models that were each trained on some of the same examples."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks import Observations
from mgaudit.attacks.references import ReferenceLimits


@dataclass(frozen=True)
class ClippedProbabilities:
    """How probabilities became logits.

    `share` of the probabilities were below `clip` and were raised to it. `at` returns the logits of
    the examples and of the population for another clip. `arrays` are the probabilities as they
    were given, by their names in a npz file of outputs; empty if they need not be kept.
    """

    clip: float
    share: float
    at: Callable[[float], tuple[NDArray[np.floating], NDArray[np.floating] | None]]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelOutputs:
    """Outputs of models, as logits.

    Args:
        logits: Logits (models, examples, queries, classes), floating, finite.
        labels: Class numbers (examples,), int64; all 0 if the logits stand for confidences.
        membership: Whether a model trained on an example (models, examples), bool.
        population_logits: Logits (models, population, queries, classes) of data on which no model
            trained, or None.
        population_labels: Class numbers (population,) of that data, or None.
        true_labels: The class of each example (examples,), int64, or None if it is not known. They
            differ from `labels` if the logits stand for confidences.
        classes: The names of the classes.
        origins: A name for each example, such as "row 17".
        inputs: The inputs (examples, ...), finite, or None.
        groups: The number of the group of each example (examples,), int64, or None. All examples of
            a group go together into a model or stay out of it.
        population_groups: The number of the group of each point of the population (population,), or
            None.
        clipped: How probabilities became logits; None where logits were given.
        only_confidences: Whether the logits stand for the logit confidence phi alone.
        extras: By name, further values (models, examples, ...) that attacks may need.
        population_extras: The same for the population.
    """

    logits: NDArray[np.floating]
    labels: NDArray[np.int64]
    membership: NDArray[np.bool_]
    population_logits: NDArray[np.floating] | None
    population_labels: NDArray[np.int64] | None
    true_labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    origins: tuple[str, ...]
    inputs: NDArray[np.floating] | None = None
    groups: NDArray[np.int64] | None = None
    population_groups: NDArray[np.int64] | None = None
    clipped: ClippedProbabilities | None = None
    only_confidences: bool = False
    extras: dict[str, NDArray[np.floating]] = field(default_factory=dict)
    population_extras: dict[str, NDArray[np.floating]] = field(default_factory=dict)

    def observations(self, limits: ReferenceLimits | None) -> Observations:
        """Returns the outputs as attacks see them, with limits on the references."""
        return Observations(
            self.logits,
            self.labels,
            self.membership,
            self.population_logits,
            self.population_labels,
            self.extras,
            self.population_extras,
            limits,
        )

    def at_clip(self, clip: float) -> "ModelOutputs":
        """Returns the outputs with probabilities clipped at another value.

        Raises:
            ValueError: The outputs were not given as probabilities.
        """
        if self.clipped is None:
            raise ValueError("the outputs were not given as probabilities")
        logits, population_logits = self.clipped.at(clip)
        return replace(self, logits=logits, population_logits=population_logits)


@dataclass(frozen=True)
class ModelScores:
    """Scores of an attack that was mounted elsewhere.

    Args:
        scores: Scores (models, examples), float64, finite; higher means member.
        membership: Whether a model trained on an example (models, examples), bool.
        true_labels: The class of each example (examples,), int64, or None if it is not known.
        classes: The names of the classes; empty if they are not known.
        origins: A name for each example.
        inputs: The inputs (examples, ...), finite, or None.
        groups: The number of the group of each example (examples,), int64, or None.
    """

    scores: NDArray[np.float64]
    membership: NDArray[np.bool_]
    true_labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    origins: tuple[str, ...]
    inputs: NDArray[np.floating] | None = None
    groups: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class OutputsArm:
    """The outputs of the models of one arm, such as one training function.

    Args:
        key: The name of the arm, unique in the study.
        label: The name for readers.
        is_plain: Whether the other arms are compared with this one.
        outputs: The outputs of the models, or ready-made scores.
        failed: Indices of models whose training failed. They have no outputs: the rows of `outputs`
            are the other models, in ascending order.
        learning_rate: Initial learning rate; None if it is not known.
    """

    key: str
    label: str
    is_plain: bool
    outputs: ModelOutputs | ModelScores
    failed: list[int] = field(default_factory=list)
    learning_rate: float | None = None
