"""Two ReLUs of correlated normals: the mean of their product, their covariance, and the gradients.

(u, v) is normal with means mean_u and mean_v, standard deviations sd_u and sd_v, and correlation
rho, and u⁺ = max(u, 0). phi, Phi and Phi2 are the density of the standard normal and the
distribution functions of one and of two standard normals. Abbreviations are h = mean_u / sd_u,
k = mean_v / sd_v and q = sqrt(1 - rho²).

All arguments are arrays of any shapes that broadcast, and all results have their common shape. All
functions raise ValueError for a negative standard deviation, for a rho outside [-1, 1] and for
values that are not finite. For sd = 0 and for rho = ±1, the results are the limits of the formulas.
A variable that is 0 with probability 1 does not count as positive.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, owens_t

from mgaudit.theory.arguments import Floats, at_least, reals, require
from mgaudit.theory.rectified_normal import BEYOND, density, mean_excess, ratio


@dataclass(frozen=True)
class PairGradient:
    """Derivatives with respect to the means, standard deviations and covariance of u and v.

    In each derivative the other four are fixed, and not the correlation. The derivative with
    respect to a variance is the derivative with respect to the sd, divided by 2 sd.
    """

    mean_u: Floats
    mean_v: Floats
    sd_u: Floats
    sd_v: Floats
    covariance: Floats


def rectified_product(
    mean_u: ArrayLike, mean_v: ArrayLike, sd_u: ArrayLike, sd_v: ArrayLike, rho: ArrayLike
) -> Floats:
    """Returns E[u⁺ v⁺] for normal u and v with correlation `rho` (Rosenbaum 1961).

    With h = mean_u / sd_u, k = mean_v / sd_v, q = sqrt(1 - rho²), the density phi and the
    distribution functions Phi and Phi2 of one and of two standard normals, it is

        sd_u sd_v [(hk + rho) Phi2(h, k; rho)
                   + k phi(h) Phi((k - rho h)/q) + h phi(k) Phi((h - rho k)/q)
                   + q/(2 pi) exp(-(h² - 2 rho h k + k²)/(2 q²))].

    >>> float(rectified_product(0.0, 0.0, 1.0, 1.0, 0.0).round(6))  # 1 / (2 pi)
    0.159155
    """
    pair = _Pair.of(mean_u, mean_v, sd_u, sd_v, rho)
    u, v = pair.rectified_means()
    product = pair.covariance() + u * v
    return np.asarray(np.maximum(product, 0.0))


def rectified_covariance(
    mean_u: ArrayLike, mean_v: ArrayLike, sd_u: ArrayLike, sd_v: ArrayLike, rho: ArrayLike
) -> Floats:
    """Returns Cov(u⁺, v⁺) = E[u⁺ v⁺] - E u⁺ E v⁺ for normal u and v with correlation `rho`.

    It is computed without the difference of large terms (see `_Pair`), so that its error is about
    1e-15 sd_u sd_v.

    >>> float(rectified_covariance(1e9, 1e9, 1.0, 2.0, 0.25))  # u, v > 0: rho sd_u sd_v
    0.5
    """
    return _Pair.of(mean_u, mean_v, sd_u, sd_v, rho).covariance()


def both_positive(
    mean_u: ArrayLike, mean_v: ArrayLike, sd_u: ArrayLike, sd_v: ArrayLike, rho: ArrayLike
) -> Floats:
    """Returns the probability P(u > 0, v > 0) = Phi2(h, k; rho), by Owen's T (Owen 1956).

    h = mean_u / sd_u and k = mean_v / sd_v, and Phi2 is the distribution function of two standard
    normals with correlation `rho`.

    >>> float(both_positive(0.0, 0.0, 1.0, 1.0, 0.5).round(6))  # 1/4 + arcsin(rho) / (2 pi)
    0.333333
    """
    return _Pair.of(mean_u, mean_v, sd_u, sd_v, rho).both_positive()


def rectified_product_gradient(
    mean_u: ArrayLike, mean_v: ArrayLike, sd_u: ArrayLike, sd_v: ArrayLike, rho: ArrayLike
) -> PairGradient:
    """Returns the gradient of E[u⁺ v⁺] by Price's theorem (Price 1958).

    The derivatives are

        E[1(u > 0) v⁺] in mean_u,    sd_u p_u(0) E[v⁺ | u = 0] in sd_u,
        P(u > 0, v > 0) in the covariance,

    where p_u is the density of u. The derivatives in mean_v and sd_v are the same with u and v
    exchanged.
    """
    pair = _Pair.of(mean_u, mean_v, sd_u, sd_v, rho)
    of_covariance = pair.covariance_gradient()
    u, v = pair.rectified_means()
    return PairGradient(
        of_covariance.mean_u + ndtr(pair.h) * v,
        of_covariance.mean_v + ndtr(pair.k) * u,
        of_covariance.sd_u + density(pair.h) * v,
        of_covariance.sd_v + density(pair.k) * u,
        of_covariance.covariance,
    )


def rectified_covariance_gradient(
    mean_u: ArrayLike, mean_v: ArrayLike, sd_u: ArrayLike, sd_v: ArrayLike, rho: ArrayLike
) -> PairGradient:
    """Returns the gradient of `rectified_covariance`, without differences of large terms."""
    return _Pair.of(mean_u, mean_v, sd_u, sd_v, rho).covariance_gradient()


@dataclass(frozen=True)
class _Pair:
    """A pair of normals u and v, and the reflected pair, for which all terms are small.

    The reflected pair has -u in place of u if u has a positive mean, and likewise for v. So its
    standardised means (mean / sd) are -p and -r, with p = |h| and r = |k|, and its correlation is
    `sign` rho. Here h, k and q are the letters of the module. u⁺ = u + (-u)⁺ gives

        Cov(u⁺, v⁺) = Cov(u, v⁺) + Cov((-u)⁺, v⁺),    Cov(u, v⁺) = Cov(u, v) P(v > 0)  (Stein).

    Reflecting u, v or both therefore adds rho times a probability, `linear`, to the covariance in
    units of sd_u sd_v, and no large terms cancel. All fields have the common shape of the
    arguments.
    """

    mean_u: Floats
    mean_v: Floats
    sd_u: Floats
    sd_v: Floats
    rho: Floats
    h: Floats
    k: Floats
    q: Floats
    sign: Floats  # of h k, ±1: whether both or none of the two are reflected
    linear: Floats  # the probability by which rho is multiplied, from the reflection
    pull_v: Floats  # the mean of v where u = 0, in sds of v, of the reflected pair
    pull_u: Floats  # the mean of u where v = 0, in sds of u, of the reflected pair
    both: Floats  # the probability that both are positive, of the reflected pair

    @classmethod
    def of(
        cls, mean_u: ArrayLike, mean_v: ArrayLike, sd_u: ArrayLike, sd_v: ArrayLike, rho: ArrayLike
    ) -> "_Pair":
        """Returns the pair with these moments, all arguments broadcast to one shape.

        Raises ValueError for a negative sd, a rho outside [-1, 1] and a value that is not finite.
        """
        mean_u, mean_v, sd_u, sd_v, rho = reals(
            mean_u=mean_u, mean_v=mean_v, sd_u=sd_u, sd_v=sd_v, rho=rho
        )
        at_least("sd_u", sd_u, 0)
        at_least("sd_v", sd_v, 0)
        require("rho", "be in [-1, 1]", rho, np.abs(rho) <= 1)
        h = _standardised(mean_u, sd_u)
        k = _standardised(mean_v, sd_v)
        q = np.sqrt((1 - rho) * (1 + rho))
        sign = np.where((h > 0) == (k > 0), 1.0, -1.0)
        p, r = np.abs(h), np.abs(k)
        reflected_rho = sign * rho
        pull_v = _pull(p, r, reflected_rho)
        pull_u = _pull(r, p, reflected_rho)
        return cls(
            mean_u=mean_u,
            mean_v=mean_v,
            sd_u=sd_u,
            sd_v=sd_v,
            rho=rho,
            h=h,
            k=k,
            q=q,
            sign=sign,
            linear=_linear(h, k),
            pull_v=pull_v,
            pull_u=pull_u,
            both=_both_positive_reflected(p, r, pull_v, pull_u, q, reflected_rho),
        )

    @property
    def p(self) -> Floats:
        """|h| = |mean_u| / sd_u >= 0, minus the standardised mean of the reflected u."""
        return np.abs(self.h)

    @property
    def r(self) -> Floats:
        """|k| = |mean_v| / sd_v >= 0, minus the standardised mean of the reflected v."""
        return np.abs(self.k)

    def both_positive(self) -> Floats:
        """Returns P(u > 0, v > 0) of the pair itself, not of the reflected pair."""
        return self.linear + self.sign * self.both

    def rectified_means(self) -> tuple[Floats, Floats]:
        """Returns E u⁺ and E v⁺."""
        excess_u, excess_v = mean_excess(self.p), mean_excess(self.r)
        u = np.maximum(self.mean_u, 0.0) + self.sd_u * excess_u
        v = np.maximum(self.mean_v, 0.0) + self.sd_v * excess_v
        return u, v

    def covariance(self) -> Floats:
        """Returns Cov(u⁺, v⁺) of the pair itself, from the terms of the reflected pair."""
        p, r = self.p, self.r
        a = ratio(self.pull_v, self.q)
        b = ratio(self.pull_u, self.q)
        from_both = (p * r + self.sign * self.rho) * self.both
        product = from_both + self.q * density(p) * density(a)
        from_u = r * density(p) * ndtr(a)
        from_v = p * density(r) * ndtr(b)
        product = product - from_u - from_v
        reflected_means = mean_excess(p) * mean_excess(r)
        correlation = self.rho * self.linear + product - reflected_means
        return self.sd_u * (self.sd_v * correlation)

    def covariance_gradient(self) -> PairGradient:
        """Returns the gradient of Cov(u⁺, v⁺)."""
        reflected = self._reflected_gradient()
        p, r = self.p, self.r
        u_reflected, v_reflected = self.h > 0, self.k > 0
        # All terms below are divided by the sd of the other variable. Reflection turns the sign of
        # a mean, and adds the derivative of rho times `linear`.
        mean_u = np.where(u_reflected, -reflected.mean_u, reflected.mean_u)
        mean_v = np.where(v_reflected, -reflected.mean_v, reflected.mean_v)
        slope_u = self.rho * density(p)
        slope_v = self.rho * density(r)
        linear_mean_u = np.where(v_reflected, slope_u, 0.0)
        linear_mean_v = np.where(u_reflected, slope_v, 0.0)
        linear_sd_u = np.where(v_reflected, self.rho * self.h * density(p), 0.0)
        linear_sd_v = np.where(u_reflected, self.rho * self.k * density(r), 0.0)
        return PairGradient(
            self.sd_v * (mean_u + linear_mean_u),
            self.sd_u * (mean_v + linear_mean_v),
            self.sd_v * (reflected.sd_u - linear_sd_u),
            self.sd_u * (reflected.sd_v - linear_sd_v),
            self.both_positive(),
        )

    def _reflected_gradient(self) -> PairGradient:
        """Returns the gradient of the reflected pair's Cov(u⁺, v⁺), without its sds as factors.

        The derivatives by mean and sd of u are divided by sd_v, and those of v by sd_u.
        """
        p, r = self.p, self.r
        rho = self.sign * self.rho
        a = ratio(self.pull_v, self.q)
        b = ratio(self.pull_u, self.q)
        excess_u, excess_v = mean_excess(p), mean_excess(r)
        from_u = density(p) * ndtr(a)
        from_v = density(r) * ndtr(b)
        product_mean_u = from_v + rho * from_u - r * self.both
        product_mean_v = from_u + rho * from_v - p * self.both
        mean_u = product_mean_u - ndtr(-p) * excess_v
        mean_v = product_mean_v - ndtr(-r) * excess_u
        spread_u = self.q * density(b) - excess_u
        spread_v = self.q * density(a) - excess_v
        sd_u = from_u * self.pull_v + density(p) * spread_v
        sd_v = from_v * self.pull_u + density(r) * spread_u
        return PairGradient(mean_u, mean_v, sd_u, sd_v, self.both)


def _standardised(mean: Floats, sd: Floats) -> Floats:
    """Returns mean / sd, clipped to ±BEYOND.

    For mean = sd = 0 the variable is always 0. It does not count as positive, which -BEYOND gives.
    """
    random_or_nonzero = (sd > 0) | (mean != 0)
    return np.where(random_or_nonzero, ratio(mean, sd), -BEYOND)


def _pull(p: Floats, r: Floats, rho: Floats) -> Floats:
    """Returns rho p - r, the mean of v where u = 0, in sds of v, of the reflected pair.

    Exchange p and r for the mean of u where v = 0. For rho near 1, where the result is divided by a
    small q, it is computed without cancellation.
    """
    near_one = (p - r) - (1 - rho) * p
    return np.where(rho > 0.5, near_one, rho * p - r)


def _linear(h: Floats, k: Floats) -> Floats:
    """Returns the factor of rho that reflection adds to the covariance, a probability (`_Pair`).

    It is 0 for h, k <= 0, P(v > 0) if only u is reflected (h > 0 >= k), P(u > 0) if only v is, and
    P(u > 0) + P(v > 0) - 1 if both are. `h` and `k` are the standardised means of u and v.
    """
    tail_u = ndtr(-np.abs(h))
    tail_v = ndtr(-np.abs(k))
    if_u_reflected = np.where(k > 0, 1 - tail_u - tail_v, tail_v)
    if_u_kept = np.where(k > 0, tail_u, 0.0)
    return np.where(h > 0, if_u_reflected, if_u_kept)


def _both_positive_reflected(
    p: Floats, r: Floats, pull_v: Floats, pull_u: Floats, q: Floats, rho: Floats
) -> Floats:
    """Returns P(u > 0 and v > 0) = Phi2(-p, -r; rho) for p, r >= 0, by Owen's T function.

    All arguments belong to the reflected pair, and have the meaning of the fields of `_Pair`.
    `pull_v`, the mean of v where u = 0, is part of the term of u, and `pull_u` of the term of v.
    """
    tail_u, tail_v = ndtr(-p), ndtr(-r)
    half = 0.5 * (tail_u + tail_v)
    owen_u = _owen(p, pull_v, q, rho)
    owen_v = _owen(r, pull_u, q, rho)
    probability = half - owen_u - owen_v
    return np.clip(probability, 0.0, np.minimum(tail_u, tail_v))


def _owen(p: Floats, pull: Floats, q: Floats, rho: Floats) -> Floats:
    """Returns Owen's function T(p, -pull / (q p)), and its limit for p = 0.

    T(p, a) is the probability 0 < y < a x, x > p of two independent standard normals (Owen 1956).
    `p` >= 0 is minus a standardised mean of the reflected pair, `pull` is the mean of the other
    variable where this one is 0, `rho` is their correlation, and `q` = sqrt(1 - rho²).
    """
    a = ratio(pull, q)
    slope = np.where(a < 0, np.inf, -np.inf)
    with np.errstate(over="ignore", divide="ignore"):
        slope_at_zero = np.sqrt((1 - rho) / (1 + rho))  # p = 0 and pull = 0: both means are 0
        slope = np.where(a == 0, slope_at_zero, slope)
        np.divide(-a, p, out=slope, where=p > 0)
    probability: Floats = owens_t(p, slope)
    return probability
