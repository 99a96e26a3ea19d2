"""Features of the inputs: the principal components of the population."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FEATURES = 32  # principal components, if the data have as many
MOST_FULLY_SOLVED = 1024  # inputs of an example up to which all eigenvectors are computed
FEWEST_POINTS = 2 * FEATURES  # for the Lanczos method
LEAST_VARIANCE = 1e-6  # of the largest; below it, float32 does not determine a component


def principal_components(
    inputs: NDArray[np.float32], population: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the first FEATURES principal components of the inputs and of the population.

    The components are those of the population, so they contain no information about the audited
    examples. They are the same for every model.

    The time to compute all eigenvectors of the covariance increases with the cube of the number of
    inputs. Beyond MOST_FULLY_SOLVED inputs, the Lanczos method (ARPACK) computes only the first
    ones, which are then equal up to 0.1 % of the standard deviation of the first component.

    Args:
        inputs: Audited examples (examples, ...), float32.
        population: Other examples (points, ...), float32.

    Returns:
        Two arrays (examples, components) and (points, components), float32.
    """
    examples = inputs.reshape(len(inputs), -1)
    others = population.reshape(len(population), -1)
    fitted = _fitted(others)
    return fitted.transform(examples), fitted.transform(others)


def number_of_components(population: NDArray[np.float32]) -> int:
    """Returns how many components a population (points, inputs) has, at most FEATURES."""
    points, inputs = population.shape
    return int(min(FEATURES, points, inputs))


def _fitted(population: NDArray[np.float32]) -> Any:
    """Returns scikit-learn's PCA of a population (points, inputs)."""
    from sklearn.decomposition import PCA  # takes a second to import

    points, inputs = population.shape
    count = number_of_components(population)
    is_constant = bool((population == population[0]).all())
    if inputs > MOST_FULLY_SOLVED and points >= FEWEST_POINTS and not is_constant:
        fitted = PCA(count, svd_solver="arpack", random_state=0).fit(population)
        variance = fitted.explained_variance_
        if variance.min() > LEAST_VARIANCE * variance.max():
            return fitted
        # ARPACK continues from random vectors where the rank is lower than the number of components
    with np.errstate(invalid="ignore"):  # the ratio of variances of a constant population
        return PCA(count, svd_solver="covariance_eigh").fit(population)
