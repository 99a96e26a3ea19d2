"""Layers of several models, evaluated on the rows of all their batches.

The batches of the models are joined, one after the other, without padding, and each model has a
product or a convolution of its own. So the numbers are those of the model alone, bit for bit. A
product of a batch of matrices would need batches of one size, and may sum in another order. Rows of
a model are copied where they begin at an address that a tensor of its own would not have, and each
product is a tensor of its own, because its address matters too.

The weights of the layers count as constants here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mgaudit.targets.fitting.aligned_rows import aligned


def some(rows: slice) -> bool:
    """Returns whether the slice, which has a start and a stop, has at least one row.

    >>> some(slice(3, 4)), some(slice(3, 3))
    (True, False)
    """
    return bool(rows.stop > rows.start)


@dataclass
class Recorded:
    """What passes a layer: its inputs, and the gradient at its outputs after a backward pass."""

    inputs: Tensor
    at_outputs: Tensor | None = None

    def keep(self, gradient: Tensor) -> None:
        """Keeps the gradient at the outputs."""
        self.at_outputs = gradient


class JoinedLinear(torch.autograd.Function):
    """Linear layers, whose inputs are (rows, in)."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        anchor: Tensor,
        layers: Sequence[nn.Linear],
        rows: Sequence[slice],
        recorded: Recorded,
    ) -> Tensor:
        """Returns the outputs (rows, out) of `x` (rows, in); see `joined`."""
        ctx.layers, ctx.rows, ctx.recorded = layers, rows, recorded
        products = [
            functional.linear(aligned(x[own]), layer.weight, layer.bias)
            for layer, own in zip(layers, rows, strict=True)
            if some(own)
        ]
        return torch.cat(products)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Returns the gradient at the inputs (rows, in), for a gradient at the outputs."""
        (gradient,) = gradients
        ctx.recorded.keep(gradient)
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None
        products = [
            torch.mm(aligned(gradient[own]), layer.weight)
            for layer, own in zip(ctx.layers, ctx.rows, strict=True)
            if some(own)
        ]
        return torch.cat(products), None, None, None, None


class JoinedLayer(torch.autograd.Function):
    """Layers of any kind. Gradients keep the order in memory that they have for a model alone."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        anchor: Tensor,
        layers: Sequence[nn.Module],
        rows: Sequence[slice],
        recorded: Recorded,
    ) -> Tensor:
        """Returns the outputs (rows, ...) of `x` (rows, ...); see `joined`."""
        ctx.rows, ctx.recorded, ctx.graphs = [own for own in rows if some(own)], recorded, []
        outputs = []
        for layer, own in zip(layers, rows, strict=True):
            if not some(own):
                continue
            inputs = aligned(x[own].detach()).requires_grad_(ctx.needs_input_grad[0])
            with torch.enable_grad():
                outputs.append(type(layer).forward(layer, inputs))
            ctx.graphs.append((inputs, outputs[-1]))
        return torch.cat([output.detach() for output in outputs])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Returns the gradient at the inputs (rows, ...), for a gradient at the outputs."""
        (gradient,) = gradients
        ctx.recorded.keep(gradient)
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None
        at_inputs = [
            torch.autograd.grad(outputs, inputs, aligned(gradient[own]))[0]
            for (inputs, outputs), own in zip(ctx.graphs, ctx.rows, strict=True)
        ]
        return torch.cat(at_inputs), None, None, None, None


def joined(
    kind: type[JoinedLinear | JoinedLayer],
    x: Tensor,
    anchor: Tensor,
    layers: Sequence[nn.Module],
    rows: Sequence[slice],
    recorded: Recorded,
) -> Tensor:
    """Returns the outputs (rows, ...) of the same layer of several models.

    Args:
        kind: How the layers are evaluated.
        x: The inputs (rows, ...); those of model m are `x[rows[m]]`.
        anchor: A tensor that needs a gradient, so that there is a backward pass through the layers
            even if `x` does not need a gradient.
        layers: The layer of each model.
        rows: The rows of each model.
        recorded: Keeps the gradient at the outputs.
    """
    outputs: Tensor = kind.apply(x, anchor, layers, rows, recorded)  # type: ignore[no-untyped-call]
    return outputs
