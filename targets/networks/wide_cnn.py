"""The wider and deeper convolutional network."""

from typing import Any, ClassVar, Literal

from mgaudit.targets.networks.cnn import CNN


class WideCNN(CNN):
    """The CNN with four convolutions, of 32, 64, 128 and 128 channels.

    The first three blocks have pooling. The fourth does not, because it would reduce a 28x28 image
    to a single pixel and an 8x8 image to nothing. GroupNorm is used, because without it the network
    hardly learns at the default learning rate.
    """

    name: ClassVar[str] = "wide-cnn"
    small: ClassVar[dict[str, Any]] = {"channels": (4, 5, 8, 8), "hidden": 6}

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        channels: tuple[int, ...] = (32, 64, 128, 128),
        hidden: int = 128,
        norm: Literal["none", "group"] = "group",
        pools: int | None = 3,
    ) -> None:
        super().__init__(input_shape, classes, channels, hidden, norm, pools)
