"""The queries: inputs that are computed from each example, on which every model is evaluated.

Query 0 of an example is usually the example itself. The queries are the same for every model.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from mgaudit.errors import UsageError
from mgaudit.targets.limits import NOISE_DRAWS
from mgaudit.targets.limits import QUERIES as QUERIES_LIMIT
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.schemes import GaussianMask, Scheme
from mgaudit.targets.schemes.scheme import overrides
from mgaudit.targets.seeds import torch_generator


@dataclass(frozen=True)
class Queries:
    """Queries each example once, unchanged."""

    @property
    def number(self) -> int:
        """The number of queries of each example."""
        return 1

    def under(self, scheme: Scheme) -> "Queries":
        """Returns the queries of models that were trained with `scheme`; these are the same."""
        return self

    def through(self, scheme: Scheme) -> "NoiseDraws | None":
        """Returns the draws through which the first attack also queries models under `scheme`.

        None if it sends these queries only.
        """
        return None

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Raises UsageError for examples of an unsupported shape."""

    def ask(self, inputs: Tensor, query: int, generator: Generator) -> Tensor:
        """Returns the inputs of query number `query`, from 0, for standardised examples `inputs`.

        Both are (examples, *input_shape). `generator` is at the start of this query's own random
        stream.
        """
        return inputs


@dataclass(frozen=True)
class Plain(Queries):
    """Queries each example once, unchanged.

    Where models are trained with noise on their inputs, the stacked attack, if it is the first, is
    repeated with a second query: the mean of the logits over `noise_draws` draws of this noise.
    With 0 it is not.
    """

    noise_draws: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.noise_draws <= NOISE_DRAWS.most:
            rule = f"must be >= 0 and <= {NOISE_DRAWS.most}"
            raise UsageError("noise_draws", rule, str(self.noise_draws))

    def under(self, scheme: Scheme) -> Queries:
        """Returns the plain query."""
        return Queries()

    def through(self, scheme: Scheme) -> "NoiseDraws | None":
        """Returns the draws of the scheme's noise; None if it changes no inputs."""
        if self.noise_draws == 0 or not overrides(scheme, "inputs"):
            return None
        return NoiseDraws(self.noise_draws, scheme)


@dataclass(frozen=True)
class Flips(Queries):
    """Queries each image and its horizontal mirror image (Carlini et al. 2022, section VI-C)."""

    @property
    def number(self) -> int:
        """The number of queries of each example, 2."""
        return 2

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Raises UsageError for examples that are not images."""
        _require_images("flips", input_shape)

    def ask(self, inputs: Tensor, query: int, generator: Generator) -> Tensor:
        """Returns the images for query 0, and their mirror images for query 1."""
        return inputs.flip(-1) if query == 1 else inputs


@dataclass(frozen=True)
class Crops(Queries):
    """Queries each image and `count` - 1 random shifts of it by up to `pixels`, mirrored at random.

    Shifts are vertical and horizontal. Uncovered pixels are 0, the mean of the standardised inputs.
    `pixels` None means an eighth of the image's smaller side.
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
        """Raises UsageError for examples that are not images or not larger than the shifts."""
        _require_images("crops", input_shape)
        side = min(input_shape[1:])
        if self.pixels is not None and self.pixels >= side:
            rule = f"must be < {side}, the image's side"
            raise UsageError("queries.crops.pixels", rule, str(self.pixels))

    def ask(self, inputs: Tensor, query: int, generator: Generator) -> Tensor:
        """Returns the images, all with the same shift; query 0 is not shifted."""
        if query == 0:
            return inputs
        height, width = inputs.shape[-2:]
        most = self.pixels
        if most is None:
            most = max(min(height, width) // 8, 1)
        # A negative shift is up or to the left.
        down, right = torch.randint(-most, most + 1, (2,), generator=generator).tolist()
        mirrored = self.mirror and bool(torch.randint(2, (1,), generator=generator))
        shifted = torch.zeros_like(inputs)
        rows_from, rows_to = _overlapping_slices(height, down)
        columns_from, columns_to = _overlapping_slices(width, right)
        shifted[..., rows_to, columns_to] = inputs[..., rows_from, columns_from]
        return shifted.flip(-1) if mirrored else shifted


@dataclass(frozen=True)
class Mask(Queries):
    """Queries each example with `count` fixed draws of the arm's own noise on the inputs.

    Models that were trained without noise on their inputs are queried once, without noise. With
    `kappa`, all arms are queried with Gaussian masks of this strength.
    """

    count: int
    kappa: float | None = None

    def __post_init__(self) -> None:
        _require_several(self.count)
        if self.kappa is not None:
            GaussianMask(self.kappa)

    @property
    def number(self) -> int:
        """The number of queries of each example, if there is noise."""
        return self.count

    def under(self, scheme: Scheme) -> Queries:
        """Returns draws of the scheme's noise, or the plain query if it changes no inputs.

        With `kappa`, the noise is that of a Gaussian mask, whatever the scheme.
        """
        if self.kappa is not None:
            return NoiseDraws(self.count, GaussianMask(self.kappa))
        if overrides(scheme, "inputs"):
            return NoiseDraws(self.count, scheme)
        return Queries()


@dataclass(frozen=True)
class NoiseDraws(Queries):
    """Queries each example with `count` draws of the noise of `scheme` on the inputs."""

    count: int
    scheme: Scheme

    @property
    def number(self) -> int:
        """The number of queries of each example."""
        return self.count

    def failure(self, inputs: NDArray[np.float32], seed: int) -> str:
        """Returns why a draw for these examples (examples, *input_shape) fails; "" if it works."""
        x = torch.from_numpy(inputs)
        try:
            noisy = self.ask(x, 0, torch_generator(seed, "queries"))
            if noisy.shape != x.shape:
                return f"the inputs are {tuple(x.shape)}, and with noise {tuple(noisy.shape)}"
            is_finite = bool(torch.isfinite(noisy).all())
        except RAISED as error:  # of a scheme of the user's own
            return error_line(error)
        return "" if is_finite else "the inputs with noise are not finite"

    def ask(self, inputs: Tensor, query: int, generator: Generator) -> Tensor:
        """Returns the inputs with a draw of noise for each example."""
        return self.scheme.inputs(inputs, generator)


QUERIES: dict[str, type[Queries]] = {"plain": Plain, "flips": Flips, "crops": Crops, "mask": Mask}


def _overlapping_slices(side: int, shift: int) -> tuple[slice, slice]:
    """Returns the rows (or columns) that stay visible after a shift: where they were, and are.

    `side` is the number of rows, and `shift` in -side..side is the shift to higher indices.
    """
    before = slice(max(-shift, 0), side + min(-shift, 0))
    after = slice(max(shift, 0), side + min(shift, 0))
    return before, after


def _require_images(name: str, input_shape: tuple[int, ...]) -> None:
    """Raises UsageError unless examples are images; `name` is that of the queries."""
    if len(input_shape) != 3:
        rule = "must be used for images (channels, height, width)"
        value = f"examples of shape {input_shape}"
        raise UsageError(f"queries {name}", rule, value, "use plain or mask")


def _require_several(count: int) -> None:
    """Raises UsageError for fewer than 2 queries, and for too many."""
    if count < 2:
        raise UsageError("count", "must be >= 2", str(count))
    QUERIES_LIMIT.check("count", count)
