"""Per-example gradients of layers: their norms and weighted sums, from one backward pass.

The gradient of a layer's weight at one example is a product of the layer's inputs and of the
gradient at its outputs. So the norms of all examples, and any weighted sum of their gradients,
follow from what one backward pass leaves at the layers (Bu et al. 2022, "Scalable and efficient
training of large convolutional neural networks with differential privacy").
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import group_norm, layer_norm, pad

from mgaudit.targets.fitting.aligned_rows import aligned

NUMBERS_AT_ONCE = 2**17  # that are squared at once on a CPU


class PerExample(Protocol):
    """The gradients of one weight at the examples of a batch."""

    def squared_norms(self) -> Tensor:
        """Returns the squared norm of each example's gradient (examples,)."""

    def weighted_sum(self, factors: Tensor) -> Tensor:
        """Returns the sum over examples of `factors` (examples,) times the gradient (numbers,)."""


class OfLayer(PerExample, Protocol):
    """The gradients of one weight that a layer's rule returns."""

    def part(self, examples: slice) -> PerExample:
        """Returns the gradients at some of the examples."""


@dataclass(frozen=True)
class Gradients:
    """Gradients that are held for every example: `values` (examples, numbers)."""

    values: Tensor

    def squared_norms(self) -> Tensor:
        """Returns the squared norm of each example's gradient (examples,)."""
        return self.values.square().sum(dim=1)

    def weighted_sum(self, factors: Tensor) -> Tensor:
        """Returns the sum over examples of `factors` (examples,) times the gradient (numbers,)."""
        return factors @ self.values

    def part(self, examples: slice) -> "Gradients":
        """Returns the gradients at some of the examples."""
        return Gradients(aligned(self.values[examples]))


@dataclass(frozen=True)
class Products:
    """Gradients sum_t g_t a_t^T that are held as their factors.

    `inputs` a are (examples, positions, in) and `at_outputs` g (examples, positions, out). The
    squared norm is the sum over pairs of positions s, t of (a_s . a_t)(g_s . g_t).
    """

    inputs: Tensor
    at_outputs: Tensor

    def squared_norms(self) -> Tensor:
        """Returns the squared norm of each example's gradient (examples,)."""
        if self.inputs.shape[1] == 1:
            of_inputs = _squared_norms(self.inputs[:, 0])
            return of_inputs * _squared_norms(self.at_outputs[:, 0])
        of_inputs = torch.bmm(self.inputs, self.inputs.mT)
        of_pairs = of_inputs * torch.bmm(self.at_outputs, self.at_outputs.mT)
        return of_pairs.sum(dim=(1, 2)).clamp(min=0)  # rounding may leave less than 0 of a norm 0

    def weighted_sum(self, factors: Tensor) -> Tensor:
        """Returns the sum over examples of `factors` (examples,) times the gradient (numbers,)."""
        weighted = self.at_outputs * factors[:, None, None]
        return (weighted.flatten(0, 1).T @ self.inputs.flatten(0, 1)).flatten()

    def part(self, examples: slice) -> "Products":
        """Returns the gradients at some of the examples."""
        return Products(aligned(self.inputs[examples]), aligned(self.at_outputs[examples]))


def _squared_norms(rows: Tensor) -> Tensor:
    """Returns the squared norm of each row of `rows` (rows, numbers).

    On a CPU, as many rows are squared at once as its caches hold.
    """
    at_once = NUMBERS_AT_ONCE // rows.shape[1]
    if rows.device.type != "cpu" or len(rows) <= at_once or not at_once:
        return rows.square().sum(dim=1)
    return torch.cat([some.square().sum(dim=1) for some in torch.split(rows, at_once)])


def held(inputs: Tensor, at_outputs: Tensor) -> OfLayer:
    """Returns the gradients sum_t g_t a_t^T in the form that needs fewer multiplications.

    `inputs` a are (examples, positions, in) and `at_outputs` g (examples, positions, out).
    """
    if _as_products(inputs.shape[1], inputs.shape[2], at_outputs.shape[2]):
        return Products(inputs, at_outputs)
    return Gradients(torch.bmm(at_outputs.mT, inputs).flatten(1))


def _as_products(positions: int, numbers_in: int, numbers_out: int) -> bool:
    """Returns whether pairs of positions need fewer multiplications than the gradient itself."""
    return positions * (numbers_in + numbers_out) <= numbers_in * numbers_out


@dataclass(frozen=True)
class Rule:
    """How the gradients of a kind of layer follow from its inputs and the gradient at its outputs.

    `gradients(layer, inputs, at_outputs, examples)` returns them by the names of the weights.
    `inputs` and `at_outputs` are (rows, ...), and an example has rows / examples rows, one after
    the other. A gradient is flat; that of a convolution's weight is in channels-last order.
    `floats(layer, inputs, outputs)` is the number of floats that they need for each row, where
    `inputs` and `outputs` are those of one row (1, ...).
    """

    gradients: Callable[..., dict[str, OfLayer]]
    floats: Callable[..., int]


