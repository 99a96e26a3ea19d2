"""Bias and noise of the gradient on perturbed inputs, and the constants of the loss beside them.

The estimate of a step is the gradient on perturbed inputs. Its bias is its mean minus the gradient
of the loss without a perturbation, and its noise is what is left. The network has one hidden layer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.papers.gaussian_masking.agreement import mean_of
from mgaudit.papers.gaussian_masking.descent import ReluNetwork
from mgaudit.theory.expected_loss import expected_loss_gradient
from mgaudit.theory.two_layer import TwoLayerWeights

ROUNDED = 1e-12  # eigenvalues below this share of the largest are rounding errors

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curvature:
    """The loss without perturbation L at some weights, and the constants that its bound needs.

    The kernel is J Jᵀ (n, n) with the Jacobian J of the outputs. A ReLU network is linear in its
    weights where no neuron is at its kink, so that JᵀJ is the Hessian of L there: the `largest`
    eigenvalue is the local smoothness. The `smallest` eigenvalue of the kernel is a PL constant,
    because ‖grad L‖² = eᵀ J Jᵀ e and L = ‖e‖² / 2 for the errors e. `local` is ‖grad L‖² / (2 L),
    the largest PL constant that these weights allow. `nearest` is sqrt(eᵀ (J Jᵀ)⁻¹ e), the distance
    to the nearest weights with L = 0 of the network that is linear in its weights.
    """

    loss: float
    squared_gradient: float
    largest: float
    smallest: float
    nearest: float

    @property
    def local(self) -> float:
        """‖grad L‖² / (2 L)."""
        return self.squared_gradient / (2 * self.loss)


def curvature(network: ReluNetwork, inputs: Floats, values: Floats) -> Curvature:
    """Returns the constants for the inputs (n, d) and the values (n,)."""
    (weights,) = network.layers
    active = np.asarray(inputs @ weights.T > 0, dtype=np.float64)
    kernel = (inputs @ inputs.T) * (active @ active.T) / len(network.outer)
    eigenvalues, vectors = np.linalg.eigh(kernel)
    along = (network.outputs(inputs) - values) @ vectors
    counts = eigenvalues > ROUNDED * eigenvalues[-1]
    squared_distances = along[counts] ** 2 / eigenvalues[counts]
    (gradient,) = network.gradients(inputs, values)
    return Curvature(
        loss=network.loss(inputs, values),
        squared_gradient=float(np.sum(gradient**2)),
        largest=float(eigenvalues[-1]),
        smallest=float(eigenvalues[0]) if counts[0] else 0.0,
        nearest=float(np.sqrt(squared_distances.sum())),
    )


@dataclass(frozen=True)
class BiasAndNoise:
    """‖b‖² and s² of the gradient, and the bias along one direction from draws and in closed form.

    `mean` with its standard `error` is from draws, `expected` the closed form, if there is one.
    """

    squared_bias: float
    squared_noise: float
    mean: float
    error: float
    expected: float


def bias_and_noise_of_masks(
    network: ReluNetwork,
    inputs: Floats,
    values: Floats,
    kappa: float,
    perturbed: Iterator[Floats],
    draws: int,
) -> BiasAndNoise:
    """Returns bias and noise under independent Gaussian masks, the bias in closed form.

    The noise is the trace of the covariance over `draws` of the masks, `perturbed`. The direction
    along which draws are compared with the closed form is that of the bias.
    """
    (weights,) = network.layers
    theory = TwoLayerWeights(weights, network.outer)
    (clean,) = network.gradients(inputs, values)
    bias = expected_loss_gradient(theory, inputs, values, kappa) - clean
    gradients = _drawn(network, values, perturbed, draws) - clean.ravel()
    size = float(np.linalg.norm(bias))
    mean, error = mean_of(gradients @ (bias.ravel() / size))
    return BiasAndNoise(size**2, _trace(gradients), mean, error, size)


def bias_and_noise_from_draws(
    network: ReluNetwork, inputs: Floats, values: Floats, perturbed: Iterator[Floats], draws: int
) -> tuple[float, float]:
    """Returns ‖b‖² and s² over `draws` of any perturbation that is independent between steps.

    The squared norm of a mean over draws is larger than that of the expectation by s² / draws on
    average. This is subtracted, and a negative rest becomes 0.
    """
    (clean,) = network.gradients(inputs, values)
    gradients = _drawn(network, values, perturbed, draws) - clean.ravel()
    noise = _trace(gradients)
    squared_mean = float(np.sum(gradients.mean(axis=0) ** 2))
    return max(0.0, squared_mean - noise / draws), noise


def _drawn(network: ReluNetwork, values: Floats, perturbed: Iterator[Floats], draws: int) -> Floats:
    """Returns gradients on perturbed inputs, (draws, m d)."""
    return np.stack([network.gradients(next(perturbed), values)[0].ravel() for _ in range(draws)])


def _trace(gradients: Floats) -> float:
    """Returns the trace of the covariance of `gradients` (draws, m d)."""
    return float(np.sum(gradients.var(axis=0, ddof=1)))
