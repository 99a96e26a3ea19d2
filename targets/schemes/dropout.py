"""Dropout of inputs."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor

from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import Scheme


@dataclass(frozen=True)
class Dropout(Scheme):
    """Sets each input entry to 0 with probability `rate`, and divides the others by 1 - rate.

    So the mask has mean 1 and variance rate / (1 - rate): a Bernoulli counterpart of the Gaussian mask. Fresh for every
    example and step, or, with `fixed`, drawn once for each example of a model. Off at evaluation.
    """

    name: ClassVar[str] = "dropout"
    law: ClassVar[str] = "x * b / (1 - rate), b ~ Bernoulli(1 - rate)"
    source: ClassVar[str] = "Srivastava et al. 2014"

    rate: Annotated[float, Range(0, 1, high_open=True)]
    fixed: bool = False

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the zero and some strengths, for the contract."""
        return cls(0.0), (cls(0.05),)

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        """Returns x * b / (1 - rate), a new tensor; `x` itself, and nothing drawn, at strength 0."""
        if self.rate == 0:
            return x
        kept = 1.0 - self.rate
        return torch.empty_like(x).bernoulli_(kept, generator=generator).div_(kept).mul_(x)
