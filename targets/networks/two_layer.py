"""The network of the theory: a trained layer with fixed outer weights."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.limits import WIDTH
from mgaudit.targets.networks.network import Network


class TwoLayer(Network):
    """Two-layer network f_j(x) = m^{-1/2} sum_r a_jr relu(w_r . x), with fixed a_jr = +-1.

    f_j is the logit of class j. This is the network of arXiv 2602.17423 with m = `width`, on the
    flattened input and without biases. The initial weights are w_r ~ N(0, I) and random signs a_jr
    (Du et al. 2019, section 3). The outer weights `outer` = (a_jr), (classes, width), differ
    between models and are not trained. They are a buffer, so that they are saved with the weights.
    """

    outer: Tensor

    name: ClassVar[str] = "two-layer"
    source: ClassVar[str] = "arXiv 2602.17423"
    small: ClassVar[dict[str, Any]] = {"width": 7}

    def __init__(self, input_shape: tuple[int, ...], classes: int, width: int = 512) -> None:
        if width < 1:
            raise UsageError("width", "must be >= 1", str(width))
        WIDTH.check("width", width)
        super().__init__()
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(math.prod(input_shape), width, bias=False)
        nn.init.normal_(self.hidden.weight)
        self.register_buffer("outer", 2.0 * torch.randint(2, (classes, width)) - 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (batch, classes) for `x` (batch, *input_shape)."""
        active: Tensor = self.hidden(self.flatten(x)).relu()
        return active @ self.outer.T / math.sqrt(self.outer.shape[1])
