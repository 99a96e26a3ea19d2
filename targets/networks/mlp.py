"""The multilayer perceptron."""

import math
from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.limits import LAYERS, WIDTH
from mgaudit.targets.networks.network import Network


class MLP(Network):
    """Fully connected ReLU network on the flattened input; `hidden` are the hidden widths."""

    name: ClassVar[str] = "mlp"
    small: ClassVar[dict[str, Any]] = {"hidden": (6, 5)}

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, hidden: tuple[int, ...] = (512, 256)
    ) -> None:
        if any(width < 1 for width in hidden):
            raise UsageError("hidden", "must hold widths >= 1", str(hidden))
        LAYERS.check("hidden", len(hidden))
        WIDTH.check("hidden", max(hidden, default=1))
        super().__init__()
        widths = (math.prod(input_shape), *hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        head = nn.Linear(widths[-1], classes)
        self.layers = nn.Sequential(*layers, head)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (batch, classes) for `x` (batch, *input_shape)."""
        logits: Tensor = self.layers(x)
        return logits
