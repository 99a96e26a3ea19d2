"""Noise on the weights."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from torch import Generator, Tensor

from mgaudit.errors import UsageError
from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import Scheme


@dataclass(frozen=True)
class WeightNoise(Scheme):
    """Computes each gradient at weights with Gaussian noise, and steps from the weights without it.

    Every weight tensor and every bias is a group. At each step, all M groups get noise of standard
    deviation sigma / sqrt(M) or, with `layerwise`, one group gets noise of standard deviation
    sigma: the next one (`order` cyclic) or a random one. From epoch `stop_epoch` on there is no
    noise.
    """

    name: ClassVar[str] = "weight-noise"
    law: ClassVar[str] = (
        "gradient at w + e, e ~ N(0, sigma^2 / M) on all M groups, or N(0, sigma^2) on one"
    )
    source: ClassVar[str] = "arXiv 2206.04613"

    sigma: Annotated[float, Range(0)]
    layerwise: bool = False
    order: Literal["cyclic", "random"] = "cyclic"
    stop_epoch: Annotated[int, Range(0)] | None = None

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the scheme at strength zero and at others, with which `check_scheme` tests it."""
        layerwise = (cls(0.1, layerwise=True), cls(0.1, layerwise=True, order="random"))
        return cls(0.0), (cls(0.1), *layerwise)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order == "random" and not self.layerwise:
            rule = "must be cyclic without layerwise=true, because all groups get noise"
            raise UsageError("order", rule, "random")

    def weight_noise(
        self, weights: dict[str, Tensor], step: int, epoch: float, generator: Generator
    ) -> dict[str, Tensor]:
        """Returns the noise, by name, on the weights that get noise at this step, shaped as these.

        It is {} for sigma 0 and from epoch `stop_epoch` on.
        """
        if self.sigma == 0 or (self.stop_epoch is not None and epoch >= self.stop_epoch):
            return {}
        names = list(weights)
        std = self.sigma / len(names) ** 0.5
        if self.layerwise:
            names = [names[self._group(step, len(names), generator)]]
            std = self.sigma
        return {name: _drawn_like(weights[name], std, generator) for name in names}

    def _group(self, step: int, groups: int, generator: Generator) -> int:
        """Returns the index of the group that gets noise at this step, in 0..groups - 1."""
        if self.order == "cyclic":
            return step % groups
        # Drawn on the CPU from the generator's seed: for a draw on a GPU, the CPU would have to
        # wait.
        on_host = np.random.default_rng([generator.initial_seed(), step])
        return int(on_host.integers(groups))


def _drawn_like(weight: Tensor, std: float, generator: Generator) -> Tensor:
    """Returns N(0, std^2) noise in the shape of `weight`.

    The values are drawn in row-major order, so that they do not depend on the memory layout of the
    weight.
    """
    noise = torch.empty_like(weight, memory_format=torch.contiguous_format)
    return noise.normal_(0.0, std, generator=generator)
