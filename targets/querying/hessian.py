"""The trace of the Hessian of the training loss, a measure of the sharpness of a minimum."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad

from mgaudit.targets.fitting.optimisation import mean_losses
from mgaudit.targets.fitting.recipe import one_thread
from mgaudit.targets.training import Training

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Trace:
    """An estimate of the trace, the mean over random vectors, and its standard error."""

    value: float
    standard_error: float


def hessian_trace(
    model: nn.Module,
    weights: Weights,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    training: Training,
    probes: int,
    generator: np.random.Generator,
    batch_size: int = 512,
    device: str = "cpu",
) -> Trace:
    """Returns an unbiased estimate of tr H: the mean of v^T H v over random sign vectors v.

    H is the Hessian of the mean loss of `training` over all examples, with respect to all trainable
    weights (Hutchinson 1990). The second derivative of ReLU counts as 0.

    Args:
        model: The network; it is in evaluation mode afterwards.
        weights: The weights and buffers by name at which the Hessian is taken.
        inputs: Standardised examples (examples, *input_shape).
        labels: Class numbers (examples,).
        training: The settings that define the loss.
        probes: The number of vectors v, at least 2.
        generator: Draws the signs.
        batch_size: The number of examples that are processed at once.
        device: "cpu" or "cuda"; the model is moved to it.

    Raises:
        ValueError: For fewer than 2 probes, which give no standard error.
    """
    if probes < 2:
        raise ValueError(f"probes must be >= 2, got {probes}")
    curvature = _Curvature(model, weights, inputs, labels, training, batch_size, device)
    with one_thread():
        values = [curvature.along(curvature.signs(generator)) for _ in range(probes)]
    standard_error = float(np.std(values, ddof=1)) / math.sqrt(probes)
    return Trace(float(np.mean(values)), standard_error)


class _Curvature:
    """Computes v^T H v for directions v, where H is the Hessian of the mean loss over all examples.

    Products are computed in the precision of the weights and summed over batches in float64. A
    direction has a tensor for each trainable weight, by name. The arguments are those of
    `hessian_trace`.
    """

    def __init__(
        self,
        model: nn.Module,
        weights: Weights,
        inputs: NDArray[np.float32],
        labels: NDArray[np.int64],
        training: Training,
        batch_size: int,
        device: str,
    ) -> None:
        self._device = device
        self._model = model.to(device).eval()
        self._training = training
        self._examples = len(labels)
        trainable = {name for name, _ in model.named_parameters()}
        self._at: dict[str, Tensor] = {}
        self._buffers: dict[str, Tensor] = {}
        for name, values in weights.items():
            group = self._at if name in trainable else self._buffers
            group[name] = torch.from_numpy(values).to(device)
        dtype = next(iter(self._at.values())).dtype
        x = torch.from_numpy(inputs).to(device, dtype)
        y = torch.from_numpy(labels).to(device)
        batches_of_x = torch.split(x, batch_size)
        batches_of_y = torch.split(y, batch_size)
        self._batches = list(zip(batches_of_x, batches_of_y, strict=True))

    def signs(self, generator: np.random.Generator) -> dict[str, Tensor]:
        """Returns a random direction, whose values are 1 or -1 with equal probability."""
        direction = {}
        for name, tensor in self._at.items():
            coins = generator.integers(2, size=tuple(tensor.shape))
            signs = 2.0 * coins - 1.0
            direction[name] = torch.from_numpy(signs).to(self._device, tensor.dtype)
        return direction

    def along(self, direction: dict[str, Tensor]) -> float:
        """Returns v^T H v for the direction v."""
        total = sum(self._of_batch(*batch)(direction).item() for batch in self._batches)
        return total / self._examples

    def _of_batch(self, x: Tensor, y: Tensor) -> Callable[[dict[str, Tensor]], Tensor]:
        """Returns the function v -> v^T H v, where H is that of the loss summed over one batch.

        `x` is (batch, *input_shape), and `y` are the labels (batch,).
        """

        def loss(at: dict[str, Tensor]) -> Tensor:
            """Returns the loss at these weights, summed over the batch."""
            outputs: Tensor = functional_call(self._model, (at, self._buffers), (x,))
            counted = torch.ones(1, len(y), device=self._device)
            losses = mean_losses(self._training, outputs[None], y[None], counted)
            return losses[0] * len(y)

        def along(direction: dict[str, Tensor]) -> Tensor:
            """Returns v^T H v, as the derivative along v of the derivative along v."""

            def slope(at: dict[str, Tensor]) -> Tensor:
                """Returns the derivative of the loss at these weights along the direction."""
                return _inner_product(grad(loss)(at), direction)

            hessian_product = grad(slope)(self._at)
            return _inner_product(hessian_product, direction)

        return along


def _inner_product(first: dict[str, Tensor], second: dict[str, Tensor]) -> Tensor:
    """Returns the sum, in float64, of the products of values with equal names in both."""
    products = [(first[name] * second[name]).double().sum() for name in second]
    return torch.stack(products).sum()
