"""The convolutional networks of the weight-noise paper, without normalisation."""

from itertools import pairwise

from torch import Tensor, nn

from mgaudit.targets.networks.images import require_images


class PlainCNN(nn.Module):
    """Convolutions with ReLU, max pooling after the first `pools` of them, then linear layers.

    These are the two networks of arXiv 2206.04613, Appendix F.2. With `average`, the linear layers
    take the mean of each channel, otherwise all pixels. `hidden` are the widths of hidden linear
    layers. Convolutions keep the size of the image if `padded`; without padding, each one removes
    `kernel` - 1 rows and columns. The initial weights are torch's defaults.

    Raises:
        UsageError: For examples that are not images, and for images of which no pixel is left.
        ValueError: For an even kernel, and for `pools` outside 0..len(channels).
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        channels: tuple[int, ...] = (6, 16),
        kernel: int = 5,
        pools: int = 2,
        hidden: tuple[int, ...] = (120, 84),
        average: bool = False,
        padded: bool = True,
    ) -> None:
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
        if not 0 <= pools <= len(channels):
            raise ValueError(f"pools must be between 0 and {len(channels)}, got {pools}")
        require_images(input_shape, _smallest_image(len(channels), kernel, pools, padded))
        super().__init__()
        sides = list(input_shape[1:])
        layers: list[nn.Module] = []
        for block, (inputs, outputs) in enumerate(pairwise((input_shape[0], *channels))):
            layers.append(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2 if padded else 0))
            sides = [side if padded else side - kernel + 1 for side in sides]
            # Pooling and ReLU commute; pooling first leaves ReLU a quarter of the work.
            if block < pools:
                layers.append(nn.MaxPool2d(2))
                sides = [side // 2 for side in sides]
            layers.append(nn.ReLU())
        if average:
            layers.append(nn.AdaptiveAvgPool2d(1))
        features = channels[-1] * (1 if average else sides[0] * sides[1])
        layers.append(nn.Flatten())
        for inputs, outputs in pairwise((features, *hidden)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        head = nn.Linear((features, *hidden)[-1], classes)
        self.layers = nn.Sequential(*layers, head)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (batch, classes) for `x` (batch, channels, height, width)."""
        logits: Tensor = self.layers(x)
        return logits


def _smallest_image(convolutions: int, kernel: int, pools: int, padded: bool) -> int:
    """Returns the side of the smallest image of which a pixel is left after all convolutions."""
    side = 1
    for block in reversed(range(convolutions)):
        side *= 2 if block < pools else 1
        side += 0 if padded else kernel - 1
    return side
