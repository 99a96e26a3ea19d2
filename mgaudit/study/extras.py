"""Extras: values of the examples that an attack may need beside logits, such as gradient norms.

An arm is one noise scheme of a study, with the models trained under it. The population are the test
examples, which no model was trained on.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import OBSERVED
from mgaudit.errors import UsageError, did_you_mean
from mgaudit.storage.ensembles import Outputs
from mgaudit.study.design import Design
from mgaudit.study.features import number_of_components
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.querying.ensemble import Ensemble


class Models(Protocol):
    """The models of an arm that converged."""

    @property
    def converged(self) -> Sequence[int]:
        """The indices of the models, in the order of all their outputs."""

    def kept(
        self, what: str, inputs: tuple[str, ...], compute: Callable[[Ensemble], Outputs]
    ) -> Outputs:
        """Returns the outputs that `compute` returns for the models.

        The outputs may be kept. They are then identified by the name `what` and by `inputs`, the
        SHA-256 of everything that the models are queried with.
        """


@dataclass(frozen=True)
class Values:
    """The values of an extra.

    `of_examples` is (models, examples, ...). `of_population` is (models, points, ...) with a point
    for each test example, or None for an extra that the population does not have.
    """

    of_examples: NDArray[np.floating]
    of_population: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Extra:
    """A kind of values that an attack may need beside logits, such as gradient norms.

    Args:
        name: The name in the `needs` of an attack.
        sentence: A description for the report's section on method.
        compute: Returns the values for an arm's converged models.
        shape_of_example: Returns the shape of the values of one example.
        made_up: Returns values (models, points, ...) for the planted data of `mgaudit.testing`,
            from the difficulty (1, points, 1) of each point, the logit confidence phi (models,
            points, queries) and a generator.
        of_population: Whether the population has it too.
        per_example_gradients: Whether the network must have per-example gradients.
    """

    name: str
    sentence: str
    compute: Callable[[Models, Design], Values]
    shape_of_example: Callable[[Dataset], tuple[int, ...]]
    made_up: Callable[
        [NDArray[np.float64], NDArray[np.float64], np.random.Generator], NDArray[np.float64]
    ]
    of_population: bool = False
    per_example_gradients: bool = False


def extras_in(needs: Iterable[str]) -> list[Extra]:
    """Returns the extras among the needs of attacks, each once, in the order of `EXTRAS`.

    Raises:
        UsageError: For a need that is not known.
    """
    names = sorted(set(needs) - OBSERVED)
    for name in names:
        if name not in EXTRAS:
            known = [*sorted(OBSERVED), *EXTRAS]
            rule = f"must be of {', '.join(known)}"
            raise UsageError("needs", rule, repr(name), did_you_mean(name, known))
    return [extra for extra in EXTRAS.values() if extra.name in names]


def _gradient_norms(models: Models, design: Design) -> Values:
    """Returns the norm of the loss gradient of each example, from the models' weights."""
    dataset = design.dataset

    def compute(ensemble: Ensemble) -> Outputs:
        norms = ensemble.gradient_norms(dataset.inputs, dataset.labels, design.device)
        return {"pool": norms}

    outputs = models.kept("gradient norms", (design.pool_sha256,), compute)
    return Values(outputs["pool"])


def _features(models: Models, design: Design) -> Values:
    """Returns principal components of the inputs, (models, examples, components)."""
    features, population = design.features
    count = len(models.converged)
    of_examples = np.broadcast_to(features, (count, *features.shape))
    of_population = np.broadcast_to(population, (count, *population.shape))
    return Values(of_examples, of_population)


def _shape_of_features(dataset: Dataset) -> tuple[int, ...]:
    tests = dataset.test_inputs
    return (number_of_components(tests.reshape(len(tests), -1)),)


def _norm_that_falls_with_phi(
    difficulty: NDArray[np.float64], phi: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Returns made-up gradient norms (models, points): the mean of log(1 + e^-phi) over queries."""
    norms: NDArray[np.float64] = np.logaddexp(0, -phi).mean(axis=-1)
    return norms


def _difficulty_and_noise(
    difficulty: NDArray[np.float64], phi: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Returns two made-up features (models, points, 2): the noisy difficulty, and noise alone."""
    models, points = phi.shape[:2]
    noise = generator.standard_normal((models, points, 2))
    informative = difficulty + 0.1 * noise[..., :1]
    return np.concatenate([informative, noise[..., 1:]], axis=-1)


GRADIENT_NORM = Extra(
    "gradient_norm",
    "One attack also uses the weights: it uses the norm of the gradient of each example.",
    _gradient_norms,
    lambda _: (),
    _norm_that_falls_with_phi,
    per_example_gradients=True,
)
PRINCIPAL_COMPONENTS = Extra(
    "features",
    "Features are the first principal components of the inputs, computed on the population.",
    _features,
    _shape_of_features,
    _difficulty_and_noise,
    of_population=True,
)
EXTRAS: dict[str, Extra] = {extra.name: extra for extra in (GRADIENT_NORM, PRINCIPAL_COMPONENTS)}
