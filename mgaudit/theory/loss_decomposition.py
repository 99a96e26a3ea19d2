"""The expected loss under a Gaussian mask, split into smoothed loss, regulariser and rest.

A mask c ~ N(1, kappa² I) on the input x makes the pre-activation of a neuron normal, with mean z
and standard deviation s. Theorem 4.2 of arXiv 2602.17423 writes the expected loss of a two-layer
ReLU network as a sum of three terms: the loss of the smoothed network, which has the activation
z Phi(z/s) as a proxy for the mean of the masked ReLU; a regulariser that scales with kappa²; and a
small rest. In closed form the rest has two parts:

- The proxy's part. The mean of a masked ReLU is larger than z Phi(z/s) by s phi(z/s). This gap is
  of the order kappa where |z| is of the order kappa, which has a probability of the order kappa,
  and it is negligible elsewhere. Summed over inputs that are spread smoothly about z = 0, this part
  is of the order kappa² times the residual f - y there, as large as the regulariser. Summed over
  few inputs with residuals of random sign, it is of the order kappa^{3/2}.
- The variance's part. The regulariser is ½ kappa² ‖E grad_c f‖² for each input. It is the first
  term of the variance in Hermite polynomials of the mask, so this part is >= 0 (Cacoullos 1982).
  For each input it is of the order kappa² with a probability of the order kappa, together kappa³.

The arguments of all functions: the network has m neurons, `inputs` is (n, d), `targets` is (n,) and
`kappa` >= 0. Functions raise ValueError for shapes that do not fit, for values that are not finite,
and for kappa < 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from mgaudit.theory.arguments import Floats, std_of
from mgaudit.theory.expected_loss import output_variance
from mgaudit.theory.rectified_normal import density, ratio
from mgaudit.theory.smoothed_relu import (
    mask_moments,
    smoothed_relu_proxy,
    smoothed_relu_proxy_gradient,
)
from mgaudit.theory.two_layer import TwoLayerWeights


@dataclass(frozen=True)
class Decomposition:
    """The terms of the expected loss under a mask, each summed over the inputs.

    `smoothed_mse` and `regulariser` are the results of the functions of these names. The rest is
    `proxy_part` plus `variance_part`, the two parts that the module describes.
    """

    smoothed_mse: float
    regulariser: float
    proxy_part: float
    variance_part: float

    @property
    def expected_loss(self) -> float:
        """The sum of all terms."""
        return self.smoothed_mse + self.regulariser + self.rest

    @property
    def rest(self) -> float:
        """The expected loss minus the smoothed loss and the regulariser."""
        return self.proxy_part + self.variance_part


def decompose(
    network: TwoLayerWeights, inputs: ArrayLike, targets: ArrayLike, kappa: float
) -> Decomposition:
    """Returns the terms of Theorem 4.2, whose sum is the expected loss under the mask.

    At kappa = 0 all terms except `smoothed_mse` are 0. With the outputs p_i of the smoothed network
    (`proxy_outputs`) and the gaps g_i (`proxy_gaps`), the parts of the rest are

        proxy_part    = sum_i g_i (p_i - y_i + g_i / 2)
        variance_part = ½ sum_i (Var f_i - kappa² ‖E grad_c f_i‖²)

    Both parts of the rest are computed as sums of differences for each input, not as a difference
    of two sums, so that they are precise where they are small.
    """
    inputs = network.checked_inputs(inputs)
    targets = network.checked_targets(targets, inputs)
    proxy = proxy_outputs(network, inputs, kappa)
    gap = proxy_gaps(network, inputs, kappa)
    proxy_parts = gap * (proxy - targets + 0.5 * gap)
    means = kappa * _mean_gradients(network, inputs, kappa)
    first_order_variance = np.sum(means * means, axis=1)
    variance_parts = output_variance(network, inputs, kappa) - first_order_variance
    return Decomposition(
        smoothed_mse(network, inputs, targets, kappa),
        regulariser(network, inputs, kappa),
        float(np.sum(proxy_parts)),
        float(0.5 * np.sum(variance_parts)),
    )


def proxy_outputs(network: TwoLayerWeights, inputs: ArrayLike, kappa: float) -> Floats:
    """Returns the output of the proxy of the paper's proofs for each input, (n,):

        m^{-1/2} sum_r outer_r z_r Phi(z_r / s_r).

    z_r and s_r are the mean and the standard deviation of the preactivation of neuron r under the
    mask N(1, kappa^2), and Phi is the normal distribution function. The proxy leaves out a term of
    the mean output under the mask, which is `proxy_gaps`.
    """
    z, s = _preactivation_moments(network, inputs, kappa)
    return network.combined(smoothed_relu_proxy(z, s))


def proxy_gaps(network: TwoLayerWeights, inputs: ArrayLike, kappa: float) -> Floats:
    """Returns the mean output under the mask minus the output of the smoothed network, (n,):

        m^{-1/2} sum_r outer_r s_r phi(z_r / s_r).

    z_r and s_r are the mean and the standard deviation of the masked pre-activation of neuron r.
    """
    z, s = _preactivation_moments(network, inputs, kappa)
    gaps = s * density(ratio(z, s))
    return network.combined(gaps)


def smoothed_mse(
    network: TwoLayerWeights, inputs: ArrayLike, targets: ArrayLike, kappa: float
) -> float:
    """Returns the loss of the smoothed network, ½ sum_i (proxy_outputs_i - y_i)².

    At kappa = 0 it is the loss without a mask, bit for bit.
    """
    residuals = _proxy_residuals(network, inputs, targets, kappa)
    return float(0.5 * np.sum(residuals**2))


def smoothed_mse_gradient(
    network: TwoLayerWeights, inputs: ArrayLike, targets: ArrayLike, kappa: float
) -> Floats:
    """Returns the gradient (m, d) of `smoothed_mse` with respect to the weights."""
    inputs = network.checked_inputs(inputs)
    residuals = _proxy_residuals(network, inputs, targets, kappa)
    root_width = np.sqrt(len(network.outer))
    by_activation = residuals[:, None] * network.outer / root_width
    z, s = _preactivation_moments(network, inputs, kappa)
    activation = smoothed_relu_proxy_gradient(z, s)
    by_mean = by_activation * activation.z
    by_sd = by_activation * activation.s
    return network.pulled_back(inputs, kappa, by_mean, by_sd)


def _proxy_residuals(
    network: TwoLayerWeights, inputs: ArrayLike, targets: ArrayLike, kappa: float
) -> Floats:
    """Returns the output of the smoothed network minus the target, for each input, (n,)."""
    inputs = network.checked_inputs(inputs)
    targets = network.checked_targets(targets, inputs)
    return proxy_outputs(network, inputs, kappa) - targets


def regulariser(network: TwoLayerWeights, inputs: ArrayLike, kappa: float) -> float:
    """Returns the regulariser of Theorem 4.2, ½ kappa² sum_i ‖E grad_c f(x_i ⊙ c)‖², written out:

        ½ kappa² sum_i ‖x_i ⊙ m^{-1/2} sum_r outer_r w_r Phi(z_ir / s_ir)‖².

    z_ir and s_ir are the mean and the standard deviation of the masked pre-activation of neuron r
    at input i. At kappa = 0 the regulariser is 0.
    """
    inputs, kappa = network.checked_inputs(inputs), std_of("kappa", kappa)
    means = kappa * _mean_gradients(network, inputs, kappa)
    return float(0.5 * np.sum(means * means))


def regulariser_gradient(network: TwoLayerWeights, inputs: ArrayLike, kappa: float) -> Floats:
    """Returns the gradient (m, d) of `regulariser` with respect to the weights."""
    inputs, kappa = network.checked_inputs(inputs), std_of("kappa", kappa)
    z, s = _preactivation_moments(network, inputs, kappa)
    means = _mean_gradients(network, inputs, kappa) * inputs
    outer = network.outer / np.sqrt(len(network.outer))
    projections = means @ network.weights.T
    along = np.divide(projections, s, out=np.zeros_like(s), where=s > 0)
    t = ratio(z, s)
    by_t = kappa**2 * outer * along * density(t)
    direct = (outer * ndtr(t)).T @ means
    through_moments = network.pulled_back(inputs, kappa, by_t, -t * by_t)
    gradient: Floats = kappa**2 * direct + through_moments
    return gradient


def _preactivation_moments(
    network: TwoLayerWeights, inputs: ArrayLike, kappa: float
) -> tuple[Floats, Floats]:
    """Returns the means z and the standard deviations s, each (n, m), of masked pre-activations."""
    return mask_moments(network.weights, network.checked_inputs(inputs), kappa)


def _mean_gradients(network: TwoLayerWeights, inputs: Floats, kappa: float) -> Floats:
    """Returns the mean gradient of the output with respect to the mask, (n, d):

        E grad_c f(x_i ⊙ c) = x_i ⊙ m^{-1/2} sum_r outer_r w_r Phi(z_ir / s_ir).

    z_ir and s_ir are as in `regulariser`.
    """
    z, s = _preactivation_moments(network, inputs, kappa)
    root_width = np.sqrt(len(network.outer))
    passes = ndtr(ratio(z, s)) * network.outer / root_width
    gradients: Floats = inputs * (passes @ network.weights)
    return gradients
