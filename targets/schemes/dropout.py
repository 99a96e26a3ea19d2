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

    The mask of factors 0 and 1 / (1 - rate) has mean 1 and variance rate / (1 - rate), and is the
    Bernoulli counterpart of the Gaussian mask. It is drawn for every example and step or, with
    `fixed`, once for each example of a model. There is no dropout at evaluation.
    """

    name: ClassVar[str] = "dropout"
    law: ClassVar[str] = "x * b / (1 - rate), b ~ Bernoulli(1 - rate)"
    source: ClassVar[str] = "Srivastava et al. 2014"
    acts_on_each_example: ClassVar[bool] = True

    rate: Annotated[float, Range(0, 1, high_open=True)]
    fixed: bool = False

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the scheme at strength zero and at others, with which `check_scheme` tests it."""
        return cls(0.0), (cls(0.05),)

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        """Returns x * b / (1 - rate) (examples, *input_shape), a new tensor.

        For rate 0, `x` itself is returned and nothing is drawn.
        """
        if self.rate == 0:
            return x
        share_kept = 1.0 - self.rate
        mask = torch.empty_like(x).bernoulli_(share_kept, generator=generator).div_(share_kept)
        return mask.mul_(x)
