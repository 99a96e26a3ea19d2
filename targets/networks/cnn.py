"""The small convolutional network."""

import math
from itertools import pairwise
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.limits import LAYERS, WIDTH
from mgaudit.targets.networks.images import require_images
from mgaudit.targets.networks.network import Network

SMALLEST_IMAGE = 8


def group_norm(channels: int) -> nn.GroupNorm:
    """Returns a GroupNorm of 8 groups, or of fewer groups with at least two channels each.

    There is one group for an odd number of channels. For an image of a single pixel, the output of
    a group of one channel would always be 0.
    """
    groups = 1 if channels % 2 else math.gcd(8, channels // 2)
    return nn.GroupNorm(groups, channels)


class CNN(Network):
    """Blocks of 3x3 convolution, ReLU and 2x2 max pooling, then a hidden layer.

    `channels` are the numbers of channels of the blocks and `hidden` is the width of the hidden
    layer. Only the first `pools` blocks have pooling, by default all of them. `norm="group"` adds a
    GroupNorm after each convolution. BatchNorm is not available here: it makes the output for an
    example depend on the other examples in its batch, so DP-SGD could not train the network.
    `resnet18` and `wrn28-2` have BatchNorm.

    Raises:
        UsageError: For examples that are not images or too small, and for an option out of range.
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
        LAYERS.check("channels", len(channels))
        WIDTH.check("channels and hidden", max(hidden, *channels))
        pools = len(channels) if pools is None else pools
        if not 0 <= pools <= len(channels):
            rule = f"must be between 0 and {len(channels)}, the number of blocks"
            raise UsageError("pools", rule, str(pools))
        shrink: int = 2**pools
        require_images(input_shape, max(SMALLEST_IMAGE, shrink))
        if hidden < 1 or any(width < 1 for width in channels):
            raise UsageError("channels and hidden", "must be >= 1", f"{channels} and {hidden}")
        super().__init__()
        layers: list[nn.Module] = []
        widths = (input_shape[0], *channels)
        for block, (inputs, outputs) in enumerate(pairwise(widths)):
            layers.append(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1))
            if norm == "group":
                layers.append(group_norm(outputs))
            # Pooling and ReLU commute; pooling first leaves ReLU a quarter of the work.
            layers += [nn.MaxPool2d(2), nn.ReLU()] if block < pools else [nn.ReLU()]
        pixels = (input_shape[1] // shrink) * (input_shape[2] // shrink)
        features = widths[-1] * pixels
        hidden_layer = nn.Linear(features, hidden)
        head = nn.Linear(hidden, classes)
        self.layers = nn.Sequential(*layers, nn.Flatten(), hidden_layer, nn.ReLU(), head)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (batch, classes) for `x` (batch, channels, height, width)."""
        logits: Tensor = self.layers(x)
        return logits
