"""The small convolutional network."""

import math
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

SMALLEST_IMAGE = 8


class CNN(nn.Module):
    """Blocks of 3x3 convolution, ReLU and 2x2 max pooling, then one hidden layer.

    `channels` holds the width of each block and `hidden` that of the last layer but one. `norm="group"` puts
    a GroupNorm behind each convolution. BatchNorm is not offered: it makes the output for one example depend
    on the others in its batch, which breaks both per-example clipping and the audit's counterfactual.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        channels: tuple[int, ...] = (32, 64),
        hidden: int = 128,
        norm: Literal["none", "group"] = "none",
    ) -> None:
        if len(input_shape) != 3:
            raise ValueError(
                f"target cnn needs images of shape (channels, height, width), got examples of shape {input_shape}; "
                "use --target mlp for feature vectors"
            )
        smallest = max(SMALLEST_IMAGE, 2 ** len(channels))
        if min(input_shape[1:]) < smallest:
            raise ValueError(
                f"target cnn with {len(channels)} blocks needs images of at least {smallest}x{smallest} pixels, "
                f"got {input_shape[1]}x{input_shape[2]}"
            )
        if hidden < 1 or any(width < 1 for width in channels):
            raise ValueError(f"channels and hidden must be >= 1, got {channels} and {hidden}")
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((input_shape[0], *channels)):
            layers.append(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1))
            if norm == "group":
                layers.append(nn.GroupNorm(math.gcd(8, outputs), outputs))
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        shrink = 2 ** len(channels)
        pixels = (input_shape[1] // shrink) * (input_shape[2] // shrink)
        features = (channels[-1] if channels else input_shape[0]) * pixels
        self.layers = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (batch, classes) for `x` (batch, channels, height, width)."""
        logits: Tensor = self.layers(x)
        return logits
