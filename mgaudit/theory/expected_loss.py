"""The expected squared loss of a two-layer ReLU network under a Gaussian mask: exact, and its gradient.

For f(x ⊙ c) with c ~ N(1, kappa² I), fresh for every example: E L = ½ sum_i [(E f_i - y_i)² + Var f_i], where the mean
has a smoothed ReLU for each neuron and the variance the covariance of each pair of rectified neurons
(arXiv 2602.17423). Inputs are (n, d), targets (n,); a network of m neurons has n m (m-1) / 2 pairs, which are gone
through in parts of bounded size. Functions raise ValueError for shapes that do not fit, what is not finite, kappa < 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

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

AT_ONCE = 2**18  # numbers in an array of a part


def expected_loss(network: TwoLayerWeights, inputs: ArrayLike, targets: ArrayLike, kappa: float) -> float:
    """Returns ½ sum_i E (f(x_i ⊙ c_i) - y_i)²; at kappa = 0 the plain loss ½ sum_i (f(x_i) - y_i)², bit for bit.

    >>> network = TwoLayerWeights(np.array([[1.0]]), np.array([1.0]))
    >>> expected_loss(network, [[2.0]], [1.0], kappa=0.0)
    0.5
    """
    inputs = network.checked_inputs(inputs)
    targets = network.checked_targets(targets, inputs)
    mean, variance = output_mean(network, inputs, kappa), output_variance(network, inputs, kappa)
    return float(0.5 * np.sum((mean - targets) ** 2 + variance))


def output_mean(network: TwoLayerWeights, inputs: ArrayLike, kappa: float) -> Floats:
    """Returns E f(x_i ⊙ c) (n,)."""
    return network.combined(smoothed_relu(*mask_moments(network.weights, network.checked_inputs(inputs), kappa)))


def output_variance(network: TwoLayerWeights, inputs: ArrayLike, kappa: float) -> Floats:
    """Returns Var f(x_i ⊙ c) = m⁻¹ sum_rs outer_r outer_s Cov(u_r⁺, u_s⁺) (n,), u_r = w_r · (x_i ⊙ c)."""
    inputs = network.checked_inputs(inputs)
    z, s = mask_moments(network.weights, inputs, kappa)
    variance: Floats = rectified_variance(z, s).sum(axis=1)
    for part in _parts(network, inputs, z, s):
        covariance = rectified_covariance(part.mean_r, part.mean_s, part.sd_r, part.sd_s, part.rho)
        variance[part.rows] += 2 * covariance @ part.signs
    return variance / len(network.outer)


def expected_loss_gradient(network: TwoLayerWeights, inputs: ArrayLike, targets: ArrayLike, kappa: float) -> Floats:
    """Returns the gradient (m, d) of `expected_loss` in the weights; at kappa = 0 that of the plain loss.

    The chain rule over each neuron's mean and sd, and over each pair's covariance kappa² sum_j w_rj w_sj x_j².
    """
    inputs, kappa = network.checked_inputs(inputs), std_of("kappa", kappa)
    targets = network.checked_targets(targets, inputs)
    z, s = mask_moments(network.weights, inputs, kappa)
    width = len(network.outer)
    mean, variance = smoothed_relu_gradient(z, s), rectified_variance_gradient(z, s)
    residuals = (network.combined(smoothed_relu(z, s)) - targets)[:, None] * network.outer / np.sqrt(width)
    by_mean = residuals * mean.z + variance.z / (2 * width)
    by_sd = residuals * mean.s + variance.s / (2 * width)
    by_covariance = np.zeros_like(network.weights)
    for part in _parts(network, inputs, z, s):
        pair = rectified_covariance_gradient(part.mean_r, part.mean_s, part.sd_r, part.sd_s, part.rho)
        weight = part.signs / width
        by_mean[part.rows] += part.square(pair.mean_u * weight, pair.mean_v * weight).sum(axis=2)
        by_sd[part.rows] += part.square(pair.sd_u * weight, pair.sd_v * weight).sum(axis=2)
        both = part.square(pair.covariance * weight, pair.covariance * weight) @ network.weights
        by_covariance += np.sum(both * inputs[part.rows, None, :] ** 2, axis=0)
    return network.pulled_back(inputs, kappa, by_mean, by_sd) + kappa**2 * by_covariance


@dataclass(frozen=True)
class _Part:
    """All pairs r < s of neurons, (rows, pairs) each, for some of the inputs; `signs` (pairs,) is outer_r outer_s."""

    rows: slice
    width: int
    r: np.ndarray[tuple[int], np.dtype[np.intp]]
    s: np.ndarray[tuple[int], np.dtype[np.intp]]
    mean_r: Floats
    mean_s: Floats
    sd_r: Floats
    sd_s: Floats
    rho: Floats
    signs: Floats

    def square(self, above: Floats, below: Floats) -> Floats:
        """Returns (rows, width, width) with what belongs to (r, s) above the diagonal and to (s, r) below it."""
        found = np.zeros((len(above), self.width, self.width))
        found[:, self.r, self.s], found[:, self.s, self.r] = above, below
        return found


def _parts(network: TwoLayerWeights, inputs: Floats, z: Floats, s: Floats) -> Iterator[_Part]:
    width = len(network.outer)
    if width == 1:
        return
    above = np.triu_indices(width, 1)
    signs = network.outer[above[0]] * network.outer[above[1]]
    step = max(1, AT_ONCE // (width * max(network.weights.shape)))
    for start in range(0, len(inputs), step):
        rows = slice(start, start + step)
        means, sds = (array[rows][:, above] for array in (z, s))
        rho = _correlations(network.weights, inputs[rows])[:, *above]
        yield _Part(rows, width, *above, means[:, 0], means[:, 1], sds[:, 0], sds[:, 1], rho, signs)


def _correlations(weights: Floats, inputs: Floats) -> Floats:
    """Returns the correlations (n, m, m) of the masked pre-activations, 0 where one has no mask to vary with."""
    scaled = weights * inputs[:, None, :]
    norms = np.sqrt(np.sum(scaled * scaled, axis=2, keepdims=True))
    scaled = np.divide(scaled, norms, out=np.zeros_like(scaled), where=norms > 0)
    found: Floats = np.clip(scaled @ scaled.transpose(0, 2, 1), -1.0, 1.0)
    return found
