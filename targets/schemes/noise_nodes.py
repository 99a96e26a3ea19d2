"""Noise injection nodes: additional inputs of a layer, whose values are noise."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import Scheme


class NoiseNode(nn.Module):
    """A layer with an additional input (the node), whose value is noise.

    `layer` is the original layer, and `node` a linear layer with the weights of the additional
    input. `values` (batch,) are the noise values of the current batch; None turns the node off. The
    initial weights of the node have the distribution of torch's linear layers, uniform in
    +-1/sqrt(fan-in), where the fan-in includes the node. For a convolution, the node adds the same
    value to all pixels of a channel.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer
        outputs, fan_in = len(layer.weight), layer.weight[0].numel()
        self.node = nn.Linear(1, outputs, bias=False, dtype=layer.weight.dtype)
        bound = 1 / math.sqrt(fan_in + 1)
        nn.init.uniform_(self.node.weight, -bound, bound)
        self.values: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Returns the layer's outputs (batch, outputs, ...), with the node's contribution."""
        preactivations: Tensor = self.layer(x)
        if self.values is None:
            return preactivations
        shift: Tensor = self.node(self.values[:, None])
        pixel_axes = (1,) * (preactivations.ndim - 2)
        return preactivations + shift.reshape(shift.shape + pixel_axes)


@dataclass(frozen=True)
class NoiseNodes(Scheme):
    """Adds a noise node to a layer: preactivation += w e with e ~ N(0, sigma^2), w trained.

    Layers with weights are numbered from 0, beginning at the inputs; `layer` is the number of the
    layer. e is drawn for each example, once per epoch or, with `fixed`, once for the whole
    training. At evaluation e = 0, so the node is not part of the trained model.
    """

    name: ClassVar[str] = "noise-nodes"
    law: ClassVar[str] = "W x + b + w e, e ~ N(0, sigma^2), w trained"
    source: ClassVar[str] = "arXiv 2210.13599"

    sigma: Annotated[float, Range(0)]
    layer: Annotated[int, Range(0)] = 0
    fixed: bool = False

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the scheme at strength zero and at others, with which `check_scheme` tests it."""
        return cls(0.0), (cls(1.0), cls(1.0, layer=1))

    def extend(self, model: nn.Module) -> nn.Module:
        """Returns `model`, which is changed in place: its layer number `layer` gets a noise node.

        For sigma 0, `model` is not changed.

        Raises:
            UsageError: Where the model has no layer of this number.
        """
        layers = [
            (name, module)
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
        ]
        if self.layer >= len(layers):
            rule = f"must be the number of a layer of the target, 0..{len(layers) - 1}"
            raise UsageError("layer", rule, str(self.layer))
        if self.sigma > 0:
            name, module = layers[self.layer]
            model.set_submodule(name, NoiseNode(module))
        return model

    def node_values(self, x: Tensor, generator: Generator) -> Tensor | None:
        """Returns e (examples,) for `x` (examples, *input_shape), or None for sigma 0."""
        if self.sigma == 0:
            return None
        values = torch.empty(len(x), device=x.device, dtype=x.dtype)
        return values.normal_(0.0, self.sigma, generator=generator)


def node_in(model: nn.Module) -> NoiseNode | None:
    """Returns the first layer of `model` with a noise node, or None if there is none."""
    for module in model.modules():
        if isinstance(module, NoiseNode):
            return module
    return None


def without_node(model: nn.Module) -> nn.Module:
    """Returns `model`, changed in place: layers with a noise node become the original layers."""
    for name, module in list(model.named_modules()):
        if isinstance(module, NoiseNode):
            model.set_submodule(name, module.layer)
    return model
