"""The residual network."""

from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.limits import BLOCKS, WIDTH
from mgaudit.targets.networks.cnn import group_norm
from mgaudit.targets.networks.images import require_images
from mgaudit.targets.networks.network import Network

SMALLEST_IMAGE = 8
STAGES = 3


class ResidualBlock(nn.Module):
    """A layer that returns relu(x + h), where h is convolution, norm, ReLU, convolution, norm of x.

    If h has another shape than x, a 1x1 convolution and a norm are applied to x before the sum.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False),
            group_norm(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False),
            group_norm(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, group_norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Returns activations for `x` (batch, inputs, height, width).

        Their shape is (batch, outputs, height / stride, width / stride), rounded up.
        """
        total: Tensor = self.residual(x) + self.shortcut(x)
        return total.relu()


class ResNet(Network):
    """A residual network of three stages and average pooling (He et al. 2016).

    Each stage has `blocks` blocks. The stages have `width`, 2 `width` and 4 `width` channels, and
    the second and the third halve the image's sides. The network has 6 `blocks` + 2 layers. The
    norms are GroupNorms (Wu and He 2018) instead of BatchNorms, as in the CNN.
    """

    name: ClassVar[str] = "resnet"
    source: ClassVar[str] = "He et al. 2016"
    images: ClassVar[bool] = True
    small: ClassVar[dict[str, Any]] = {"blocks": 2, "width": 4}

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, blocks: int = 1, width: int = 16
    ) -> None:
        require_images(input_shape, SMALLEST_IMAGE)
        if blocks < 1 or width < 1:
            raise UsageError("blocks and width", "must be >= 1", f"{blocks} and {width}")
        BLOCKS.check("blocks", blocks)
        WIDTH.check("width", width)
        super().__init__()
        convolution = nn.Conv2d(input_shape[0], width, kernel_size=3, padding=1, bias=False)
        self.stem = nn.Sequential(convolution, group_norm(width), nn.ReLU())
        stages: list[nn.Module] = []
        widths = [width] + [width * 2**stage for stage in range(STAGES) for _ in range(blocks)]
        # The number of channels changes at the beginning of the second and the third stage.
        for inputs, outputs in pairwise(widths):
            stride = 1 if inputs == outputs else 2
            stages.append(ResidualBlock(inputs, outputs, stride))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (batch, classes) for `x` (batch, channels, height, width)."""
        activations = self.stages(self.stem(x))
        logits: Tensor = self.head(activations.mean(dim=(2, 3)))
        return logits
