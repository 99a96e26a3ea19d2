"""Noise injection nodes."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import Scheme


class NoiseNode(nn.Module):
    """A layer with one more input, whose value is noise; `values` (batch,) is None where the node is off.

    Its trainable weights start as the layer's own do: uniform in +-1/sqrt(fan-in), the node counted. On a convolution
    the node adds the same to all pixels of a channel.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer
        outputs, fan_in = len(layer.weight), layer.weight[0].numel()
        self.node = nn.Linear(1, outputs, bias=False, dtype=layer.weight.dtype)
        nn.init.uniform_(self.node.weight, -1 / math.sqrt(fan_in + 1), 1 / math.sqrt(fan_in + 1))
        self.values: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Returns the preactivations (batch, outputs, ...) with the node's part."""
        preactivations: Tensor = self.layer(x)
        if self.values is None:
            return preactivations
        shift: Tensor = self.node(self.values[:, None])
        return preactivations + shift.reshape(shift.shape + (1,) * (preactivations.ndim - 2))


@dataclass(frozen=True)
class NoiseNodes(Scheme):
    """Joins a node to layer number `layer`: preactivation += w e with e ~ N(0, sigma^2) and trainable weights w.

    Layers with weights count from 0, the one next to the inputs. e is drawn for each example, anew each time the
    example comes up (which is once an epoch), or once for all with `fixed`. At evaluation e = 0, so the node is not
    part of the model that is kept.
    """

    name: ClassVar[str] = "noise-nodes"
    law: ClassVar[str] = "W x + b + w e, e ~ N(0, sigma^2), w trained"
    source: ClassVar[str] = "arXiv 2210.13599"

    sigma: Annotated[float, Range(0)]
    layer: Annotated[int, Range(0)] = 0
    fixed: bool = False

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the zero and some strengths, for the contract."""
        return cls(0.0), (cls(1.0), cls(1.0, layer=1))

    def extend(self, model: nn.Module) -> nn.Module:
        """Returns `model` with the node in it. Raises UsageError where there is no such layer."""
        layers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        if self.layer >= len(layers):
            rule = f"must be the number of a layer of the target, 0..{len(layers) - 1}"
            raise UsageError("layer", rule, str(self.layer))
        if self.sigma > 0:
            name, module = layers[self.layer]
            model.set_submodule(name, NoiseNode(module))
        return model

    def node_values(self, x: Tensor, generator: Generator) -> Tensor | None:
        """Returns e for each of `x`."""
        if self.sigma == 0:
            return None
        return torch.empty(len(x), device=x.device, dtype=x.dtype).normal_(0.0, self.sigma, generator=generator)


def node_in(model: nn.Module) -> NoiseNode | None:
    """Returns the noise node in `model`, if there is one."""
    return next((module for module in model.modules() if isinstance(module, NoiseNode)), None)


def without_node(model: nn.Module) -> nn.Module:
    """Returns `model` with the layer that had the node joined to it back in its place."""
    for name, module in list(model.named_modules()):
        if isinstance(module, NoiseNode):
            model.set_submodule(name, module.layer)
    return model
