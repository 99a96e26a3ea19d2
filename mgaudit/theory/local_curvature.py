"""Gradient and curvature of a loss by the preactivations of a layer.

For an example with the loss l, f are the outputs of a network and z the preactivations of a layer,
that is, its outputs before the activation. With J = df / dz, p = dl / df and H = d²l / df², the
local gradient is g = J^T p. The local Hessian h is J^T H J for piecewise linear networks, because
the second derivatives of f in z are 0 almost everywhere. A noise node at the layer depends on the
loss only by g and h, up to second order in its noise (arXiv 2210.13599, equations 2 and 3, whose
formulas are missing from the text that was available to us).

In all functions the arrays have the leading axis of examples: `jacobian` is (examples, classes,
width), `inputs` (examples, fan-in) are the inputs of the layer, `slopes` p (examples, classes), and
`curvatures` H (examples, classes, classes).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from mgaudit.theory.arguments import Floats, positive, whole


@dataclass(frozen=True)
class OutputDerivatives:
    """The first and second derivatives of each example's loss by the outputs of the network."""

    slopes: Floats
    curvatures: Floats


def output_derivatives(
    outputs: Floats, labels: NDArray[np.int64], loss: Literal["squared", "cross-entropy"]
) -> OutputDerivatives:
    """Returns the derivatives of half the squared distance to the one-hot label, or cross-entropy.

    `outputs` are (examples, classes) and `labels` (examples,) the indices of classes.
    """
    classes = outputs.shape[1]
    one_hot = np.eye(classes)[labels]
    if loss == "squared":
        curvatures = np.broadcast_to(np.eye(classes), (len(outputs), classes, classes))
        return OutputDerivatives(outputs - one_hot, curvatures)
    probabilities = softmax(outputs.astype(np.float64), axis=1)
    outer = probabilities[:, :, None] * probabilities[:, None, :]
    curvatures = probabilities[:, :, None] * np.eye(classes) - outer
    return OutputDerivatives(probabilities - one_hot, curvatures)


def local_gradients(jacobian: Floats, slopes: Floats) -> Floats:
    """Returns the local gradient J^T p of each example, (examples, width)."""
    return np.asarray(np.einsum("ncw,nc->nw", jacobian, slopes))


def local_traces(jacobian: Floats, curvatures: Floats) -> Floats:
    """Returns the trace of the local Hessian J^T H J of each example, (examples,)."""
    weighted = np.matmul(curvatures, jacobian)
    return np.asarray(np.einsum("ncw,ncw->n", weighted, jacobian))


def along(jacobian: Floats, curvatures: Floats, direction: Floats) -> float:
    """Returns w^T h w, where h is the mean of the local Hessians and w = `direction` (width,)."""
    change = jacobian @ direction
    products = np.einsum("nc,ncd,nd->n", change, curvatures, change)
    return float(products.mean())


def weight_trace(traces: Floats, inputs: Floats) -> float:
    """Returns the trace of the loss Hessian in the weights and biases of one layer.

    z = W a + b is linear in W and b, so the trace is the mean over examples of (|a|^2 + 1) tr h,
    where `traces` (examples,) are the traces tr h of the local Hessians and `inputs` are a. The sum
    over all layers is the trace of the whole Hessian.
    """
    return float(np.mean((_squares(inputs) + 1) * traces))


def factored_trace(local_trace: float, inputs: Floats) -> float:
    """Returns (mean of |a|^2 + 1) times the mean of tr h, which is `local_trace`.

    It is `weight_trace` if |a|^2 and tr h are uncorrelated over examples. Nodes show the mean of
    tr h alone, so this is the trace that can be estimated from them.
    """
    return float(np.mean(_squares(inputs) + 1)) * local_trace


def gradient_square(gradients: Floats, inputs: Floats) -> float:
    """Returns the squared norm of the mean loss gradient in weights and biases of one layer.

    `gradients` are the local gradients (examples, width).
    """
    by_weights = gradients.T @ inputs / len(inputs)
    by_biases = gradients.mean(axis=0)
    return float(np.sum(by_weights**2) + np.sum(by_biases**2))


def trace_from_steps(start: Floats, steps: Floats, eta: float, sigma: float) -> Floats:
    """Returns estimates of tr h, one for each step and node, from the steps of the nodes' weights.

    A step from the weights w changes them by -eta sigma^2 h w in expectation, to second order in
    the noise, so -w . step / (eta sigma^2) has the expectation w^T h w. Divided by |w|^2 / width,
    this has the expectation tr h for w of a random direction, and the mean over as many orthogonal
    w as the width has it for any directions. Half the difference between the steps from w and from
    -w, with the same noise, has the same expectation and lacks the random step of `walk`.

    Args:
        start: The weights w of each node before a step, not all 0, (..., width).
        steps: The changes of the weights, (..., width).
        eta: The learning rate > 0.
        sigma: The standard deviation > 0 of the noise.
    """
    square = np.mean(start**2, axis=-1)
    products = np.einsum("...w,...w->...", start, steps)
    scale = float(positive("eta", eta)) * float(positive("sigma", sigma)) ** 2
    return np.asarray(-products / (scale * square))


def gradient_from_steps(steps: Floats, eta: float, sigma: float, batch: int) -> Floats:
    """Returns estimates of the mean of |g|^2, one for each step and node, from weights near 0.

    At w = 0 a step is -eta times the mean of e g over B examples, so its squared norm has the
    expectation eta^2 sigma^2 E|g|^2 / B (`mgaudit.theory.noise_nodes.walk`). `steps` are the
    changes of the weights (..., width), from 0, and `batch` is B.
    """
    scale = float(positive("eta", eta)) * float(positive("sigma", sigma))
    return np.asarray(whole("batch", batch, 1) * _squares(steps) / scale**2)


def _squares(values: Floats) -> Floats:
    """Returns the squared norms over the last axis."""
    return np.asarray(np.einsum("...i,...i->...", values, values))