def _linear(
    layer: nn.Linear, inputs: Tensor, at_outputs: Tensor, examples: int
) -> dict[str, OfLayer]:
    """Returns the gradients of a linear layer; axes between first and last are positions."""
    of_inputs = inputs.reshape(examples, -1, inputs.shape[-1])
    of_outputs = at_outputs.reshape(examples, -1, at_outputs.shape[-1])
    return {"weight": held(of_inputs, of_outputs), "bias": Gradients(of_outputs.sum(dim=1))}


def _linear_floats(layer: nn.Linear, inputs: Tensor, outputs: Tensor) -> int:
    """Returns the number of floats for each row of a linear layer's inputs."""
    positions = inputs.numel() // layer.in_features
    if _as_products(positions, layer.in_features, layer.out_features):
        return positions * (layer.in_features + layer.out_features)
    return layer.weight.numel()


def _convolution(
    layer: nn.Conv2d, inputs: Tensor, at_outputs: Tensor, examples: int
) -> dict[str, OfLayer]:
    """Returns the gradients of a convolution, whose positions are the pixels of its outputs."""
    patches = _patches(layer, inputs)
    of_inputs = patches.reshape(examples, -1, patches.shape[-1])
    of_outputs = at_outputs.permute(0, 2, 3, 1).reshape(examples, -1, at_outputs.shape[1])
    return {"weight": held(of_inputs, of_outputs), "bias": Gradients(of_outputs.sum(dim=1))}


def _convolution_floats(layer: nn.Conv2d, inputs: Tensor, outputs: Tensor) -> int:
    """Returns the number of floats for each row of a convolution's inputs."""
    positions = outputs[0, 0].numel()
    return positions * layer.weight[0].numel() + outputs.numel() + layer.weight.numel()


def _patches(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Returns the inputs of `layer` at each output pixel (rows, pixels, height * width * channels).

    `x` is (rows, channels, height, width). A patch is in channels-last order, in which it is copied
    in long runs: `torch.nn.functional.unfold` takes several times as long.
    """
    (above, left), (down, right) = _pair(layer.padding), _pair(layer.stride)
    (rows_apart, columns_apart), (high, wide) = _pair(layer.dilation), _pair(layer.kernel_size)
    padded = pad(x.permute(0, 2, 3, 1), (0, 0, left, left, above, above)).contiguous()
    count, height, width, channels = padded.shape
    out_height = (height - rows_apart * (high - 1) - 1) // down + 1
    out_width = (width - columns_apart * (wide - 1) - 1) // right + 1
    image, row, column, channel = padded.stride()
    patches = padded.as_strided(
        (count, out_height, out_width, high, wide, channels),
        (image, row * down, column * right, row * rows_apart, column * columns_apart, channel),
    )
    return patches.reshape(count, out_height * out_width, high * wide * channels)


def _pair(of_rows_and_columns: str | tuple[int, ...]) -> tuple[int, int]:
    """Returns a setting of a convolution for rows and for columns."""
    assert not isinstance(of_rows_and_columns, str)  # a padding in words has no rule
    rows, columns = of_rows_and_columns
    return rows, columns


def _group_norm(
    layer: nn.GroupNorm, inputs: Tensor, at_outputs: Tensor, examples: int
) -> dict[str, OfLayer]:
    """Returns the gradients of a GroupNorm's scale and shift, for each channel."""
    normalised = group_norm(inputs, layer.num_groups, None, None, layer.eps)
    by_channel = (examples, len(inputs) // examples, layer.num_channels, -1)
    scale = (normalised * at_outputs).reshape(by_channel).sum(dim=(1, 3))
    shift = at_outputs.reshape(by_channel).sum(dim=(1, 3))
    return {"weight": Gradients(scale), "bias": Gradients(shift)}


def _layer_norm(
    layer: nn.LayerNorm, inputs: Tensor, at_outputs: Tensor, examples: int
) -> dict[str, OfLayer]:
    """Returns the gradients of a LayerNorm's scale and shift, for each number of its shape."""
    shape = list(layer.normalized_shape)
    normalised = layer_norm(inputs, shape, None, None, layer.eps)
    scale = (normalised * at_outputs).reshape(examples, -1, *shape).sum(dim=1)
    shift = at_outputs.reshape(examples, -1, *shape).sum(dim=1)
    return {"weight": Gradients(scale.flatten(1)), "bias": Gradients(shift.flatten(1))}


def _norm_floats(layer: nn.Module, inputs: Tensor, outputs: Tensor) -> int:
    """Returns the number of floats for each row of the inputs of a norm."""
    return 2 * inputs.numel()


RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: Rule(_linear, _linear_floats),
    nn.Conv2d: Rule(_convolution, _convolution_floats),
    nn.GroupNorm: Rule(_group_norm, _norm_floats),
    nn.LayerNorm: Rule(_layer_norm, _norm_floats),
}


def rule_of(layer: nn.Module) -> Rule | None:
    """Returns the rule of a layer, or None if there is none.

    There is none for subclasses, whose outputs may be others, for layers with hooks on their
    outputs, and for convolutions by groups or with a padding other than a number of zeros.
    """
    if layer._forward_hooks or layer._forward_pre_hooks:
        return None
    if isinstance(layer, nn.Conv2d):
        zeros = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
        if layer.groups > 1 or not zeros:
            return None
    return RULES.get(type(layer))
