"""The residual network of 18 layers with BatchNorm."""

from itertools import pairwise
from typing import Any, ClassVar

from torch import Tensor, nn

from mgaudit.errors import UsageError
from mgaudit.targets.limits import WIDTH
from mgaudit.targets.networks.images import require_images
from mgaudit.targets.networks.network import Network

SMALLEST_IMAGE = 8
STAGES, BLOCKS = 4, 2  # BLOCKS in each stage


class BasicBlock(nn.Module):
    """A layer that returns relu(x + h), where h is convolution, norm, ReLU, convolution, norm of x.

    The norms are BatchNorms. If h has another shape than x, a 1x1 convolution and a norm are
    applied to x before the sum.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Returns activations for `x` (batch, inputs, height, width).

        Their shape is (batch, outputs, height / stride, width / stride), rounded up.
        """
        total: Tensor = self.residual(x) + self.shortcut(x)
        return total.relu()


class ResNet18(Network):
    """ResNet-18 with BatchNorm, for small images (He et al. 2016).

    The stem is a 3x3 convolution without max pooling, as is usual for CIFAR. The four stages of two
    blocks have `width`, 2 `width`, 4 `width` and 8 `width` channels, and all but the first halve
    the image's sides. Convolutions begin as in He et al. (2015). BatchNorm makes the logits of an
    example depend on its batch in training, so DP-SGD cannot train this network; `resnet` has
    GroupNorm.
    """

    name: ClassVar[str] = "resnet18"
    source: ClassVar[str] = "He et al. 2016"
    images: ClassVar[bool] = True
    per_example: ClassVar[bool] = False
    small: ClassVar[dict[str, Any]] = {"width": 2}

    def __init__(self, input_shape: tuple[int, ...], classes: int, width: int = 64) -> None:
        require_images(input_shape, SMALLEST_IMAGE)
        if width < 1:
            raise UsageError("width", "must be >= 1", str(width))
        WIDTH.check("width", width)
        super().__init__()
        convolution = nn.Conv2d(input_shape[0], width, kernel_size=3, padding=1, bias=False)
        self.stem = nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU())
        widths = [width] + [width * 2**stage for stage in range(STAGES) for _ in range(BLOCKS)]
        # The number of channels changes at the beginning of each stage but the first.
        blocks = [
            BasicBlock(inputs, outputs, stride=1 if inputs == outputs else 2)
            for inputs, outputs in pairwise(widths)
        ]
        self.stages = nn.Sequential(*blocks)
        self.head = nn.Linear(widths[-1], classes)
        initialise_convolutions(self)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits (batch, classes) for `x` (batch, channels, height, width)."""
        activations = self.stages(self.stem(x))
        logits: Tensor = self.head(activations.mean(dim=(2, 3)))
        return logits


def initialise_convolutions(network: nn.Module) -> None:
    """Draws the weights of convolutions from N(0, 2 / fan-out) (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
