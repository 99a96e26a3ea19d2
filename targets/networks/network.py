"""What a network of mgaudit's own says about itself."""

from typing import Any, ClassVar

from torch import nn


class Network(nn.Module):
    """A network that is built from (input_shape, classes) and options.

    `name` is how it is chosen and `source` who says so; `images` says whether it takes nothing but images, and `small`
    holds options of a version that tests train in no time. All have per-example gradients, which DP-SGD needs. A
    network of the user's own is any torch.nn.Module that is built so; `mgaudit.targets.contract` checks it.
    """

    name: ClassVar[str]
    source: ClassVar[str] = "–"
    images: ClassVar[bool] = False
    small: ClassVar[dict[str, Any]]
