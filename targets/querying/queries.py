"""Which questions a model is asked about each example. The questions are fixed: the same for every model."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mgaudit.errors import UsageError
from mgaudit.targets.schemes import GaussianMask, Scheme
from mgaudit.targets.schemes.scheme import overrides


@dataclass(frozen=True)
class Queries:
    """The example as it is: one query."""

    @property
    def number(self) -> int:
        """The number of queries of each example."""
        return 1

    def under(self, scheme: Scheme) -> "Queries":
        """Returns the queries for models that were trained under `scheme`."""
        return self

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Raises UsageError for examples of a shape that the queries are not made for."""

    def ask(self, inputs: Tensor, query: int, generator: Generator) -> Tensor:
        """Returns query number `query` of standardised inputs (examples, *input_shape), same shape.

        `generator` is at the start of a stream of this query's own.
        """
        return inputs


@dataclass(frozen=True)
class Flips(Queries):
    """The image and its mirror image, left for right: two queries (Carlini et al. 2022, section VI-C)."""

    @property
    def number(self) -> int:
        """Two."""
        return 2

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Raises UsageError for what is no image."""
        _require_images("flips", input_shape)

    def ask(self, inputs: Tensor, query: int, generator: Generator) -> Tensor:
        """Returns the images, mirrored for query 1."""
        return inputs.flip(-1) if query == 1 else inputs


@dataclass(frozen=True)
class Crops(Queries):
    """The image and `count` - 1 shifted ones: by up to `pixels` up or down and left or right, and mirrored by a coin.

    What a shift uncovers is 0, the mean of the standardised inputs. `pixels` None means an eighth of the image.
    """

    count: int
    pixels: int | None = None
    mirror: bool = True

    def __post_init__(self) -> None:
        _require_several(self.count)
        if self.pixels is not None and self.pixels < 1:
            raise UsageError("pixels", "must be >= 1", str(self.pixels))

    @property
    def number(self) -> int:
        """The number of queries of each example."""
        return self.count

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Raises UsageError for what is no image, or one that a shift may push out of sight."""
        _require_images("crops", input_shape)
        side = min(input_shape[1:])
        if self.pixels is not None and self.pixels >= side:
            raise UsageError(
                "queries.crops.pixels", f"must be < {side}, the image's side", str(self.pixels)
            )

    def ask(self, inputs: Tensor, query: int, generator: Generator) -> Tensor:
        """Returns the images, all shifted alike but for query 0."""
        if query == 0:
            return inputs
        height, width = inputs.shape[-2:]
        most = max(min(height, width) // 8, 1) if self.pixels is None else self.pixels
        down, right = torch.randint(-most, most + 1, (2,), generator=generator).tolist()
        mirrored = self.mirror and bool(torch.randint(2, (1,), generator=generator))
        shifted = torch.zeros_like(inputs)
        shifted[
            ..., max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)
        ] = inputs[
            ..., max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
        ]
        return shifted.flip(-1) if mirrored else shifted


@dataclass(frozen=True)
class Mask(Queries):
    """`count` fixed draws of the training noise on the inputs, each with every arm's own noise.

    Models that were trained without noise on their inputs are asked plainly, once. With `kappa` every arm is asked with
    Gaussian masks of that strength.
    """

    count: int
    kappa: float | None = None

    def __post_init__(self) -> None:
        _require_several(self.count)
        if self.kappa is not None:
            GaussianMask(self.kappa)

    @property
    def number(self) -> int:
        """The number of queries of each example, where there is noise."""
        return self.count

    def under(self, scheme: Scheme) -> Queries:
        """Returns draws of the scheme's noise, or the plain query where it leaves the inputs alone."""
        if self.kappa is not None:
            return NoiseDraws(self.count, GaussianMask(self.kappa))
        return NoiseDraws(self.count, scheme) if overrides(scheme, "inputs") else Queries()


@dataclass(frozen=True)
class NoiseDraws(Queries):
    """`count` draws of what `scheme` does to the inputs in training."""

    count: int
    scheme: Scheme

    @property
    def number(self) -> int:
        """The number of queries of each example."""
        return self.count

    def ask(self, inputs: Tensor, query: int, generator: Generator) -> Tensor:
        """Returns the inputs under one draw for each example."""
        return self.scheme.inputs(inputs, generator)


QUERIES: dict[str, type[Queries]] = {"plain": Queries, "flips": Flips, "crops": Crops, "mask": Mask}


def _require_images(name: str, input_shape: tuple[int, ...]) -> None:
    if len(input_shape) != 3:
        rule = "must be asked about images (channels, height, width)"
        raise UsageError(
            f"queries {name}", rule, f"examples of shape {input_shape}", "use plain or mask"
        )


def _require_several(count: int) -> None:
    if count < 2:
        raise UsageError("count", "must be >= 2", str(count))
