"""Upper bounds on the epsilon of DP-SGD, by the accountants PLD and PRV.

A step adds Gaussian noise to a sum over a Poisson sample of the examples, and datasets are adjacent
if they differ by one added or removed example. PLD is dp-accounting's privacy loss distribution,
discretised by "connect the dots" (Doroshenko et al. 2022), and PRV is Opacus' privacy random
variable (Gopi et al. 2021). Both are upper bounds, so their minimum is one, too.

Both need a grid of losses in memory and lose accuracy by rounding. Where a grid would be too large,
or delta is too small for double precision, an accountant gives no bound. Without PLD, two bounds
that hold in all cases take its place: Rényi differential privacy (RDP; Mironov et al. 2019), and
the Gaussian mechanism without sampling (GDP; Balle and Wang 2018), as sampling never adds loss.

Accountants are imported where they are used, because they take as long to import as torch and few
runs need them.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from mgaudit.targets.limits import POINTS_OF_A_STEP, POINTS_PLD, POINTS_PRV
from mgaudit.targets.schemes.dpsgd import LARGEST_NOISE

if TYPE_CHECKING:
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

LEAST_NOISE = 0.05  # from which to LARGEST_NOISE the multiplier for an epsilon is sought
EPSILON_TOLERANCE = 0.01  # by which the bound for that noise may be below the epsilon

# Each composition by FFT has a relative rounding error below this one, also in probabilities.
ROUNDING = 1e-14
# Fewer points than these take less than a second and 0.5 GiB in each evaluation.
MOST_POINTS_PLD = POINTS_PLD.most
MOST_POINTS_OF_A_STEP = POINTS_OF_A_STEP.most
MOST_POINTS_PRV = POINTS_PRV.most
# dp-accounting's window of a sum is wide for many summands: more are composed in two stages.
MOST_STEPS_AT_ONCE = 10_000
LARGEST_INTERVAL = 2e-3
DISCRETISATION_ERROR = 5e-5  # of the mean of the loss of all steps
LEAST_INTERVAL = 1e-12  # below which rounding errors of the losses matter
LARGEST_USEFUL_INTERVAL = 1.0
LEAST_STRIDE = 1e-3  # of the search, in the logarithm of the noise
NARROWEST = 1e-9
TAIL = 10  # standard deviations, beyond which dp-accounting cuts the noise


@dataclass(frozen=True)
class Mechanism:
    """The `steps` steps of DP-SGD, each with the same noise and sampling rate.

    `noise_multiplier` (> 0) is the standard deviation of the noise in units of the clipping norm,
    and `sample_rate`, in (0, 1], is the probability with which each example is in a batch.
    """

    noise_multiplier: float
    sample_rate: float
    steps: int


@dataclass(frozen=True)
class PrivacyBounds:
    """Upper bounds on epsilon (nats) by accountant, of which the least is the claim."""

    by_accountant: dict[str, float]

    @property
    def accountant(self) -> str:
        """The accountant with the least bound."""
        return min(self.by_accountant, key=self.by_accountant.__getitem__)

    @property
    def epsilon(self) -> float:
        """The least bound."""
        return self.by_accountant[self.accountant]


def privacy_bounds(
    noise_multiplier: float, sample_rate: float, steps: int, delta: float
) -> PrivacyBounds:
    """Returns the bounds of all accountants that can compute one; infinite without noise.

    No bound is negative. PLD is left out where it cannot be computed, and then there are bounds by
    RDP and GDP. PRV is left out where it cannot be computed.
    """
    if noise_multiplier == 0:
        return PrivacyBounds({"PLD": math.inf, "PRV": math.inf})
    mechanism = Mechanism(noise_multiplier, sample_rate, steps)
    with threadpool_limits(1):  # sums in the same order on every number of cores
        bounds = _bounds_without_prv(mechanism, delta)
        prv = prv_epsilon(mechanism, delta)
    if prv is not None:
        bounds["PRV"] = prv
    return PrivacyBounds(bounds)


def noise_for_epsilon(epsilon: float, sample_rate: float, steps: int, delta: float) -> float | None:
    """Returns a noise multiplier whose bound is at most `epsilon`, and less than 0.01 below it.

    The search is by false position (Illinois) on the logarithm of the noise. It starts from the
    noise for which the central limit theorem of composition (Bu et al. 2020) predicts this epsilon,
    and uses PLD, or RDP and GDP where PLD cannot be computed. If even `LEAST_NOISE` suffices, it is
    returned. Returns None if no multiplier up to `LARGEST_NOISE` suffices.
    """

    def excess(log_noise: float) -> float:
        mechanism = Mechanism(math.exp(log_noise), sample_rate, steps)
        return min(_bounds_without_prv(mechanism, delta).values()) - aim

    tolerance = EPSILON_TOLERANCE * min(1, epsilon) / 2
    aim = epsilon - tolerance
    least, largest = math.log(LEAST_NOISE), math.log(LARGEST_NOISE)
    predicted = math.log(_predicted_noise(epsilon, sample_rate, steps, delta))
    low = high = min(max(predicted, least), largest)
    above = below = excess(low)
    # Epsilon falls faster than 1/noise, so that this stride mostly reaches the other side.
    stride = max(abs(math.log1p(max(above / aim, -0.9))), LEAST_STRIDE)
    while below > tolerance:
        if high == largest:
            return None
        low, above = high, below
        high = min(high + stride, largest)
        below = excess(high)
        stride *= 2
    while above < -tolerance:
        if low == least:
            return LEAST_NOISE
        high, below = low, above
        low = max(low - stride, least)
        above = excess(low)
        stride *= 2
    return _rounded_up(math.exp(_root(excess, (low, high), (above, below), tolerance)))


def _rounded_up(noise: float) -> float:
    """Returns the noise with 8 digits, rounded up, so that sums of other order give the same.

    >>> _rounded_up(1.2345678123), _rounded_up(158.0)
    (1.2345679, 158.0)
    """
    unit = 10.0 ** (math.floor(math.log10(noise)) - 7)
    return float(f"{math.ceil(noise / unit * (1 - 1e-12)) * unit:.8g}")


def _root(
    function: Callable[[float], float],
    ends: tuple[float, float],
    values: tuple[float, float],
    tolerance: float,
) -> float:
    """Returns where a falling function is within `tolerance` of 0, or negative next to a jump.

    `values` are those at the two `ends`, positive and negative, or within the tolerance.
    """
    (low, high), (above, below) = ends, values
    if abs(above) <= tolerance:
        return low
    last = 0.0
    while abs(below) > tolerance and high - low > NARROWEST:
        middle = (low * below - high * above) / (below - above)
        value = function(middle)
        if abs(value) <= tolerance:
            return middle
        repeated = value * last > 0  # Illinois: an end that stays twice would slow down the search
        last = value
        if value > 0:
            low, above = middle, value
            below /= 2 if repeated else 1
        else:
            high, below = middle, value
            above /= 2 if repeated else 1
    return high


def _predicted_noise(epsilon: float, sample_rate: float, steps: int, delta: float) -> float:
    """Returns the noise multiplier for an epsilon by the central limit theorem of composition.

    mu = q √(T (e^(1/σ²) − 1)), with sampling rate q, T steps and noise multiplier σ.
    """
    from dp_accounting import get_sigma_gaussian

    mu = 1 / get_sigma_gaussian(epsilon, delta)
    return 1 / math.sqrt(math.log1p((mu / sample_rate) ** 2 / steps))


def _bounds_without_prv(mechanism: Mechanism, delta: float) -> dict[str, float]:
    """Returns the bound by PLD, or those by RDP and GDP where PLD cannot be computed."""
    pld = pld_epsilon(mechanism, delta)
    if pld is not None:
        return {"PLD": pld}
    return {"RDP": rdp_epsilon(mechanism, delta), "GDP": gdp_epsilon(mechanism, delta)}


def pld_epsilon(mechanism: Mechanism, delta: float) -> float | None:
    """Returns the bound of dp-accounting's privacy loss distribution, or None if it has none.

    The estimate is pessimistic: the discrete distribution dominates the true one, and what is cut
    from its tails counts as an infinite loss. It is the larger one of the two directions, addition
    and removal of an example.
    """
    exact_delta = delta_without_rounding(mechanism.steps, delta)
    composed = None if exact_delta is None else composed_losses(mechanism)
    if composed is None:
        return None
    epsilon = float(composed.get_epsilon_for_delta(exact_delta))
    return epsilon if math.isfinite(epsilon) else None


def composed_losses(mechanism: Mechanism) -> "PrivacyLossDistribution | None":
    """Returns the privacy loss distribution of all steps; None if its grid would be too coarse.

    Its deltas lack the rounding error of the composition, `ROUNDING` times the number of steps.
    """
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism

    if mechanism.sample_rate == 1:  # the sum of all steps is one Gaussian mechanism
        noise_multiplier = mechanism.noise_multiplier / math.sqrt(mechanism.steps)
        mechanism = Mechanism(noise_multiplier, 1, 1)
    interval = _loss_interval(mechanism)
    if not LEAST_INTERVAL < interval < LARGEST_USEFUL_INTERVAL:
        return None
    one_step = from_gaussian_mechanism(
        mechanism.noise_multiplier,
        value_discretization_interval=interval,
        sampling_prob=mechanism.sample_rate,
    )
    return _self_composed(one_step, mechanism.steps)


def _self_composed(one_step: "PrivacyLossDistribution", steps: int) -> "PrivacyLossDistribution":
    if steps <= MOST_STEPS_AT_ONCE:
        return one_step.self_compose(steps)
    inner, outer, rest = _stages(steps)
    composed = one_step.self_compose(inner).self_compose(outer)
    return composed.compose(one_step.self_compose(rest)) if rest else composed


def _stages(steps: int) -> tuple[int, int, int]:
    """Returns (inner, outer, rest) with inner * outer + rest = steps."""
    inner = math.isqrt(steps)
    return inner, *divmod(steps, inner)


def _loss_interval(mechanism: Mechanism) -> float:
    """Returns the distance of the losses in the grid of PLD.

    It is small compared with the standard deviation of the loss of a step, and with the loss of all
    steps, but so large that the grids of a step and of the sum stay below their largest sizes.
    """
    noise, rate, steps = mechanism.noise_multiplier, mechanism.sample_rate, mechanism.steps
    farthest = TAIL / noise + 1 / (2 * noise**2)  # loss without sampling at the cut
    with np.errstate(divide="ignore"):
        upper = float(np.logaddexp(np.log1p(-rate), np.log(rate) + farthest))
    width = upper + min(farthest, math.inf if rate == 1 else -math.log1p(-rate))
    deviation = math.sqrt(rate) * farthest  # at most
    if noise > LEAST_NOISE:
        deviation = min(deviation, rate * math.sqrt(math.expm1(1 / noise**2)))
    window = _window(width, deviation, steps)
    if steps > MOST_STEPS_AT_ONCE:
        inner, outer, _ = _stages(steps)
        window = _window(_window(width, deviation, inner), deviation * math.sqrt(inner), outer)
    accurate = min(LARGEST_INTERVAL, math.sqrt(12 * DISCRETISATION_ERROR / steps), deviation / 8)
    return max(accurate, width / MOST_POINTS_OF_A_STEP, window / MOST_POINTS_PLD)


def _window(width: float, deviation: float, steps: int) -> float:
    """Returns the width of dp-accounting's window of the sum of `steps` losses, about.

    It is the least of its Chernoff bounds, whose orders are 1 to 20 over the `width` of the losses,
    and for which it cuts a mass of 1e-15.
    """
    tails = 2 * math.log(2e15) * width
    spread = steps * deviation**2 / width
    bounds = [tails / order + order * spread for order in range(1, 21)]
    return min(steps * width, *bounds)


def delta_without_rounding(steps: int, delta: float) -> float | None:
    """Returns delta less the rounding error of a sum of `steps` losses; None if that is half of it.

    The error of a composition by FFT in double precision is proportional to the number of steps.
    """
    error = ROUNDING * steps
    return delta - error if error < delta / 2 else None


def prv_epsilon(mechanism: Mechanism, delta: float) -> float | None:
    """Returns the bound of Opacus' PRV accountant, or None if it has none."""
    exact_delta = delta_without_rounding(mechanism.steps, delta)
    if exact_delta is None:
        return None
    from opacus.accountants import PRVAccountant
    from opacus.accountants.analysis.prv import Domain
    from scipy.integrate import IntegrationWarning

    class BoundedAccountant(PRVAccountant):  # type: ignore[misc]
        def _get_domain(self, *args: Any, **options: Any) -> Domain:
            domain = super()._get_domain(*args, **options)
            if domain.size > MOST_POINTS_PRV:
                raise MemoryError(f"{domain.size} points")
            return domain

    accountant = BoundedAccountant()
    accountant.history = [(mechanism.noise_multiplier, mechanism.sample_rate, mechanism.steps)]
    try:
        with _quiet_opacus(), np.errstate(all="ignore"):
            warnings.simplefilter("error", IntegrationWarning)
            epsilon = float(accountant.get_epsilon(exact_delta))
    except (ArithmeticError, MemoryError, RuntimeError, ValueError, IntegrationWarning):
        return None  # for a grid that is too large, or whose rounding errors dominate
    return max(0.0, epsilon) if math.isfinite(epsilon) else None


def rdp_epsilon(mechanism: Mechanism, delta: float) -> float:
    """Returns the bound by Rényi differential privacy, infinite if it has none."""
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = [(mechanism.noise_multiplier, mechanism.sample_rate, mechanism.steps)]
    try:
        with _quiet_opacus(), np.errstate(all="ignore"):
            epsilon = float(accountant.get_epsilon(delta))
    except (ArithmeticError, ValueError):
        return math.inf
    return max(0.0, epsilon) + ROUNDING * mechanism.steps if epsilon < math.inf else math.inf


def gdp_epsilon(mechanism: Mechanism, delta: float) -> float:
    """Returns the epsilon of the same steps on all examples, without sampling (closed form)."""
    from dp_accounting import get_epsilon_gaussian

    noise_multiplier = mechanism.noise_multiplier / math.sqrt(mechanism.steps)
    with np.errstate(all="ignore"):
        return float(get_epsilon_gaussian(noise_multiplier, delta))


@contextmanager
def _quiet_opacus() -> Iterator[None]:
    """Ignores a warning of Opacus' RDP accountant about its grid of orders.

    A bound from an order at the end of the grid is valid, and PRV uses RDP only for its domain.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Optimal order is the (largest|smallest) alpha")
        yield
