"""Lower bounds on epsilon from scores of members and of non-members, each at a confidence that is stated.

A bound reads two rates at a threshold: the share of members above it and that of non-members. Both are given their
exact binomial limits (Clopper and Pearson 1934), and where the threshold lies is decided by a rule that pays for it:
the plain maximum over thresholds is above the truth too often.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtri

from mgaudit.attacks.intervals import lower_limit, upper_limit
from mgaudit.attacks.metrics import check_scores

Floats = NDArray[np.float64]
BoundFromRates = Callable[[Floats, Floats], Floats]


class Rule(ABC):
    """How the threshold of a bound is chosen."""

    @abstractmethod
    def largest(
        self,
        claim: BoundFromRates,
        members: Floats,
        others: Floats,
        significance: float,
        generator: np.random.Generator | None,
    ) -> float:
        """Returns the largest claim that holds with probability 1 - significance.

        `claim` turns TPR limits from below and FPR limits from above into bounds, and grows in the former and falls in
        the latter. `members` (members,) and `others` (non-members,) are scores, higher = member.
        """


@dataclass(frozen=True)
class Split(Rule):
    """Chooses the threshold on a random half of the members and of the non-members, and measures on the other half.

    The halves are drawn by the generator, so that the order of the examples carries nothing from one to the other.
    """

    def largest(
        self,
        claim: BoundFromRates,
        members: Floats,
        others: Floats,
        significance: float,
        generator: np.random.Generator | None,
    ) -> float:
        """Returns the claim of the held-out half at the threshold whose claim is largest on the other."""
        if generator is None:
            raise ValueError("generator must be given for Split, which draws its halves, got None")
        if min(len(members), len(others)) < 2:
            raise ValueError(
                f"membership must hold 2 members and 2 non-members for Split, got {len(members)} and {len(others)}"
            )
        seen_members, new_members = np.array_split(generator.permutation(members), 2)
        seen_others, new_others = np.array_split(generator.permutation(others), 2)
        thresholds = np.concatenate([_from_the_top(seen_others)[1], -_from_the_top(-seen_members)[1]])
        best = _both_ways(claim, *_limits(seen_members, seen_others, thresholds, significance / 2)).argmax()
        return float(_both_ways(claim, *_limits(new_members, new_others, thresholds[best], significance / 2)))


@dataclass(frozen=True)
class Bonferroni(Rule):
    """Tries a fixed set of ranks, and shares the significance out equally among them and the two rates of each.

    The thresholds are scores of non-members with 1/2, 1/8, 1/32, ..., none of the others above, and scores of members
    with such shares below. At the (k+1)-th highest of n scores the share above it of what they are drawn from is
    Beta(k+1, n-k), whose upper quantile is Clopper and Pearson's for k of n; and given that threshold the count of the
    other side is binomial. Both limits are exact, and with ties conservative: what equals the threshold is not above.
    """

    def largest(
        self,
        claim: BoundFromRates,
        members: Floats,
        others: Floats,
        significance: float,
        generator: np.random.Generator | None,
    ) -> float:
        """Returns the largest claim over all thresholds."""
        sides = [(members, others), (-others, -members)]
        each = significance / (2 * sum(len(_ranks(len(below))) for _, below in sides))
        found = []
        for above, below in sides:
            ranks, thresholds = _from_the_top(below)
            low = lower_limit(_count_above(above, thresholds), len(above), each)
            found.append(_both_ways(claim, low, upper_limit(ranks, len(below), each)).max())
        return float(max(found))


def clopper_pearson_epsilon(
    scores: Floats,
    membership: NDArray[np.bool_],
    delta: float,
    significance: float,
    rule: Rule,
    generator: np.random.Generator | None = None,
) -> float:
    """Returns a lower bound on epsilon (nats) at `delta`, which exceeds the truth with probability <= significance.

        max(ln((TPR_low - delta) / FPR_high), ln((TNR_low - delta) / FNR_high)), and 0 where that is negative

    `scores` (examples,) are finite, higher = member; `membership` (examples,). Given membership the scores of either
    side must be independent draws: the examples of one trained model are only nearly so. `generator` is for `Split`.

    Raises ValueError for delta outside [0, 1), significance outside (0, 0.5), scores that are not finite and
    membership that does not fit them or holds no member or no non-member.

    >>> scores = np.arange(2000.0)
    >>> round(clopper_pearson_epsilon(scores, scores >= 1000, 0.0, 0.05, Bonferroni()), 3)
    5.084
    """
    check_delta(delta)

    def claim(low: Floats, high: Floats) -> Floats:
        return np.log(np.maximum((low - delta) / high, 1.0))

    return _largest(claim, scores, membership, significance, rule, generator)


def gdp_mu(
    scores: Floats,
    membership: NDArray[np.bool_],
    significance: float,
    rule: Rule,
    generator: np.random.Generator | None = None,
) -> float:
    """Returns a lower bound on mu of Gaussian differential privacy (Dong, Roth and Su 2022).

        ndtri(1 - FPR_high) - ndtri(FNR_high), and 0 where that is negative

    No mechanism of a smaller mu has such rates. The arguments and errors are `clopper_pearson_epsilon`'s.
    """

    def claim(low: Floats, high: Floats) -> Floats:
        return np.maximum(ndtri(low) - ndtri(high), 0.0)

    return _largest(claim, scores, membership, significance, rule, generator)


def gdp_delta(epsilon: float, mu: float) -> float:
    """Returns the delta of a mu-GDP mechanism at epsilon >= 0 (nats) (Dong, Roth and Su 2022).

        Phi(-epsilon / mu + mu / 2) - e^epsilon Phi(-epsilon / mu - mu / 2)

    >>> round(gdp_delta(1.0, 1.0), 6)
    0.126937
    """
    if not epsilon >= 0:
        raise ValueError(f"epsilon must be >= 0, got {epsilon}")
    _check_mu(mu)
    if mu == 0:
        return 0.0
    first = log_ndtr(-epsilon / mu + mu / 2)
    second = epsilon + log_ndtr(-epsilon / mu - mu / 2)
    return float(-np.exp(first) * np.expm1(min(second - first, 0.0)))


def gdp_epsilon(mu: float, delta: float) -> float:
    """Returns the epsilon (nats) of a mu-GDP mechanism at `delta`: infinite at delta = 0, unless mu is 0.

    >>> round(gdp_epsilon(1.0, 1e-5), 3)
    4.377
    """
    check_delta(delta)
    _check_mu(mu)
    if gdp_delta(0.0, mu) <= delta:
        return 0.0
    if delta == 0:
        return float("inf")
    # The delta of this epsilon is too small: it lacks only the second term.
    above = mu * (mu / 2 - float(ndtri(delta)))
    return float(brentq(lambda epsilon: gdp_delta(epsilon, mu) - delta, 0.0, above, xtol=1e-12))


def check_delta(delta: float) -> None:
    """Raises ValueError for a delta outside [0, 1)."""
    if not 0 <= delta < 1:
        raise ValueError(f"delta must be >= 0 and < 1, got {delta}")


def check_significance(significance: float) -> None:
    """Raises ValueError for a significance outside (0, 0.5)."""
    if not 0 < significance < 0.5:
        raise ValueError(f"significance must be > 0 and < 0.5, got {significance}")


def _check_mu(mu: float) -> None:
    if not 0 <= mu < np.inf:
        raise ValueError(f"mu must be >= 0 and finite, got {mu}")


def _largest(
    claim: BoundFromRates,
    scores: Floats,
    membership: NDArray[np.bool_],
    significance: float,
    rule: Rule,
    generator: np.random.Generator | None,
) -> float:
    check_significance(significance)
    check_scores(scores, membership)
    return rule.largest(claim, scores[membership], scores[~membership], significance, generator)


def _both_ways(claim: BoundFromRates, low: Floats, high: Floats) -> Floats:
    """Returns the larger claim of (TPR, FPR) and of (TNR, FNR), which have the same limits."""
    return np.maximum(claim(low, high), claim(1 - high, 1 - low))


def _ranks(count: int) -> NDArray[np.int64]:
    """Returns how many of `count` scores lie above each threshold: count / 2, count / 8, count / 32, ..., 0.

    Halves are tried, too, so that a score of two values is told apart at the lower one.
    """
    return count >> np.arange(1, count.bit_length() + 2, 2)


def _from_the_top(scores: Floats) -> tuple[NDArray[np.int64], Floats]:
    ranks = _ranks(len(scores))
    return ranks, np.sort(scores)[::-1][ranks]


def _limits(members: Floats, others: Floats, thresholds: Floats, level: float) -> tuple[Floats, Floats]:
    """Returns the limits of TPR from below and of FPR from above, "score > threshold"."""
    low = lower_limit(_count_above(members, thresholds), len(members), level)
    return low, upper_limit(_count_above(others, thresholds), len(others), level)


def _count_above(scores: Floats, thresholds: Floats) -> NDArray[np.int64]:
    return len(scores) - np.searchsorted(np.sort(scores), thresholds, side="right")
