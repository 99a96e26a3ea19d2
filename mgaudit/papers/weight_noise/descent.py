"""Gradient descent under weight noise, for models so small that the gradient is a formula.

The weights of a model are in M groups, such as the layers of a network. Many models may be trained
at once, along the leading axes of all groups.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Weights = list[Floats]


def least_squares(xs: Sequence[Floats], ys: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Returns XᵀX / n and YᵀX / n of each problem, which determine the gradient of least squares.

    `xs` are (examples, features), `ys` (examples,) or (examples, outputs), one of each for a
    problem. The results are (problems, features, features) and (problems, features) or (problems,
    outputs, features).
    """
    covariances, correlations = [], []
    for x, y in zip(xs, ys, strict=True):
        covariances.append(x.T @ x / len(x))
        correlations.append(y.T @ x / len(x))
    return np.stack(covariances), np.stack(correlations)


def noisy_descent(
    gradient: Callable[[Weights], Weights],
    predictor: Callable[[Weights], Floats],
    start: Weights,
    noise: str,
    sigma: Floats | float,
    rate: float,
    steps: int,
    generator: np.random.Generator,
) -> Floats:
    """Returns the predictor after descent under weight noise, averaged over the second half.

    Each gradient is taken at weights with the noise of the scheme WeightNoise: sd σ/√M on all M
    groups, or sd σ on one group in turn. The step is made from the weights without noise. The
    learning rate falls linearly from `rate` to 0; the weights keep moving around the minimum, and
    the average removes most of that motion.

    Args:
        gradient: maps groups of weights to their gradients, in the same shapes.
        predictor: maps groups of weights to their joint prediction.
        start: initial weights, a float64 array for each of the M groups.
        noise: one of `noises.NOISES`.
        sigma: strength σ >= 0 of the noise; an array broadcasts against each group of weights.
        rate: initial learning rate.
        steps: number of steps.
        generator: source of the noise.
    """
    weights = [group.copy() for group in start]
    half = steps // 2
    total = np.zeros_like(predictor(weights))
    for step in range(steps):
        stds = _stds(noise, sigma, step, len(weights))
        groups = zip(weights, stds, strict=True)
        noisy_weights = [_perturbed(group, std, generator) for group, std in groups]
        step_size = rate * (1 - step / steps)
        for group, slope in zip(weights, gradient(noisy_weights), strict=True):
            group -= step_size * slope
        if step >= half:
            total += predictor(weights)
    return total / (steps - half)


def _stds(noise: str, sigma: Floats | float, step: int, groups: int) -> list[Floats | float]:
    """Returns the noise's standard deviation for each of the `groups` of weights at one step.

    `noise` is one of `noises.NOISES`, and `step` counts from 0.
    """
    if noise == "all layers":
        return [sigma / math.sqrt(groups)] * groups
    stds: list[Floats | float] = [0.0] * groups
    if noise == "layer-wise":
        stds[step % groups] = sigma
    return stds


def _perturbed(group: Floats, std: Floats | float, generator: np.random.Generator) -> Floats:
    """Returns the weights of a group plus noise of this standard deviation.

    For a standard deviation of 0, nothing is drawn from the generator.
    """
    if not np.any(std):
        return group
    return group + std * generator.standard_normal(group.shape)
