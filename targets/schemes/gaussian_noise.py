"""Additive Gaussian noise on the inputs."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor

from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import Scheme


@dataclass(frozen=True)
class GaussianNoise(Scheme):
    """Adds an independent draw from N(0, sigma^2) to each entry of the standardised input.

    The noise is drawn for every example and step or, with `fixed`, once for each example of a
    model. There is no noise at evaluation.
    """

    name: ClassVar[str] = "gaussian-noise"
    law: ClassVar[str] = "x + e, e ~ N(0, sigma^2 I)"
    source: ClassVar[str] = "Bishop 1995"
    acts_on_each_example: ClassVar[bool] = True

    sigma: Annotated[float, Range(0)]
    fixed: bool = False

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the scheme at strength zero and at others, with which `check_scheme` tests it."""
        return cls(0.0), (cls(0.01),)

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        """Returns x + e (examples, *input_shape), a new tensor.

        For sigma 0, `x` itself is returned and nothing is drawn.
        """
        if self.sigma == 0:
            return x
        return torch.empty_like(x).normal_(0.0, self.sigma, generator=generator).add_(x)
