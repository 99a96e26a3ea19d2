"""The trade-off curve of DP-SGD, which limits every attack on membership.

An adversary who sees the noisy sums of all steps decides whether an example is in the training set.
f(alpha) is the smallest false negative rate at which the false positive rate is at most alpha
(Dong, Roth and Su 2022). Each guarantee (epsilon, delta) implies two straight lines that f is not
below, and f is bounded by the largest of the lines of many guarantees. A finite number of them
gives a smaller f, so that a ceiling on an attack, 1 - f, is never too low.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr
from threadpoolctl import threadpool_limits

from mgaudit.targets.fitting.accountants import ROUNDING, Mechanism, composed_losses

GUARANTEES = 800  # epsilons of the grid, from 0 to the largest
# The delta at the largest epsilon of the grid; a larger one where that has no finite epsilon.
LEAST_DELTAS = (1e-7, 1e-5, 1e-3)
LARGEST_EPSILON = 600.0  # whose exponential is still a finite number
# Edges of the cells over which f is integrated; f is steep near 0.
EDGES = np.concatenate([[0.0], np.logspace(-8, 0, 801)])

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TradeOff:
    """Guarantees of one mechanism: it is (`epsilons`[i], `deltas`[i])-DP for each i.

    Both are (guarantees,), and the epsilons (nats, in [0, 600]) start with 0. `accountant` computed
    them: PLD or GDP.
    """

    epsilons: Floats
    deltas: Floats
    accountant: str

    def false_negatives(self, false_positives: Floats) -> Floats:
        """Returns f, the smallest false negative rate, at each false positive rate (rates,).

        f(alpha) = max over epsilon of max(0, 1 - delta - e^epsilon alpha, e^-epsilon (1 - delta -
        alpha)) (Wasserman and Zhou 2010). It is convex and does not rise.
        """
        alpha = np.asarray(false_positives, dtype=np.float64)[:, np.newaxis]
        remaining = 1 - self.deltas
        steep = remaining - np.exp(self.epsilons) * alpha
        flat = np.exp(-self.epsilons) * (remaining - alpha)
        largest: Floats = np.maximum(steep, flat).max(axis=1)
        return largest.clip(min=0.0)

    def tpr(self, fpr: Floats) -> Floats:
        """Returns the largest true positive rate at each false positive rate (rates,)."""
        return 1 - self.false_negatives(fpr)

    @property
    def advantage(self) -> float:
        """The largest TPR - FPR, which is the delta of epsilon 0."""
        return float(self.deltas[0])

    @property
    def auc(self) -> float:
        """The largest AUC, 1 less the integral of f.

        The integral is by the midpoint rule, which is not above that of a convex function.
        """
        middles = (EDGES[1:] + EDGES[:-1]) / 2
        cells = self.false_negatives(middles) * np.diff(EDGES)
        return float(1 - cells.sum())


def trade_off(
    mechanism: Mechanism, proved: tuple[float, float] = (math.inf, 1.0)
) -> TradeOff | None:
    """Returns the trade-off curve of DP-SGD, for one added or removed example.

    The deltas are those of dp-accounting's privacy loss distribution. Where it cannot be computed,
    they are those of the Gaussian mechanism without sampling (Balle and Wang 2018), which holds for
    every sampling rate.

    Args:
        mechanism: The steps.
        proved: Another guarantee (epsilon, delta), which is added to them if epsilon is finite.

    Returns:
        The curve; None without noise, where nothing limits an attack.
    """
    if mechanism.noise_multiplier == 0:
        return None
    with threadpool_limits(1):  # sums in the same order on every number of cores
        guarantees = _by_losses(mechanism) or _by_gaussian(mechanism)
    epsilon, delta = proved
    if epsilon > LARGEST_EPSILON:
        return guarantees
    epsilons = np.append(guarantees.epsilons, epsilon)
    deltas = np.append(guarantees.deltas, delta)
    return TradeOff(epsilons, deltas, guarantees.accountant)


def _by_losses(mechanism: Mechanism) -> TradeOff | None:
    """Returns the guarantees by the privacy loss distribution; None where it gives none."""
    losses = composed_losses(mechanism)
    if losses is None:
        return None
    candidates = (float(losses.get_epsilon_for_delta(delta)) for delta in LEAST_DELTAS)
    largest = next((epsilon for epsilon in candidates if math.isfinite(epsilon)), None)
    if largest is None:
        return None
    epsilons = _grid(largest)
    exact = np.asarray(losses.get_delta_for_epsilon(epsilons), dtype=np.float64)
    rounding = ROUNDING * mechanism.steps
    return TradeOff(epsilons, np.clip(exact + rounding, 0.0, 1.0), "PLD")


def _by_gaussian(mechanism: Mechanism) -> TradeOff:
    """Returns the guarantees of the same steps on all examples.

    delta = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu), with mu = √steps / noise.
    """
    mu = math.sqrt(mechanism.steps) / mechanism.noise_multiplier
    epsilons = _grid(mu * (mu / 2 + 6))
    upper = ndtr(mu / 2 - epsilons / mu)
    lower = np.exp(epsilons + log_ndtr(-mu / 2 - epsilons / mu))
    return TradeOff(epsilons, np.clip(upper - lower, 0.0, 1.0), "GDP")


def _grid(largest: float) -> Floats:
    """Returns epsilons from 0 to the largest one, at equal distances."""
    return np.linspace(0.0, min(largest, LARGEST_EPSILON), GUARANTEES)
