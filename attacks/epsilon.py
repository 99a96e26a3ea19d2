"""Lower confidence bounds on epsilon from scores of members and of non-members.

A bound is computed from two rates at a threshold: the shares of members and of non-members above
it, with their exact binomial limits (Clopper and Pearson 1934). A rule chooses the threshold and
corrects for the choice: the uncorrected maximum over thresholds exceeds the true epsilon too often.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtri

from mgaudit.attacks.intervals import lower_limit, upper_limit
from mgaudit.attacks.roc import check_scores

Floats = NDArray[np.float64]
BoundFromRates = Callable[[Floats, Floats], Floats]


class Rule(ABC):
    """A method to choose the threshold of a bound without invalidating its confidence level."""

    @abstractmethod
    def largest(
        self,
        bound: BoundFromRates,
        members: Floats,
        others: Floats,
        significance: float,
        generator: np.random.Generator | None,
    ) -> float:
        """Returns the largest bound that holds with probability 1 - significance.

        Args:
            bound: Computes bounds (thresholds,) from lower limits of the TPR and upper limits of
                the FPR, both (thresholds,) in [0, 1]. A bound increases with the TPR and decreases
                with the FPR.
            members: Scores of members (members,); higher means member.
            others: Scores of non-members (non-members,).
            significance: Largest probability of exceeding the true value, in (0, 0.5).
            generator: Source of randomness, for rules that need one.
        """


@dataclass(frozen=True)
class Split(Rule):
    """Chooses the threshold on a random half of the scores and bounds epsilon on the other half.

    The generator draws the halves, separately for members and non-members, so that the halves do
    not depend on the order of the examples.
    """

    def largest(
        self,
        bound: BoundFromRates,
        members: Floats,
        others: Floats,
        significance: float,
        generator: np.random.Generator | None,
    ) -> float:
        """Returns the bound of the held-out half at the best threshold of the other half.

        Raises:
            ValueError: Without a generator, and for fewer than 2 members or 2 non-members.
        """
        if generator is None:
            raise ValueError("generator must be given for Split, which draws its halves, got None")
        if min(len(members), len(others)) < 2:
            raise ValueError(
                "membership must hold 2 members and 2 non-members for Split, "
                f"got {len(members)} and {len(others)}"
            )
        seen_members, new_members = np.array_split(generator.permutation(members), 2)
        seen_others, new_others = np.array_split(generator.permutation(others), 2)
        _, from_others = _highest(seen_others)
        _, from_members = _highest(-seen_members)
        thresholds = np.concatenate([from_others, -from_members])
        level = significance / 2
        seen_limits = _limits(seen_members, seen_others, thresholds, level)
        best = _both_ways(bound, *seen_limits).argmax()
        new_limits = _limits(new_members, new_others, thresholds[best], level)
        return float(_both_ways(bound, *new_limits))


@dataclass(frozen=True)
class Bonferroni(Rule):
    """Divides the significance equally among a fixed set of thresholds and the two rates of each.

    A threshold is a score of a non-member such that 1/2, 1/8, 1/32, ... or none of the non-members
    have higher scores, or a score of a member such that these shares of the members have lower
    scores.

    Both limits are exact at each threshold. The population share above the (k+1)-th highest of n
    scores is Beta(k+1, n-k), whose upper quantile is Clopper and Pearson's upper limit for k of n.
    Conditional on this threshold, the number of scores of the other kind above it is binomial. With
    ties the limits are conservative, because a score equal to the threshold is not above it.
    """

    def largest(
        self,
        bound: BoundFromRates,
        members: Floats,
        others: Floats,
        significance: float,
        generator: np.random.Generator | None,
    ) -> float:
        """Returns the largest bound over all thresholds; `generator` is not used."""
        sides = [(members, others), (-others, -members)]
        thresholds_in_all = sum(len(_ranks(len(below))) for _, below in sides)
        level = significance / (2 * thresholds_in_all)
        bounds = []
        for above, below in sides:
            ranks, thresholds = _highest(below)
            low = lower_limit(_count_above(above, thresholds), len(above), level)
            high = upper_limit(ranks, len(below), level)
            bounds.append(_both_ways(bound, low, high).max())
        return float(max(bounds))


def clopper_pearson_epsilon(
    scores: Floats,
    membership: NDArray[np.bool_],
    delta: float,
    significance: float,
    rule: Rule,
    generator: np.random.Generator | None = None,
) -> float:
    """Returns a lower bound on epsilon (nats) at `delta` with confidence 1 - significance.

        max(ln((TPR_low - delta) / FPR_high), ln((TNR_low - delta) / FNR_high)), or 0 if negative

    TPR_low, FPR_high and so on are one-sided binomial limits of the rates at the threshold that
    `rule` chooses. Conditional on membership, the scores of members must be independent draws, and
    those of non-members too; for the examples of one trained model this holds approximately.

    Args:
        scores: Scores (examples,), float64, finite; higher means member.
        membership: Membership (examples,), bool.
        delta: Delta in [0, 1).
        significance: Largest probability of exceeding the true epsilon, in (0, 0.5).
        rule: How the threshold is chosen: `Bonferroni()` or `Split()`.
        generator: Draws the halves of `Split`, which needs it; `Bonferroni` does not.

    Raises:
        ValueError: For arguments outside these ranges, and for membership of another shape, without
            members or without non-members.

    >>> scores = np.arange(2000.0)
    >>> round(clopper_pearson_epsilon(scores, scores >= 1000, 0.0, 0.05, Bonferroni()), 3)
    5.084
    """
    check_delta(delta)

    def bound(low: Floats, high: Floats) -> Floats:
        """Returns bounds on epsilon (thresholds,) from limits of the TPR and of the FPR."""
        ratio = (low - delta) / high
        return np.log(np.maximum(ratio, 1.0))

    return _largest(bound, scores, membership, significance, rule, generator)


def gdp_mu(
    scores: Floats,
    membership: NDArray[np.bool_],
    significance: float,
    rule: Rule,
    generator: np.random.Generator | None = None,
) -> float:
    """Returns a lower bound on mu of Gaussian differential privacy (Dong, Roth and Su 2022).

        ndtri(1 - FPR_high) - ndtri(FNR_high), or 0 if negative

    Here ndtri is the standard normal quantile. The bound holds with confidence 1 - significance: no
    mu-GDP mechanism with a smaller mu has such rates. Arguments and errors are as for
    `clopper_pearson_epsilon`.
    """

    def bound(low: Floats, high: Floats) -> Floats:
        """Returns bounds on mu (thresholds,) from limits of the TPR and of the FPR."""
        return np.maximum(ndtri(low) - ndtri(high), 0.0)

    return _largest(bound, scores, membership, significance, rule, generator)


def gdp_delta(epsilon: float, mu: float) -> float:
    """Returns the delta of a mu-GDP mechanism at epsilon >= 0 (nats) (Dong, Roth and Su 2022).

        Phi(-epsilon / mu + mu / 2) - e^epsilon Phi(-epsilon / mu - mu / 2)

    Raises:
        ValueError: For a negative epsilon, and for a mu that is negative or not finite.

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
    difference = min(second - first, 0.0)
    return float(-np.exp(first) * np.expm1(difference))


