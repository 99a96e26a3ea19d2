"""The exact expected squared loss of a two-layer ReLU network under a Gaussian mask.

For f(x ⊙ c) with c ~ N(1, kappa² I), fresh for every example: E L = ½ sum_i [(E f_i - y_i)² + Var
f_i], where the mean has a smoothed ReLU for each neuron and the variance the covariance of each
pair of rectified neurons (arXiv 2602.17423). Inputs are (n, d), targets (n,); a network of m
neurons has n m (m-1) / 2 pairs, which are processed in parts of bounded size. Functions raise
ValueError for shapes that do not fit, what is not finite, kappa < 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mgaudit.theory.arguments import Floats, std_of
from mgaudit.theory.rectified_pair import rectified_covariance, rectified_covariance_gradient
from mgaudit.theory.smoothed_relu import (
    mask_moments,
    rectified_variance,
    rectified_variance_gradient,
    smoothed_relu,
    smoothed_relu_gradient,
)
from mgaudit.theory.two_layer import TwoLayerWeights

AT_ONCE = 2**18  # the largest number of entries in an array of a part


def expected_loss(
    network: TwoLayerWeights, inputs: ArrayLike, targets: ArrayLike, kappa: float
) -> float:
    """Returns ½ sum_i E (f(x_i ⊙ c_i) - y_i)²; at kappa = 0 the plain loss, bit for bit.

    >>> network = TwoLayerWeights(np.array([[1.0]]), np.array([1.0]))
    >>> expected_loss(network, [[2.0]], [1.0], kappa=0.0)
    0.5
    """
    inputs = network.checked_inputs(inputs)
    targets = network.checked_targets(targets, inputs)
    mean = output_mean(network, inputs, kappa)
    variance = output_variance(network, inputs, kappa)
    losses = (mean - targets) ** 2 + variance
    return float(0.5 * np.sum(losses))


def output_mean(network: TwoLayerWeights, inputs: ArrayLike, kappa: float) -> Floats:
    """Returns E f(x_i ⊙ c) (n,)."""
    z, s = mask_moments(network.weights, network.checked_inputs(inputs), kappa)
    return network.combined(smoothed_relu(z, s))


def output_variance(network: TwoLayerWeights, inputs: ArrayLike, kappa: float) -> Floats:
    """Returns Var f(x_i ⊙ c) = m⁻¹ sum_rs outer_r outer_s Cov(u_r⁺, u_s⁺) (n,), u_r = w_r · (x_i ⊙
    c)."""
    inputs = network.checked_inputs(inputs)
    z, s = mask_moments(network.weights, inputs, kappa)
    variance: Floats = rectified_variance(z, s).sum(axis=1)
    for part in _parts(network, inputs, z, s):
        covariance = rectified_covariance(*part.pairs)
        variance[part.rows] += 2 * covariance @ part.signs
    return variance / len(network.outer)


def expected_loss_gradient(
    network: TwoLayerWeights, inputs: ArrayLike, targets: ArrayLike, kappa: float
) -> Floats:
    """Returns the gradient (m, d) of `expected_loss` in the weights, at kappa = 0 the plain one.

    The chain rule over each neuron's mean and sd, and over each pair's covariance kappa² sum_j w_rj
    w_sj x_j².
    """
    inputs, kappa = network.checked_inputs(inputs), std_of("kappa", kappa)
    targets = network.checked_targets(targets, inputs)
    z, s = mask_moments(network.weights, inputs, kappa)
    width = len(network.outer)
    mean = smoothed_relu_gradient(z, s)
    variance = rectified_variance_gradient(z, s)
    residuals = network.combined(smoothed_relu(z, s)) - targets
    by_activation = residuals[:, None] * network.outer / np.sqrt(width)
    by_mean = by_activation * mean.z + variance.z / (2 * width)
    by_sd = by_activation * mean.s + variance.s / (2 * width)
    by_covariance = np.zeros_like(network.weights)
    for part in _parts(network, inputs, z, s):
        pair = rectified_covariance_gradient(*part.pairs)
        weight = part.signs / width
        means = part.square(pair.mean_u * weight, pair.mean_v * weight)
        sds = part.square(pair.sd_u * weight, pair.sd_v * weight)
        covariances = pair.covariance * weight
        by_mean[part.rows] += means.sum(axis=2)
        by_sd[part.rows] += sds.sum(axis=2)
        both = part.square(covariances, covariances) @ network.weights
        squares = inputs[part.rows, None, :] ** 2
        by_covariance += np.sum(both * squares, axis=0)
    through_moments = network.pulled_back(inputs, kappa, by_mean, by_sd)
    return through_moments + kappa**2 * by_covariance


@dataclass(frozen=True)
class _Part:
    """All pairs r < s of neurons, for some of the inputs.

    `pairs` holds the means of both pre-activations, their sds and their correlation, (rows, pairs)
    each; `signs` (pairs,) is outer_r outer_s.
    """

    rows: slice
    width: int
    r: NDArray[np.intp]
    s: NDArray[np.intp]
    pairs: tuple[Floats, Floats, Floats, Floats, Floats]
    signs: Floats

    def square(self, above: Floats, below: Floats) -> Floats:
        """Returns (rows, width, width): `above` at (r, s), `below` at (s, r), 0 on the diagonal."""
        square = np.zeros((len(above), self.width, self.width))
        square[:, self.r, self.s] = above
        square[:, self.s, self.r] = below
        return square


def _parts(network: TwoLayerWeights, inputs: Floats, z: Floats, s: Floats) -> Iterator[_Part]:
    width = len(network.outer)
    if width == 1:
        return
    first, second = np.triu_indices(width, 1)
    signs = network.outer[first] * network.outer[second]
    numbers_per_row = width * max(network.weights.shape)
    step = max(1, AT_ONCE // numbers_per_row)
    for start in range(0, len(inputs), step):
        rows = slice(start, start + step)
        means, sds = z[rows], s[rows]
        rho = _correlations(network.weights, inputs[rows])[:, first, second]
        mean_r, mean_s = means[:, first], means[:, second]
        sd_r, sd_s = sds[:, first], sds[:, second]
        pairs = (mean_r, mean_s, sd_r, sd_s, rho)
        yield _Part(rows, width, first, second, pairs, signs)


def _correlations(weights: Floats, inputs: Floats) -> Floats:
    """Returns correlations (n, m, m) of masked pre-activations, 0 for one without a mask."""
    scaled = weights * inputs[:, None, :]
    norms = np.sqrt(np.sum(scaled * scaled, axis=2, keepdims=True))
    scaled = np.divide(scaled, norms, out=np.zeros_like(scaled), where=norms > 0)
    products = scaled @ scaled.transpose(0, 2, 1)
    correlations: Floats = np.clip(products, -1.0, 1.0)
    return correlations
