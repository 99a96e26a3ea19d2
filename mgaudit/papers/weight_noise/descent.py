"""Gradient descent under weight noise, for models so small that the gradient is a formula."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Weights = list[Floats]


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
    """Returns the predictor after gradient descent under one of `noises.NOISES`, its mean over the second half of it.

    Each gradient is taken at weights with noise of sd σ/√M on all M groups, or of sd σ on one in turn, as the scheme
    WeightNoise draws it, and the step made from the weights without it. `gradient` maps groups of weights to their
    gradients, `predictor` to what they say together; σ broadcasts against each of them. The learning rate
    falls from `rate` to 0 as a line; the weights go on moving about the minimum, and the mean takes most of that off.
    """
    weights, groups, half = [group.copy() for group in start], len(start), steps // 2
    total = np.zeros_like(predictor(weights))
    for step in range(steps):
        if noise == "all layers":
            stds = [sigma / math.sqrt(groups)] * groups
        else:
            stds = [sigma * (noise == "layer-wise" and group == step % groups) for group in range(groups)]
        at = [_perturbed(group, std, generator) for group, std in zip(weights, stds, strict=True)]
        for group, slope in zip(weights, gradient(at), strict=True):
            group -= rate * (1 - step / steps) * slope
        if step >= half:
            total += predictor(weights)
    return total / (steps - half)


def _perturbed(group: Floats, std: Floats | float, generator: np.random.Generator) -> Floats:
    return group + std * generator.standard_normal(group.shape) if np.any(std) else group
