"""Multiplicative Gaussian input masking."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor

from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import Scheme


@dataclass(frozen=True)
class GaussianMask(Scheme):
    """Multiplies each entry of the standardised input by an independent draw from N(1, kappa^2).

    The input becomes x * c with c ~ N(1, kappa^2 I). The mask c is drawn for every example and step
    (arXiv 2602.17423) or, with `fixed`, once for each example of a model. The latter is the
    correlated case, an open question in the paper. There is no mask at evaluation.
    """

    name: ClassVar[str] = "gaussian-mask"
    law: ClassVar[str] = "x * c, c ~ N(1, kappa^2 I)"
    source: ClassVar[str] = "arXiv 2602.17423"
    acts_on_each_example: ClassVar[bool] = True

    kappa: Annotated[float, Range(0)]
    fixed: bool = False

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the scheme at strength zero and at others, with which `check_scheme` tests it."""
        return cls(0.0), (cls(0.01),)

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        """Returns x * c (examples, *input_shape), a new tensor.

        For kappa 0, `x` itself is returned and nothing is drawn.
        """
        if self.kappa == 0:
            return x
        return torch.empty_like(x).normal_(1.0, self.kappa, generator=generator).mul_(x)
