"""One scalar times one vector for each group of features, under weight noise: a group Lasso.

The network is f(x) = sum_g u_g v_g^T x_g, where x_g are the features of group g. X_g are the
columns of `inputs` X (examples, features) in that group. The risk R is (1/2n) sum_i (f(x_i) -
y_i)^2 over n examples, and E R is its mean over the noise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgaudit.theory.arguments import Floats, matrix, std_of, vector


def expected_risk(
    scalars: ArrayLike,
    vectors: ArrayLike,
    groups: Sequence[int],
    inputs: ArrayLike,
    targets: ArrayLike,
    std: float,
) -> float:
    """Returns the exact E R of f(x) = sum_g u_g v_g^T x_g with noise N(0, std^2) on all u and v.

        E R = R + (std^2 / 2n) sum_g [||X_g v_g||^2 + (u_g^2 + std^2) ||X_g||^2].

    Each group g of features is a linear network of one hidden unit. `scalars` is u (groups,),
    `vectors` is v (features,), `groups` (features,) is the number of each feature's group, from 0,
    and `targets` is (examples,). Raises ValueError for shapes that do not fit, groups that are not
    numbered 0, 1, ..., a std < 0 and values that are not finite. Source: arXiv 2206.04613; the
    parametrisation is ours.
    """
    network = _checked(scalars, vectors, groups, inputs, targets)
    variance = std_of("std", std) ** 2
    residual = network.residual()
    by_scalars = (network.fits() ** 2).sum()
    by_vectors = (network.u**2 + variance) @ network.sizes()
    squares = residual @ residual + std**2 * (by_scalars + by_vectors)
    return float(squares) / (2 * len(network.x))


def expected_risk_gradient(
    scalars: ArrayLike,
    vectors: ArrayLike,
    groups: Sequence[int],
    inputs: ArrayLike,
    targets: ArrayLike,
    std: float,
) -> tuple[Floats, Floats]:
    """Returns the gradients of `expected_risk` in u (groups,) and v (features,).

    Raises ValueError as that function does.
    """
    network = _checked(scalars, vectors, groups, inputs, targets)
    variance = std_of("std", std) ** 2
    u, v = network.u, network.v
    group, x = network.group, network.x
    slope = x.T @ network.residual()
    fits_of_features = network.fits()[:, group]
    penalty_on_scalars = variance * u * network.sizes()
    penalty_on_vectors = variance * (x * fits_of_features).sum(axis=0)
    fit_on_scalars = np.bincount(group, slope * v, len(u))
    by_scalars = fit_on_scalars + penalty_on_scalars
    by_vectors = slope * u[group] + penalty_on_vectors
    return by_scalars / len(x), by_vectors / len(x)


def least_coefficients(
    groups: Sequence[int], inputs: ArrayLike, targets: ArrayLike, std: float, sweeps: int = 1000
) -> Floats:
    """Returns b (features,), the minimum of a group Lasso.

    It minimises

        (1/2n) ||X b - y||^2 + (std^2 / n) sum_g ||X_g||_F ||X_g b_g||.

    Except for `constant`, the second term is the least that noise adds over all u and v with b_g =
    u_g v_g. The minimum is found by block coordinate descent (Simon and Tibshirani 2012). With the
    other groups fixed, the outputs of a group are fitted by least squares to the residual of the
    others, and their norm is reduced by std^2 ||X_g||_F; they are 0 if the norm is not larger than
    that. It ends when a sweep over the groups changes nothing beyond rounding. Raises ValueError as
    `expected_risk` does, and if the last of at most `sweeps` sweeps still changes something.
    """
    x = matrix("inputs", inputs)
    y = vector("targets", targets, len(x))
    group, count = _numbered(groups, x.shape[1])
    norms = np.sqrt(_sizes(x, group, count))
    shrinkage = std_of("std", std) ** 2 * norms
    members = [np.flatnonzero(group == index) for index in range(count)]
    inverses = [np.linalg.pinv(x[:, own]) for own in members]
    b = np.zeros(x.shape[1])
    largest_change = math.inf
    scale = float(np.linalg.norm(y))
    for _ in range(sweeps):
        largest_change = 0.0
        for own, inverse, threshold in zip(members, inverses, shrinkage, strict=True):
            x_own = x[:, own]
            before = x_own @ b[own]
            fitted = inverse @ (y - x @ b + before)
            size = np.linalg.norm(x_own @ fitted)
            kept = 1 - threshold / size if size > threshold else 0.0
            b[own] = fitted * kept
            change = np.linalg.norm(x_own @ b[own] - before)
            largest_change = max(largest_change, float(change))
        if largest_change <= 1e-14 * scale:
            return b
    raise ValueError(
        f"sweeps must be enough to converge, got {sweeps}: the last one changed the outputs of a "
        f"group by {largest_change:.2g}, while the norm of the targets is {scale:.2g}"
    )


def constant(inputs: ArrayLike, std: float) -> float:
    """Returns std^4 ||X||^2 / 2n, the part of E R - R that does not depend on the weights.

    Raises:
        ValueError: for a std < 0 and for inputs that are not a finite matrix.
    """
    x = matrix("inputs", inputs)
    square = float(np.vdot(x, x))
    return math.pow(std_of("std", std), 4) * square / (2 * len(x))


@dataclass(frozen=True)
class _Network:
    """The arguments of `expected_risk` after checks.

    `u` is (groups,), `v` (features,), `x` (examples, features) and `y` (examples,). `group`
    (features,) is the index of each feature's group.
    """

    u: Floats
    v: Floats
    group: NDArray[np.intp]
    x: Floats
    y: Floats

    def residual(self) -> Floats:
        """Returns the output minus the target of each example, (examples,)."""
        coefficients = self.u[self.group] * self.v
        return self.x @ coefficients - self.y

    def fits(self) -> Floats:
        """Returns X_g v_g, the output of each group before its factor u_g, (examples, groups)."""
        members = np.eye(len(self.u))[self.group]
        return (self.x * self.v) @ members

    def sizes(self) -> Floats:
        """Returns ||X_g||_F^2, the sum of the squared features of each group, (groups,)."""
        return _sizes(self.x, self.group, len(self.u))


def _checked(
    scalars: ArrayLike,
    vectors: ArrayLike,
    groups: Sequence[int],
    inputs: ArrayLike,
    targets: ArrayLike,
) -> _Network:
    """Returns the arguments as a network. Raises ValueError as `expected_risk` does."""
    x = matrix("inputs", inputs)
    examples, features = x.shape
    group, count = _numbered(groups, features)
    return _Network(
        vector("scalars", scalars, count),
        vector("vectors", vectors, features),
        group,
        x,
        vector("targets", targets, examples),
    )


def _numbered(groups: Sequence[int], features: int) -> tuple[NDArray[np.intp], int]:
    """Returns the group of each feature as an array (features,), and the number of groups.

    Raises ValueError unless there is one group for each feature, and they are 0, 1, ... without
    gaps.
    """
    group = np.asarray(groups)
    numbers = np.unique(group)
    if group.shape != (features,) or not np.array_equal(numbers, np.arange(len(numbers))):
        raise ValueError(
            f"groups must number the groups 0, 1, ... of {features} features, got {list(groups)}"
        )
    return group.astype(np.intp), len(numbers)


def _sizes(x: Floats, group: NDArray[np.intp], count: int) -> Floats:
    """Returns ||X_g||_F^2 (groups,) for features `x` (examples, features) in `count` groups.

    `group` (features,) is the index of each feature's group.
    """
    squares = (x**2).sum(axis=0)
    return np.bincount(group, weights=squares, minlength=count).astype(np.float64)
