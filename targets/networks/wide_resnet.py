"""The wide residual network with BatchNorm."""

from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.limits import BLOCKS, WIDTH
from mgaudit.targets.networks.images import require_images
from mgaudit.targets.networks.network import Network
from mgaudit.targets.networks.resnet18 import initialise_convolutions

SMALLEST_IMAGE = 8
STAGES = 3
STEM = 16  # channels of the first convolution


class PreactivationBlock(nn.Module):
    """A layer that returns x + h, where h is norm, ReLU and convolution of x, twice.

    The norms are BatchNorms. If h has another shape than x, x is replaced in the sum by a 1x1
    convolution of the first norm and ReLU.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.activation = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU())
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False),
        )
        self.shortcut: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns activations for `x` (batch, inputs, height, width).

        Their shape is (batch, outputs, height / stride, width / stride), rounded up.
        """
        active = self.activation(x)
        total: Tensor = self.residual(active) + (
            x if self.shortcut is None else self.shortcut(active)
        )
        return total


class WideResNet(Network):
    """WRN-28-2, a wide residual network with BatchNorm (Zagoruyko and Komodakis 2016).

    After a convolution of 16 channels, each of three stages has `blocks` blocks. The stages have
    `width`, 2 `width` and 4 `width` channels, and the second and the third halve the image's sides.
    The network has 6 `blocks` + 4 layers, and its widening factor is `width` / 16. Convolutions
    begin as in He et al. (2015). BatchNorm makes the logits of an example depend on its batch in
    training, so DP-SGD cannot train this network; `resnet` has GroupNorm.
    """

    name: ClassVar[str] = "wrn28-2"
    source: ClassVar[str] = "Zagoruyko and Komodakis 2016"
    images: ClassVar[bool] = True
    per_example: ClassVar[bool] = False
    small: ClassVar[dict[str, Any]] = {"blocks": 1, "width": 4}

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, blocks: int = 4, width: int = 32
    ) -> None:
        require_images(input_shape, SMALLEST_IMAGE)
        if blocks < 1 or width < 1:
            raise UsageError("blocks and width", "must be >= 1", f"{blocks} and {width}")
        BLOCKS.check("blocks", blocks)
        WIDTH.check("width", width)
        super().__init__()
        self.stem = nn.Conv2d(input_shape[0], STEM, kernel_size=3, padding=1, bias=False)
        stages: list[nn.Module] = []
        previous = STEM
        for stage in range(STAGES):
            outputs = width * 2**stage
            widths = [previous, *[outputs] * blocks]
            for block, (inputs, channels) in enumerate(pairwise(widths)):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(PreactivationBlock(inputs, channels, stride))
            previous = outputs
        self.stages = nn.Sequential(*stages)
        self.activation = nn.Sequential(nn.BatchNorm2d(previous), nn.ReLU())
        self.head = nn.Linear(previous, classes)
        initialise_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (batch, classes) for `x` (batch, channels, height, width)."""
        activations = self.activation(self.stages(self.stem(x)))
        logits: Tensor = self.head(activations.mean(dim=(2, 3)))
        return logits