def gdp_epsilon(mu: float, delta: float) -> float:
    """Returns the epsilon (nats) of a mu-GDP mechanism at `delta`, the inverse of `gdp_delta`.

    Epsilon is 0 where `delta` is at least the delta at epsilon 0, and infinite at delta = 0 if mu >
    0.

    Raises:
        ValueError: For a delta outside [0, 1), and for a mu that is negative or not finite.

    >>> round(gdp_epsilon(1.0, 1e-5), 3)
    4.377
    """
    check_delta(delta)
    _check_mu(mu)
    if gdp_delta(0.0, mu) <= delta:
        return 0.0
    if delta == 0:
        return float("inf")
    # At this epsilon the first term of the delta equals `delta`, so the delta is smaller.
    largest = mu * (mu / 2 - float(ndtri(delta)))
    root = brentq(lambda epsilon: gdp_delta(epsilon, mu) - delta, 0.0, largest, xtol=1e-12)
    return float(root)


def check_delta(delta: float) -> None:
    """Raises ValueError for a delta outside [0, 1)."""
    if not 0 <= delta < 1:
        raise ValueError(f"delta must be >= 0 and < 1, got {delta}")


def check_significance(significance: float) -> None:
    """Raises ValueError for a significance outside (0, 0.5)."""
    if not 0 < significance < 0.5:
        raise ValueError(f"significance must be > 0 and < 0.5, got {significance}")


def _check_mu(mu: float) -> None:
    """Raises ValueError for a mu that is negative or not finite."""
    if not 0 <= mu < np.inf:
        raise ValueError(f"mu must be >= 0 and finite, got {mu}")


def _largest(
    bound: BoundFromRates,
    scores: Floats,
    membership: NDArray[np.bool_],
    significance: float,
    rule: Rule,
    generator: np.random.Generator | None,
) -> float:
    """Checks the arguments and returns the largest bound by `rule`, from scores (examples,)."""
    check_significance(significance)
    check_scores(scores, membership)
    members, others = scores[membership], scores[~membership]
    return rule.largest(bound, members, others, significance, generator)


def _both_ways(bound: BoundFromRates, low: Floats, high: Floats) -> Floats:
    """Returns the larger of the bounds from (TPR, FPR) and from (TNR, FNR), (thresholds,).

    `low` (thresholds,) are lower limits of the TPR and `high` upper limits of the FPR. So 1 - high
    are lower limits of the TNR and 1 - low upper limits of the FNR.
    """
    return np.maximum(bound(low, high), bound(1 - high, 1 - low))


def _ranks(count: int) -> NDArray[np.int64]:
    """Returns the number of scores above each threshold: count / 2, count / 8, ..., 0.

    `count` is the number of scores; the result is (thresholds,). It begins with one half, so that a
    score with two values is split at the lower one.
    """
    shifts = np.arange(1, count.bit_length() + 2, 2)
    return count >> shifts


def _highest(scores: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Returns ranks (thresholds,), 0 for the highest score, and the scores of these ranks.

    `scores` are (scores,) in any order.
    """
    ranks = _ranks(len(scores))
    descending = np.sort(scores)[::-1]
    return ranks, descending[ranks]


def _limits(
    members: Floats, others: Floats, thresholds: Floats, level: float
) -> tuple[Floats, Floats]:
    """Returns lower limits of the TPR and upper limits of the FPR of "score > threshold".

    `members` (members,) and `others` (non-members,) are scores; the limits have the shape of
    `thresholds`. Each limit is wrong with probability at most `level`.
    """
    low = lower_limit(_count_above(members, thresholds), len(members), level)
    high = upper_limit(_count_above(others, thresholds), len(others), level)
    return low, high


def _count_above(scores: Floats, thresholds: Floats) -> NDArray[np.int64]:
    """Returns, for each threshold, how many `scores` (scores,) are above it, without equal ones."""
    not_above = np.searchsorted(np.sort(scores), thresholds, side="right")
    return len(scores) - not_above
