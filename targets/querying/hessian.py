"""The trace of the Hessian of the training loss: how sharp the minimum is that a network is in."""

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
    """An estimate of the trace and its standard error over probes."""

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
) -> Trace:
    """Returns the mean of v^T H v over `probes` v of independent fair signs, an unbiased estimate of tr H.

    H is the Hessian, in all trainable weights, of the mean loss that `training` names over all examples, at `weights`
    by name; a rectifier counts as having no curvature. `inputs` are (examples, *input_shape), `labels` (examples,).
    Raises ValueError for fewer than 2 probes, from which no error can be told. Source: Hutchinson 1990.
    """
    if probes < 2:
        raise ValueError(f"probes must be >= 2, got {probes}")
    curvature = _Curvature(model, weights, inputs, labels, training, batch_size)
    with one_thread():
        values = [curvature.along(curvature.signs(generator)) for _ in range(probes)]
    return Trace(float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(probes))


class _Curvature:
    """v^T H v for directions v, in the precision of the weights and summed over batches in double precision."""

    def __init__(
        self,
        model: nn.Module,
        weights: Weights,
        inputs: NDArray[np.float32],
        labels: NDArray[np.int64],
        training: Training,
        batch_size: int,
    ) -> None:
        self._model, self._training, self._examples = model.eval(), training, len(labels)
        tensors = {name: torch.from_numpy(values) for name, values in weights.items()}
        trainable = {name for name, _ in model.named_parameters()}
        self._at = {name: tensor for name, tensor in tensors.items() if name in trainable}
        self._buffers = {name: tensor for name, tensor in tensors.items() if name not in trainable}
        x = torch.from_numpy(inputs).to(next(iter(self._at.values())).dtype)
        y = torch.from_numpy(labels)
        self._batches = list(
            zip(torch.split(x, batch_size), torch.split(y, batch_size), strict=True)
        )

    def signs(self, generator: np.random.Generator) -> dict[str, Tensor]:
        """Returns a direction of independent fair signs."""
        return {
            name: torch.from_numpy(2.0 * generator.integers(2, size=tuple(tensor.shape)) - 1.0).to(
                tensor.dtype
            )
            for name, tensor in self._at.items()
        }

    def along(self, direction: dict[str, Tensor]) -> float:
        """Returns v^T H v."""
        return (
            sum(self._of_batch(*batch)(direction).item() for batch in self._batches)
            / self._examples
        )

    def _of_batch(self, x: Tensor, y: Tensor) -> Callable[[dict[str, Tensor]], Tensor]:
        """Returns v -> v^T H v of the loss summed over a batch."""

        def loss(at: dict[str, Tensor]) -> Tensor:
            outputs: Tensor = functional_call(self._model, (at, self._buffers), (x,))
            return mean_losses(self._training, outputs[None], y[None], torch.ones(1, len(y)))[
                0
            ] * len(y)

        def along(direction: dict[str, Tensor]) -> Tensor:
            return _inner(grad(lambda at: _inner(grad(loss)(at), direction))(self._at), direction)

        return along


def _inner(one: dict[str, Tensor], other: dict[str, Tensor]) -> Tensor:
    return torch.stack([(one[name] * other[name]).double().sum() for name in other]).sum()
