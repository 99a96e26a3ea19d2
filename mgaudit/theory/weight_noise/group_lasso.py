"""One scalar times one vector for each group of features, under weight noise: a group Lasso."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgaudit.theory.arguments import Floats, matrix, std_of, vector


def expected_risk(
    scalars: ArrayLike, vectors: ArrayLike, groups: Sequence[int], inputs: ArrayLike, targets: ArrayLike, std: float
) -> float:
    """Returns E R of f(x) = sum_g u_g v_g^T x_g with independent noise N(0, std^2) on all u and v; exact.

    E R = R + (std^2 / 2n) sum_g [||X_g v_g||^2 + (u_g^2 + std^2) ||X_g||^2]. `scalars` u is (groups,), `vectors` v
    (features,), and `groups` (features,) says from 0 on which group a feature is in; `targets` (examples,). Each group
    is a linear network of one hidden unit. Raises ValueError for shapes that do not fit, groups that are not numbered
    0, 1, ..., a std < 0 and values that are not finite. Source: arXiv 2206.04613; the
    parametrisation is ours.
    """
    u, v, group, x, y = _checked(scalars, vectors, groups, inputs, targets)
    residual = x @ (u[group] * v) - y
    fits, sizes = _fits(x, v, group, len(u)), _sizes(x, group, len(u))
    added = (fits**2).sum() + (u**2 + std_of("std", std) ** 2) @ sizes
    return float(residual @ residual + std**2 * added) / (2 * len(x))


def expected_risk_gradient(
    scalars: ArrayLike, vectors: ArrayLike, groups: Sequence[int], inputs: ArrayLike, targets: ArrayLike, std: float
) -> tuple[Floats, Floats]:
    """Returns the gradients of `expected_risk` in u (groups,) and v (features,); raises what it raises."""
    u, v, group, x, y = _checked(scalars, vectors, groups, inputs, targets)
    variance = std_of("std", std) ** 2
    slope = x.T @ (x @ (u[group] * v) - y)
    fits, sizes = _fits(x, v, group, len(u)), _sizes(x, group, len(u))
    to_scalars = np.bincount(group, slope * v, len(u)) + variance * u * sizes
    to_vectors = slope * u[group] + variance * (x * fits[:, group]).sum(axis=0)
    return to_scalars / len(x), to_vectors / len(x)


def least_coefficients(
    groups: Sequence[int], inputs: ArrayLike, targets: ArrayLike, std: float, sweeps: int = 1000
) -> Floats:
    """Returns b (features,) with the least (1/2n) ||X b - y||^2 + (std^2 / n) sum_g ||X_g||_F ||X_g b_g||.

    The second term is the least that noise adds for b_g = u_g v_g, but for a constant.
    By block coordinate descent: with the other groups fixed, the outputs of one are those of least squares on what the
    others leave, shortened by std^2 ||X_g||_F, and 0 where they are no longer than that (Simon and Tibshirani 2012).
    Ends when a sweep changes nothing beyond rounding. Raises ValueError as `expected_risk` does, and where the last of
    `sweeps` still changes something.
    """
    x = matrix("inputs", inputs)
    y = vector("targets", targets, len(x))
    group, count = _numbered(groups, x.shape[1])
    lost = std_of("std", std) ** 2 * np.sqrt(_sizes(x, group, count))
    members = [np.flatnonzero(group == one) for one in range(count)]
    backs = [np.linalg.pinv(x[:, own]) for own in members]
    b, moved, scale = np.zeros(x.shape[1]), math.inf, float(np.linalg.norm(y))
    for _ in range(sweeps):
        moved = 0.0
        for own, back, shorter in zip(members, backs, lost, strict=True):
            before = x[:, own] @ b[own]
            fitted = back @ (y - x @ b + before)
            size = np.linalg.norm(x[:, own] @ fitted)
            b[own] = fitted * (1 - shorter / size if size > shorter else 0.0)
            moved = max(moved, float(np.linalg.norm(x[:, own] @ b[own] - before)))
        if moved <= 1e-14 * scale:
            return b
    raise ValueError(
        f"sweeps must be so many that the last one changes nothing, got {sweeps}: it still moved the outputs of a "
        f"group by {moved:.2g}, targets being of norm {scale:.2g}"
    )


def constant(inputs: ArrayLike, std: float) -> float:
    """Returns std^4 ||X||^2 / 2n, what noise adds whatever the weights; raises ValueError."""
    x = matrix("inputs", inputs)
    return math.pow(std_of("std", std), 4) * float(np.vdot(x, x)) / (2 * len(x))


def _checked(
    scalars: ArrayLike, vectors: ArrayLike, groups: Sequence[int], inputs: ArrayLike, targets: ArrayLike
) -> tuple[Floats, Floats, NDArray[np.intp], Floats, Floats]:
    x = matrix("inputs", inputs)
    group, count = _numbered(groups, x.shape[1])
    return (
        vector("scalars", scalars, count),
        vector("vectors", vectors, x.shape[1]),
        group,
        x,
        vector("targets", targets, len(x)),
    )


def _numbered(groups: Sequence[int], features: int) -> tuple[NDArray[np.intp], int]:
    """Returns the group of each feature, and how many groups there are."""
    group = np.asarray(groups)
    seen = np.unique(group)
    if group.shape != (features,) or not np.array_equal(seen, np.arange(len(seen))):
        raise ValueError(f"groups must number the groups 0, 1, ... of {features} features, got {list(groups)}")
    return group.astype(np.intp), len(seen)


def _fits(x: Floats, v: Floats, group: NDArray[np.intp], count: int) -> Floats:
    """Returns X_g v_g (examples, groups)."""
    fits: Floats = (x * v) @ np.eye(count)[group]
    return fits


def _sizes(x: Floats, group: NDArray[np.intp], count: int) -> Floats:
    """Returns ||X_g||_F^2 (groups,)."""
    sizes: Floats = np.bincount(group, weights=(x**2).sum(axis=0), minlength=count).astype(np.float64)
    return sizes
