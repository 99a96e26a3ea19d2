"""Averages over a batch of q e^k: a quantity q of each example times a power of its noise e.

Such averages are the terms of the expansion of the loss in the noise of a noise node. Their means
and standard deviations are Theorem 1 of arXiv 2210.13599 (appendix C). The formulas of the theorem
are missing from the text that was available to us; they are derived again here.
"""

import math
from dataclasses import dataclass
from typing import Literal

from mgaudit.theory.arguments import at_least, finite, std_of, whole

Noise = Literal["normal", "uniform", "sign"]
NOISES: tuple[Noise, ...] = ("normal", "uniform", "sign")


@dataclass(frozen=True)
class Average:
    """The mean and the standard deviation of a random average."""

    mean: float
    std: float


def noise_moment(noise: Noise, sigma: float, order: int) -> float:
    """Returns E[e^order] for symmetric noise e of standard deviation `sigma` >= 0.

    `noise` is the distribution of e: "normal", "uniform" (on -sqrt(3) sigma to sqrt(3) sigma) or
    "sign" (sigma or -sigma with equal probability). `order` is a whole number >= 0. For odd orders
    the moment is 0. For even orders it is sigma^order times (order - 1)!! = 1 * 3 * ... * (order -
    1), 3^(order / 2) / (order + 1) or 1.

    >>> [noise_moment(noise, 2.0, 4) for noise in NOISES]  # 16 times 3, 9/5 and 1
    [48.0, 28.8, 16.0]

    Raises:
        ValueError: For another distribution, and for an argument out of its range.
    """
    if noise not in NOISES:
        raise ValueError(f"noise must be one of {', '.join(NOISES)}, got {noise!r}")
    power = whole("order", order, 0)
    scale = std_of("sigma", sigma) ** power
    if power % 2:
        return 0.0
    if noise == "normal":
        return scale * math.prod(range(1, power, 2))
    if noise == "uniform":
        return scale * 3.0 ** (power // 2) / (power + 1)
    return scale


def batch_average(
    mean: float,
    std: float,
    noise: Noise,
    sigma: float,
    order: int,
    batch: int,
    population: int | None = None,
) -> Average:
    """Returns mean and standard deviation of the average of q e^k over a batch of B examples.

    With m_k = E[e^k], the mean is mu m_k, and the variance is

        ((s^2 + mu^2) m_2k - mu^2 m_k^2) / B - (1 - 1 / B) s^2 m_k^2 / (N - 1).

    The last term is for batches that are drawn without replacement from N examples; it is 0 for
    independent examples, which is the limit in the proof of the theorem. For odd k, m_k is 0: the
    mean is 0, and the standard deviation is sqrt((s^2 + mu^2) m_2k / B).

    Args:
        mean: The mean mu of q over examples.
        std: The standard deviation s >= 0 of q over examples. For N examples it is that of the N
            values, with the divisor N.
        noise: The distribution of the noise e, as for `noise_moment`. e is independent of q.
        sigma: The standard deviation >= 0 of the noise.
        order: The power k of the noise, at least 1.
        batch: The number B of examples in a batch, at least 1.
        population: The number N of examples from which a batch is drawn without replacement, at
            least `batch` and 2; None for independent examples.

    Raises:
        ValueError: For an argument out of its range.
    """
    mu = float(finite("mean", mean))
    square = float(at_least("std", std, 0)) ** 2
    size, power = whole("batch", batch, 1), whole("order", order, 1)
    moment = noise_moment(noise, sigma, power)
    second_moment = noise_moment(noise, sigma, 2 * power)
    variance = ((square + mu**2) * second_moment - (mu * moment) ** 2) / size
    if population is not None:
        count = whole("population", population, max(size, 2))
        variance -= (1 - 1 / size) * square * moment**2 / (count - 1)
    return Average(mu * moment, math.sqrt(max(variance, 0.0)))
