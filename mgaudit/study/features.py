"""Features of the inputs: the principal components of the population."""

import numpy as np
from numpy.typing import NDArray

FEATURES = 32  # principal components, if the data have as many
MOST_FULLY_SOLVED = 1024  # inputs of an example up to which all eigenvectors are computed
LEAST_VARIANCE = 1e-6  # of the largest; below it, float32 does not determine a component


def principal_components(
    inputs: NDArray[np.float32], population: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the first FEATURES principal components of the inputs and of the population.

    The components are those of the population, so they contain no information about the audited
    examples. They are the same for every model.

    The time to compute all eigenvectors of the covariance increases with the cube of the number of
    inputs. Beyond MOST_FULLY_SOLVED inputs, only the first ones are computed, by the Lanczos method
    (ARPACK), or, for few points, from their singular values. The components are then equal up to
    0.1 % of their standard deviation, and those without variance are 0.

    Args:
        inputs: Audited examples (examples, ...), float32.
        population: Other examples (points, ...), float32.

    Returns:
        Two arrays (examples, components) and (points, components), float32.
    """
    from sklearn.decomposition import PCA  # takes a second to import

    examples = inputs.reshape(len(inputs), -1)
    others = population.reshape(len(population), -1)
    count = min(FEATURES, *others.shape)
    solver = _solver(others)
    with np.errstate(invalid="ignore"):  # the ratio of variances of a constant population
        fitted = PCA(count, svd_solver=solver, random_state=0).fit(others)
    if solver != "covariance_eigh":
        variance = fitted.explained_variance_
        fitted.components_[variance <= LEAST_VARIANCE * variance.max()] = 0
    return fitted.transform(examples), fitted.transform(others)


def _solver(population: NDArray[np.float32]) -> str:
    """Returns the name of scikit-learn's solver for a population (points, inputs)."""
    points, inputs = population.shape
    if inputs <= MOST_FULLY_SOLVED:
        return "covariance_eigh"
    is_constant = bool((population == population[0]).all())  # ARPACK needs a variance
    return "full" if points < 2 * FEATURES or is_constant else "arpack"
