"""Perturbations of inputs in training: masks, dropout, rounding and added noise, in numpy.

A perturbation yields the inputs of one step after the other. The Gaussian mask of the suite's
scheme `gaussian-mask` and its `fixed` form are special cases of `Masks`. Perturbations are compared
at the same *strength* kappa: for all of them except `Rounding`, kappa² x_j² is the variance of the
entry x_j; for `Rounding` and `AddedNoise` it is so on average over the entries of the inputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Perturbation(Protocol):
    """What training does to its inputs."""

    def steps(self, inputs: Floats, generator: np.random.Generator) -> Iterator[Floats]:
        """Yields the perturbed `inputs` (n, d) of each step, without end."""
        ...


@dataclass(frozen=True)
class Masks:
    """Multiplies inputs by Gaussian masks 1 + kappa g, of which the g may be correlated.

    Each entry of g is N(0, 1). `memory` is the correlation of g in a step with g in the step
    before, an autoregressive process: 0 for fresh masks, 1 for masks that stay the same. The
    entries of an input are split into blocks of `block` neighbours with one factor for each block,
    and if `shared`, all inputs have the same mask.

    Raises:
        ValueError: For `memory` outside [0, 1]; in `steps`, for blocks that do not fit the inputs.
    """

    kappa: float
    memory: float = 0.0
    block: int = 1
    shared: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.memory <= 1:
            raise ValueError(f"memory must be in [0, 1], got {self.memory}")

    def steps(self, inputs: Floats, generator: np.random.Generator) -> Iterator[Floats]:
        """Yields the masked `inputs` (n, d) of each step, without end."""
        examples, dimensions = inputs.shape
        if dimensions % self.block:
            raise ValueError(f"block must divide {dimensions} entries, got {self.block}")
        size = (1 if self.shared else examples, dimensions // self.block)
        fresh = np.sqrt(1 - self.memory**2)
        g = generator.standard_normal(size)
        while True:
            factors = np.repeat(g, self.block, axis=1) if self.block > 1 else g
            yield inputs * (1 + self.kappa * factors)
            if fresh:
                g = self.memory * g + fresh * generator.standard_normal(size)


@dataclass(frozen=True)
class Dropped:
    """Sets entries to 0 and divides the others by the probability to be kept, 1 / (1 + kappa²).

    The factor of an entry then has the mean 1 and the variance kappa².
    """

    kappa: float

    def steps(self, inputs: Floats, generator: np.random.Generator) -> Iterator[Floats]:
        """Yields the inputs (n, d) of each step, without end."""
        kept = 1 / (1 + self.kappa**2)
        while True:
            yield np.where(generator.random(inputs.shape) < kept, inputs / kept, 0.0)


@dataclass(frozen=True)
class Rounding:
    """Rounds entries to multiples of a `width`, to the nearest one or at random.

    At random, an entry becomes the multiple above or below it, so that its mean is the entry.
    """

    width: float
    at_random: bool

    @classmethod
    def of_strength(cls, kappa: float, inputs: Floats, at_random: bool) -> "Rounding":
        """Returns the rounding with a mean squared error of kappa² mean(x²).

        The error of an entry is width² / 6 at random and width² / 12 to the nearest, on average
        over its position between two multiples.
        """
        error = kappa * float(np.sqrt(np.mean(inputs**2)))
        return cls(error * float(np.sqrt(6 if at_random else 12)), at_random)

    def steps(self, inputs: Floats, generator: np.random.Generator) -> Iterator[Floats]:
        """Yields the rounded inputs (n, d) of each step, without end."""
        if not self.width:
            while True:
                yield inputs
        scaled = inputs / self.width
        nearest = np.round(scaled) * self.width
        while True:
            if self.at_random:
                yield np.floor(scaled + generator.random(inputs.shape)) * self.width
            else:
                yield nearest


@dataclass(frozen=True)
class AddedNoise:
    """Adds independent draws of N(0, sd²) to the entries."""

    sd: float

    @classmethod
    def of_strength(cls, kappa: float, inputs: Floats) -> "AddedNoise":
        """Returns the noise with the variance kappa² mean(x²)."""
        return cls(kappa * float(np.sqrt(np.mean(inputs**2))))

    def steps(self, inputs: Floats, generator: np.random.Generator) -> Iterator[Floats]:
        """Yields the inputs (n, d) with fresh noise of each step, without end."""
        while True:
            yield inputs + self.sd * generator.standard_normal(inputs.shape)
