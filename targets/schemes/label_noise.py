"""Noise on the labels."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Generator, Tensor

from mgaudit.targets.ranges import Range
from mgaudit.targets.schemes.scheme import Scheme


@dataclass(frozen=True)
class LabelNoise(Scheme):
    """Replaces each training label with probability `rate` by a uniformly random other class.

    The noise is drawn once for each example of a model, before training. Attacks use the true
    labels.
    """

    name: ClassVar[str] = "label-noise"
    law: ClassVar[str] = "y with probability 1 - rate, each other class with rate / (classes - 1)"
    source: ClassVar[str] = "Angluin and Laird 1988"

    rate: Annotated[float, Range(0, 1)]

    @classmethod
    def examples(cls) -> tuple[Scheme | None, tuple[Scheme, ...]]:
        """Returns the scheme at strength zero and at others, with which `check_scheme` tests it."""
        return cls(0.0), (cls(0.2),)

    @property
    def fixed(self) -> bool:
        """Always True: label noise is drawn once."""
        return True

    def labels(self, y: Tensor, classes: int, generator: Generator) -> Tensor:
        """Returns noisy labels for `y`, both (examples,) int64 in 0..classes - 1.

        For rate 0, `y` itself is returned and nothing is drawn.
        """
        if self.rate == 0:
            return y
        replaced = torch.rand(y.shape, device=y.device, generator=generator) < self.rate
        shifts = torch.randint(1, classes, y.shape, device=y.device, generator=generator)
        return torch.where(replaced, (y + shifts) % classes, y)
