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

    The mask has mean 1 and variance rate / (1 - rate), as a Bernoulli counterpart of the Gaussian
    mask. It is drawn for every example and step or, with `fixed`, once for each example of a model.
    There is no dropout at evaluation.
    """

    name: ClassVar[str] = "dropout"
    law: ClassVar[str] = "x * b / (1 - rate), b ~ Bernoulli(1 - rate)"
    source: ClassVar[str] = "Srivastava et al. 2014"

    rate: Annotated[float, Range(0, 1, high_open=True)]
    fixed: bool = False

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the scheme at strength zero and at some strengths, for the contract."""
        return cls(0.0), (cls(0.05),)

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        """Returns x * b / (1 - rate), a new tensor; at strength 0, `x` without drawing anything."""
        if self.rate == 0:
            return x
        kept = 1.0 - self.rate
        mask = torch.empty_like(x).bernoulli_(kept, generator=generator).div_(kept)
        return mask.mul_(x)
