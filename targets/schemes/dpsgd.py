"""DP-SGD: the baseline with a proof."""

import math
from dataclasses import dataclass

from targets.schemes.scheme import Scheme

# Beyond these the PRV accountant needs minutes and gigabytes for a bound that protects nobody.
LARGEST_EPSILON = 50
LEAST_NOISE = 0.3


@dataclass(frozen=True)
class DPSGD(Scheme):
    """Clips each example's gradient to `max_grad_norm` and adds Gaussian noise to the sum (Abadi et al. 2016).

    Give either `epsilon`, from which the accountant finds the noise multiplier, or `noise_multiplier`, the
    standard deviation of the noise in units of `max_grad_norm`. `delta` is 1 / n^1.1 when it is not given, n
    being the expected number of training examples. Training goes through `targets.dp_training`.
    """

    epsilon: float | None = None
    noise_multiplier: float | None = None
    max_grad_norm: float = 1.0
    delta: float | None = None

    def __post_init__(self) -> None:
        if (self.epsilon is None) == (self.noise_multiplier is None):
            raise ValueError(
                "dp-sgd needs exactly one of epsilon and noise_multiplier, "
                f"got epsilon={self.epsilon} and noise_multiplier={self.noise_multiplier}"
            )
        if self.epsilon is not None and not 0 < self.epsilon <= LARGEST_EPSILON:
            raise ValueError(f"epsilon must be > 0 and <= {LARGEST_EPSILON}, got {self.epsilon}")
        multiplier = self.noise_multiplier
        if multiplier is not None and not (
            multiplier == 0 or (math.isfinite(multiplier) and multiplier >= LEAST_NOISE)
        ):
            raise ValueError(
                f"noise_multiplier must be 0 (clipping alone, no epsilon) or >= {LEAST_NOISE}, got {multiplier}"
            )
        if not (math.isfinite(self.max_grad_norm) and self.max_grad_norm > 0):
            raise ValueError(f"max_grad_norm must be a finite number > 0, got {self.max_grad_norm}")
        if self.delta is not None and not 0 < self.delta < 1:
            raise ValueError(f"delta must lie strictly between 0 and 1, got {self.delta}")
