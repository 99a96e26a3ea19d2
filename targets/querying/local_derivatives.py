"""Derivatives of a network by the preactivations of its layers, for each example.

The preactivations of a layer are its outputs before the activation. For the node of a layer, they
are what its noise shifts (`mgaudit.targets.schemes.noise_nodes`).
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mgaudit.targets.fitting.optimisation import mean_losses
from mgaudit.targets.fitting.recipe import one_thread
from mgaudit.targets.training import Training

Weights = Mapping[str, NDArray[np.float32]]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OutputJacobian:
    """The inputs of a layer and the derivatives of the network's outputs by its preactivations.

    `inputs` are (examples, fan-in), and `jacobian` is (examples, classes, width), where width is
    the number of preactivations.
    """

    inputs: Floats
    jacobian: Floats


@dataclass(frozen=True)
class LossDerivatives:
    """The derivatives of each example's loss by the preactivations of a layer.

    `gradients` are (examples, width). `curvatures` (examples, width) are the second derivatives by
    each preactivation, the diagonal of the Hessian. `inputs` (examples, fan-in) and
    `preactivations` (examples, width) are those of the layer.
    """

    inputs: Floats
    preactivations: Floats
    gradients: Floats
    curvatures: Floats


def loss_derivatives(
    model: nn.Module,
    weights: Weights,
    x: NDArray[np.float32],
    labels: NDArray[np.int64],
    training: Training,
) -> list[LossDerivatives]:
    """Returns the derivatives of the loss of `training` at each linear layer in order.

    The second derivative of ReLU counts as 0. There is one backward pass for each preactivation.

    Args:
        model: A network of fully connected layers (nn.Linear), each used once. It has `weights`
            afterwards.
        weights: The weights by name.
        x: Standardised examples (examples, *input_shape).
        labels: Class numbers (examples,).
        training: The settings that define the loss.
    """
    derivatives = []
    with one_thread(), ExitStack() as stack:
        layers = _linear_layers(model, weights)
        taps = [stack.enter_context(_tap(layer)) for layer in layers]
        total = _total_loss(model(torch.from_numpy(x)), labels, training)
        preactivations = [tap["preactivations"] for tap in taps]
        slopes = torch.autograd.grad(total, preactivations, create_graph=True)
        for tap, slope in zip(taps, slopes, strict=True):
            at = tap["preactivations"]
            curvatures = []
            for unit in range(at.shape[1]):
                along_unit = slope[:, unit].sum()
                (row,) = torch.autograd.grad(
                    along_unit, at, retain_graph=True, materialize_grads=True
                )
                curvatures.append(row[:, unit])
            arrays = (tap["inputs"], at, slope, torch.stack(curvatures, dim=1))
            derivatives.append(LossDerivatives(*map(_numbers, arrays)))
    return derivatives


def output_jacobians(
    model: nn.Module, weights: Weights, x: NDArray[np.float32]
) -> tuple[Floats, list[OutputJacobian]]:
    """Returns the outputs (examples, classes), and the Jacobian at each linear layer in order.

    The arguments are those of `loss_derivatives`. There is one backward pass for each class.
    """
    with one_thread(), ExitStack() as stack:
        layers = _linear_layers(model, weights)
        taps = [stack.enter_context(_tap(layer)) for layer in layers]
        outputs: Tensor = model(torch.from_numpy(x))
        preactivations = [tap["preactivations"] for tap in taps]
        rows = [
            torch.autograd.grad(outputs[:, label].sum(), preactivations, retain_graph=True)
            for label in range(outputs.shape[1])
        ]
    derivatives = []
    for layer, tap in enumerate(taps):
        jacobian = torch.stack([row[layer] for row in rows], dim=1)
        derivatives.append(OutputJacobian(_numbers(tap["inputs"]), _numbers(jacobian)))
    return _numbers(outputs), derivatives


def shifted_gradients(
    model: nn.Module,
    weights: Weights,
    x: NDArray[np.float32],
    labels: NDArray[np.int64],
    training: Training,
    layer: int,
    shift: Floats,
) -> Floats:
    """Returns the derivative of each example's loss by the shifted preactivations of one layer.

    The result is (examples, width). `layer` counts the linear layers from 0, `shift` (examples,
    width) is added to its preactivations, and the other arguments are those of `loss_derivatives`.
    """
    with one_thread(), ExitStack() as stack:
        layers = _linear_layers(model, weights)
        tap = stack.enter_context(_tap(layers[layer], torch.from_numpy(shift).float()))
        total = _total_loss(model(torch.from_numpy(x)), labels, training)
        (gradient,) = torch.autograd.grad(total, tap["preactivations"])
    return _numbers(gradient)


def _numbers(tensor: Tensor) -> Floats:
    """Returns the values of a tensor as float64."""
    values: Floats = tensor.detach().double().numpy()
    return values


def _total_loss(outputs: Tensor, labels: NDArray[np.int64], training: Training) -> Tensor:
    """Returns the loss summed over all examples, for outputs (examples, classes)."""
    counted = torch.ones(1, len(labels), dtype=outputs.dtype)
    losses = mean_losses(training, outputs[None], torch.from_numpy(labels)[None], counted)
    return losses[0] * len(labels)


def _linear_layers(model: nn.Module, weights: Weights) -> list[nn.Linear]:
    """Returns the linear layers of the model, which has these weights afterwards."""
    model.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    model.eval()
    return [module for module in model.modules() if isinstance(module, nn.Linear)]


@contextmanager
def _tap(layer: nn.Linear, shift: Tensor | None = None) -> Iterator[dict[str, Tensor]]:
    """Yields a dict that holds the layer's "inputs" and "preactivations" after an evaluation.

    `shift`, if it is not None, is added to the preactivations.
    """
    tap: dict[str, Tensor] = {}

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        tap["inputs"] = inputs[0]
        tap["preactivations"] = output if shift is None else output + shift
        return tap["preactivations"]

    handle = layer.register_forward_hook(record)
    try:
        yield tap
    finally:
        handle.remove()
