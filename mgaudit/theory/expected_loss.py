"""The exact expected squared loss of a two-layer ReLU network under a Gaussian mask.

The mask c ~ N(1, kappa² I) multiplies each example x, with a fresh draw for every example. With
f_i = f(x_i ⊙ c_i) and the targets y_i, the expected loss is

    E L = ½ sum_i [(E f_i - y_i)² + Var f_i].

The mean E f_i has a smoothed ReLU for each neuron. The variance is a sum over the covariances of
all pairs of rectified neurons (arXiv 2602.17423).

The arguments of all functions: the network has m neurons, `inputs` is (n, d), `targets` is (n,) and
`kappa` >= 0 is the standard deviation of the mask. Functions raise ValueError for shapes that do
not fit, for values that are not finite, and for kappa < 0. The n m (m-1) / 2 pairs of neurons are
processed in parts of bounded size.

In the code, z and s (n, m) are the means and standard deviations of the masked pre-activations, and
a rectified value is u⁺ = max(u, 0).
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

AT_ONCE = 2**18  # the largest number of entries in an array of a part, unless it is of one input


def expected_loss(
    network: TwoLayerWeights, inputs: ArrayLike, targets: ArrayLike, kappa: float
) -> float:
    """Returns the expected loss under the mask, ½ sum_i E (f(x_i ⊙ c_i) - y_i)².

    At kappa = 0 it is the loss without a mask, bit for bit.

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
    """Returns the mean output E f(x_i ⊙ c_i) for each input, (n,)."""
    z, s = mask_moments(network.weights, network.checked_inputs(inputs), kappa)
    return network.combined(smoothed_relu(z, s))


def output_variance(network: TwoLayerWeights, inputs: ArrayLike, kappa: float) -> Floats:
    """Returns the variance of the output f(x_i ⊙ c_i) for each input, (n,).

    With the masked pre-activations u_r = w_r · (x_i ⊙ c_i) it is

        Var f_i = m⁻¹ sum_rs outer_r outer_s Cov(u_r⁺, u_s⁺).
    """
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
    """Returns the gradient (m, d) of `expected_loss` with respect to the weights.

    At kappa = 0 it is the gradient of the loss without a mask. It follows by the chain rule over
    the mean and sd of each neuron's pre-activation, and over the covariance of the pre-activations
    of each pair of neurons r and s at the input x, which is

        kappa² sum_j w_rj w_sj x_j².
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

    `rows` selects the inputs, and `width` is the number m of neurons. `r` and `s` (pairs,) are the
    indices of the neurons of each pair, so `s` is no standard deviation here.
    `pairs` has the means of both pre-activations, their sds and their correlation, each (rows,
    pairs), in the order of arguments of `rectified_covariance`. `signs` (pairs,) is outer_r
    outer_s.
    """

    rows: slice
    width: int
    r: NDArray[np.intp]
    s: NDArray[np.intp]
    pairs: tuple[Floats, Floats, Floats, Floats, Floats]
    signs: Floats

    def square(self, above: Floats, below: Floats) -> Floats:
        """Returns values of pairs as square matrices (rows, width, width) with a diagonal of 0.

        `above` and `below` (rows, pairs) are the entries at (r, s) and at (s, r).
        """
        square = np.zeros((len(above), self.width, self.width))
        square[:, self.r, self.s] = above
        square[:, self.s, self.r] = below
        return square


def _parts(network: TwoLayerWeights, inputs: Floats, z: Floats, s: Floats) -> Iterator[_Part]:
    """Yields all pairs of neurons for a few inputs at a time; nothing for a single neuron.

    `inputs` is (n, d), and `z` and `s` (n, m) are the means and standard deviations of the masked
    pre-activations. Together, the parts contain every input once.
    """
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
    """Returns the correlations (n, m, m) of the masked pre-activations, in [-1, 1].

    For each input x in `inputs` (n, d), they are the cosines between w_r ⊙ x and w_s ⊙ x, with the
    weights w in the rows of `weights` (m, d). A pre-activation that the mask does not change,
    because w ⊙ x = 0, has correlation 0.
    """
    scaled = weights * inputs[:, None, :]
    norms = np.sqrt(np.sum(scaled * scaled, axis=2, keepdims=True))
    scaled = np.divide(scaled, norms, out=np.zeros_like(scaled), where=norms > 0)
    products = scaled @ scaled.transpose(0, 2, 1)
    correlations: Floats = np.clip(products, -1.0, 1.0)
    return correlations
