"""The network of the theory of weight noise: layers without biases."""

import math
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn


class WithoutBias(nn.Module):
    """W_L a(W_{L-1} ... a(W_1 x)) on the flattened input, where a is ReLU or the identity.

    This is the network of arXiv 2206.04613, in which weight noise treats each layer as a group of
    weights. `hidden` are the widths of the hidden layers, and `activation` selects a: "relu" or
    "linear". The initial weights are torch's defaults, uniform in +-1/sqrt(fan-in).
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        hidden: tuple[int, ...] = (50,),
        activation: Literal["relu", "linear"] = "relu",
    ) -> None:
        if any(width < 1 for width in hidden):
            raise ValueError(f"hidden must hold widths >= 1, got {hidden}")
        if activation not in ("relu", "linear"):
            raise ValueError(f"activation must be 'relu' or 'linear', got {activation!r}")
        super().__init__()
        widths = (math.prod(input_shape), *hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(widths):
            layers.append(nn.Linear(inputs, outputs, bias=False))
            if activation == "relu":
                layers.append(nn.ReLU())
        head = nn.Linear(widths[-1], classes, bias=False)
        self.layers = nn.Sequential(*layers, head)

    def forward(self, x: Tensor) -> Tensor:
        """Returns outputs (batch, classes) for `x` (batch, *input_shape)."""
        outputs: Tensor = self.layers(x)
        return outputs
