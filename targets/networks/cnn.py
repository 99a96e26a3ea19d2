"""The small convolutional network."""

import math
from itertools import pairwise
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.networks.images import require_images
from mgaudit.targets.networks.network import Network

SMALLEST_IMAGE = 8


def group_norm(channels: int) -> nn.GroupNorm:
    """Returns a GroupNorm of 8 groups, or of fewer that have two channels or more each.

    A group of one channel would be 0 where the image has shrunk to a single pixel.
    """
    return nn.GroupNorm(1 if channels % 2 else math.gcd(8, channels // 2), channels)


class CNN(Network):
    """Blocks of 3x3 convolution, ReLU and 2x2 max pooling, then one hidden layer.

    `channels` holds the width of each block and `hidden` that of the last layer but one; only the first `pools` blocks
    pool, all of them unless it is given. `norm="group"` puts a GroupNorm behind each convolution. BatchNorm is not
    offered: it makes the output for one example depend on the others in its batch, which breaks both per-example
    clipping and the audit's counterfactual.
    """

    name: ClassVar[str] = "cnn"
    images: ClassVar[bool] = True
    small: ClassVar[dict[str, Any]] = {"channels": (4, 5), "hidden": 6}

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        channels: tuple[int, ...] = (32, 64),
        hidden: int = 128,
        norm: Literal["none", "group"] = "none",
        pools: int | None = None,
    ) -> None:
        pools = len(channels) if pools is None else pools
        if not 0 <= pools <= len(channels):
            raise UsageError("pools", f"must be between 0 and {len(channels)}, the number of blocks", str(pools))
        shrink: int = 2**pools
        require_images(input_shape, max(SMALLEST_IMAGE, shrink))
        if hidden < 1 or any(width < 1 for width in channels):
            raise UsageError("channels and hidden", "must be >= 1", f"{channels} and {hidden}")
        super().__init__()
        layers: list[nn.Module] = []
        for block, (inputs, outputs) in enumerate(pairwise((input_shape[0], *channels))):
            layers.append(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1))
            if norm == "group":
                layers.append(group_norm(outputs))
            # The largest of the rectified is the rectified largest, and a quarter of the work.
            layers += [nn.MaxPool2d(2), nn.ReLU()] if block < pools else [nn.ReLU()]
        pixels = (input_shape[1] // shrink) * (input_shape[2] // shrink)
        features = (channels[-1] if channels else input_shape[0]) * pixels
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (batch, classes) for `x` (batch, channels, height, width)."""
        logits: Tensor = self.layers(x)
        return logits
