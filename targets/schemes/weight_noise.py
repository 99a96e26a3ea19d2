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
    """Takes each gradient at weights with Gaussian noise, and makes the step from the weights without it.

    Every weight tensor and every bias is a group. All M groups are perturbed at each step with standard deviation
    sigma / sqrt(M), or, with `layerwise`, one group with standard deviation sigma: the next one in turn (`order`
    cyclic) or one at random. From epoch `stop_epoch` on there is no noise.
    """

    name: ClassVar[str] = "weight-noise"
    law: ClassVar[str] = "gradient at w + e, e ~ N(0, sigma^2 / M) on all M groups, or N(0, sigma^2) on one"
    source: ClassVar[str] = "arXiv 2206.04613"

    sigma: Annotated[float, Range(0)]
    layerwise: bool = False
    order: Literal["cyclic", "random"] = "cyclic"
    stop_epoch: Annotated[int, Range(0)] | None = None

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the zero and some strengths, for the contract."""
        return cls(0.0), (cls(0.1), cls(0.1, layerwise=True), cls(0.1, layerwise=True, order="random"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order == "random" and not self.layerwise:
            raise UsageError(
                "order", "chooses which group gets noise, and without layerwise=true all of them do", "random"
            )

    def weight_noise(
        self, weights: dict[str, Tensor], step: int, epoch: float, generator: Generator
    ) -> dict[str, Tensor]:
        """Returns the noise on the groups that are perturbed at this step."""
        if self.sigma == 0 or (self.stop_epoch is not None and epoch >= self.stop_epoch):
            return {}
        names = list(weights)
        std = self.sigma / len(names) ** 0.5
        if self.layerwise:
            names, std = [names[self._turn(step, len(names), generator)]], self.sigma
        return {name: _drawn_like(weights[name], std, generator) for name in names}

    def _turn(self, step: int, groups: int, generator: Generator) -> int:
        if self.order == "cyclic":
            return step % groups
        # Drawn on the host from the generator's own seed: to read a draw off a GPU, the host would have to wait for it.
        return int(np.random.default_rng([generator.initial_seed(), step]).integers(groups))


def _drawn_like(weight: Tensor, std: float, generator: Generator) -> Tensor:
    """Returns noise in the shape of the weight, drawn in the same order however the weight lies in memory."""
    contiguous = torch.contiguous_format
    return torch.empty_like(weight, memory_format=contiguous).normal_(0.0, std, generator=generator)
