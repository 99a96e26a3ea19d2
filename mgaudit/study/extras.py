"""What an attack may need beside logits: each extra by name, and how it is computed for the models of an arm."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from mgaudit.attacks.attack import OBSERVED
from mgaudit.errors import UsageError, did_you_mean
from mgaudit.storage.ensembles import Outputs
from mgaudit.study.design import Design
from mgaudit.targets.querying.ensemble import Ensemble

FEATURES = 32


class Models(Protocol):
    """The models of an arm that converged."""

    @property
    def converged(self) -> list[int]:
        """Their numbers."""

    def kept(
        self, what: str, inputs: tuple[str, ...], compute: Callable[[Ensemble], Outputs]
    ) -> Outputs:
        """Returns what is computed of them; the store keeps it under `what` and the SHA-256 of the `inputs`."""


@dataclass(frozen=True)
class Values:
    """Values (models, examples, ...) of the examples, and of the population (models, points, ...) if it has them."""

    of_examples: NDArray[np.floating]
    of_population: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Extra:
    """An extra.

    Args:
        name: What an attack writes into its `needs`.
        sentence: What it is, for the report's section on method.
        compute: Returns its values for an arm's converged models.
        made_up: Returns values (models, points, ...) for the planted data of `mgaudit.testing`, from the difficulty
            (1, points, 1) of each point, the logit confidence phi (models, points, queries) and a generator.
        of_population: Whether the population has it too.
        per_example_gradients: Whether the network must have per-example gradients.
    """

    name: str
    sentence: str
    compute: Callable[[Models, Design], Values]
    made_up: Callable[
        [NDArray[np.float64], NDArray[np.float64], np.random.Generator], NDArray[np.float64]
    ]
    of_population: bool = False
    per_example_gradients: bool = False


def extras_in(needs: Iterable[str]) -> list[Extra]:
    """Returns the extras among the needs of attacks. Raises UsageError for a need that nothing meets."""
    names = sorted(set(needs) - OBSERVED)
    for name in names:
        if name not in EXTRAS:
            known = [*sorted(OBSERVED), *EXTRAS]
            raise UsageError(
                "needs", f"must be of {', '.join(known)}", repr(name), did_you_mean(name, known)
            )
    return [extra for extra in EXTRAS.values() if extra.name in names]


def _gradient_norms(models: Models, design: Design) -> Values:
    dataset = design.dataset

    def measured(ensemble: Ensemble) -> Outputs:
        return {"pool": ensemble.gradient_norms(dataset.inputs, dataset.labels, design.device)}

    return Values(models.kept("gradient norms", (design.pool_sha256,), measured)["pool"])


def _features(models: Models, design: Design) -> Values:
    features, population = principal_components(design.dataset.inputs, design.dataset.test_inputs)
    count = len(models.converged)
    return Values(
        np.broadcast_to(features, (count, *features.shape)),
        np.broadcast_to(population, (count, *population.shape)),
    )


def principal_components(
    inputs: NDArray[np.float32], population: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the first FEATURES principal components of the inputs (examples, features) and of the population.

    The components are the population's, so they say nothing of the audited examples; the same for every model.
    """
    examples, others = (values.reshape(len(values), -1) for values in (inputs, population))
    fitted = PCA(min(FEATURES, *others.shape), svd_solver="covariance_eigh").fit(others)
    return fitted.transform(examples), fitted.transform(others)


def _norm_that_falls_with_phi(
    difficulty: NDArray[np.float64], phi: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = np.logaddexp(0, -phi).mean(axis=-1)
    return norms


def _difficulty_and_noise(
    difficulty: NDArray[np.float64], phi: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Returns one feature near the difficulty and one that says nothing."""
    drawn = generator.standard_normal((len(phi), phi.shape[1], 2))
    return np.concatenate([difficulty + 0.1 * drawn[..., :1], drawn[..., 1:]], axis=-1)


EXTRAS: dict[str, Extra] = {
    extra.name: extra
    for extra in (
        Extra(
            "gradient_norm",
            "One attack sees the weights, too: it reads the norm of each example's gradient.",
            _gradient_norms,
            _norm_that_falls_with_phi,
            per_example_gradients=True,
        ),
        Extra(
            "features",
            "Features are the first principal components of the inputs, those of the population.",
            _features,
            _difficulty_and_noise,
            of_population=True,
        ),
    )
}
