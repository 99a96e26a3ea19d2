"""Multiplicative Gaussian input masking."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from targets.schemes.scheme import Scheme


@dataclass(frozen=True)
class GaussianMask(Scheme):
    """Multiplies each input entry by an independent draw of N(1, kappa^2), fresh for every example and step.

    x -> x * c with c ~ N(1, kappa^2 I), on the standardised input (arXiv 2602.17423). Off at evaluation.
    """

    kappa: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.kappa) and self.kappa >= 0):
            raise ValueError(f"kappa must be a finite number >= 0, got {self.kappa}")

    def inputs(self, x: Tensor, generator: Generator) -> Tensor:
        """Returns x * c, a new tensor; `x` stays as it is."""
        return torch.empty_like(x).normal_(1.0, self.kappa, generator=generator).mul_(x)
