"""Lower bounds on epsilon from one run with many canaries, each in or out by its own fair coin."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, gammaln, ndtr, ndtri

from mgaudit.attacks.epsilon import check_delta, check_significance
from mgaudit.attacks.metrics import check_scores

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Guesses:
    """How many of the guesses `made` about the membership of `canaries` are correct."""

    correct: int
    made: int
    canaries: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.made <= self.canaries:
            raise ValueError(
                "correct, made and canaries must be 0 <= correct <= made <= canaries, "
                f"got {self.correct}, {self.made} and {self.canaries}"
            )


def guess(
    scores: Floats,
    membership: NDArray[np.bool_],
    guesses_in: int,
    guesses_out: int,
    generator: np.random.Generator,
) -> Guesses:
    """Returns how well the `guesses_in` highest scores tell members and the `guesses_out` lowest non-members.

    `scores` (canaries,) are finite, higher = member; `membership` (canaries,) holds independent fair coins. Both
    numbers of guesses must be fixed before the scores are seen. Equal scores are taken in an order that the generator
    draws: in the order given they would tell the membership of canaries that are sorted by it.

    Raises ValueError for scores that are not finite, for membership that does not fit them or holds no member or no
    non-member, and for fewer than 0 guesses or more than there are canaries.
    """
    check_scores(scores, membership)
    for name, number in (("guesses_in", guesses_in), ("guesses_out", guesses_out)):
        if number < 0:
            raise ValueError(f"{name} must be >= 0, got {number}")
    if guesses_in + guesses_out > len(scores):
        raise ValueError(
            f"guesses_in + guesses_out must be <= {len(scores)} canaries, got {guesses_in} + {guesses_out}"
        )
    shuffled = generator.permutation(len(scores))
    ascending = membership[shuffled[np.argsort(scores[shuffled], kind="stable")]]
    correct = (~ascending[:guesses_out]).sum() + ascending[len(scores) - guesses_in :].sum()
    return Guesses(int(correct), guesses_in + guesses_out, len(scores))


def one_run_epsilon(guesses: Guesses, delta: float, significance: float) -> float:
    """Returns the lower bound on epsilon (nats) at `delta` of Steinke, Nasr and Jagielski 2023.

    With r guesses among m canaries, v of them correct, and B binomial of r trials of e^epsilon / (1 + e^epsilon), an
    (epsilon, delta)-DP mechanism does as well with probability at most

        P(B >= v) + 2 m delta max over 1 <= i <= v of P(v > B >= v - i) / i,

    and the bound is where this reaches the significance: it exceeds the truth with probability <= significance.

    Raises ValueError for delta outside [0, 1) and significance outside (0, 0.5).

    >>> round(one_run_epsilon(Guesses(1000, 1000, 1000), 0.0, 0.05), 3)
    5.809
    """
    check_delta(delta)
    check_significance(significance)
    counts = np.arange(guesses.made + 1)
    log_ways = gammaln(guesses.made + 1) - gammaln(counts + 1) - gammaln(guesses.made - counts + 1)

    def rejected(epsilon: float) -> bool:
        return _chance(guesses, log_ways, epsilon, delta) < significance

    return _largest_rejected(rejected)


def one_run_fdp_epsilon(guesses: Guesses, delta: float, significance: float) -> float:
    """Returns the lower bound on epsilon (nats) at `delta` by the f-DP analysis, with nothing assumed of the mechanism.

    It is the largest epsilon whose trade-off curve

        f(x) = max(0, 1 - delta - e^epsilon x, e^-epsilon (1 - delta - x))

    is rejected (`rejects`). The errors are `one_run_epsilon`'s.

    >>> round(one_run_fdp_epsilon(Guesses(1000, 1000, 1000), 0.0, 0.05), 3)
    5.809
    """
    check_delta(delta)
    check_significance(significance)

    def rejected(epsilon: float) -> bool:
        growth = float(np.exp(epsilon))
        return rejects(
            guesses, lambda power: max(0.0, (power - delta) / growth, 1 - delta - growth * (1 - power)), significance
        )

    return _largest_rejected(rejected)


def one_run_fdp_mu(guesses: Guesses, significance: float) -> float:
    """Returns the lower bound on mu of Gaussian differential privacy by the f-DP analysis.

    It is the largest mu whose trade-off curve f(x) = Phi(Phi^-1(1 - x) - mu) is rejected (`rejects`). Its epsilon at
    delta (`gdp_epsilon`) is a lower bound for a mechanism whose trade-off curve is Gaussian, and for no other.

    Raises ValueError for significance outside (0, 0.5).
    """
    check_significance(significance)

    def rejected(mu: float) -> bool:
        return rejects(guesses, lambda power: float(ndtr(ndtri(power) - mu)), significance)

    return _largest_rejected(rejected)


def rejects(guesses: Guesses, level_of: Callable[[float], float], significance: float) -> bool:
    """Returns whether an f-DP mechanism does so well with probability < significance.

    `level_of` is the inverse of 1 - f, f the trade-off curve, which must be its own inverse: the least level of a test
    of the given power. The recursion is that of Mahloujifar, Melis and Chaudhuri 2024, in counts. Let p_j be the
    chance of j correct guesses of c', m the number of canaries. Flipping the coin of one canary drawn at random turns
    a correct guess into a wrong one, so for all i

        sum over j > i of j p_j / m <= 1 - f(sum over j >= i of (c' - j) p_j / m).

    This bounds the chance of i or more from below, step by step from c, the number observed, whose own is supposed to
    be the significance. Each bound grows with those before it, and they are least if c is never exceeded. f is rejected
    if one exceeds 1. Where p_i may be 0 the inequality stays as it was, so that all that follow may be 0.

    With ever more canaries, a share a of all guessed right and b wrong, f is rejected at significance s if
    s a > 1 - f(s b): the bounds allow for a mechanism that leaks for all canaries at once, but with chance s only.
    """
    chance = significance
    right = chance * guesses.correct
    wrong = chance * (guesses.made - guesses.correct)
    for count in range(guesses.correct - 1, -1, -1):
        more = guesses.canaries * level_of(right / guesses.canaries) - wrong
        if more <= 0:
            return False
        added = more / (guesses.made - count)
        chance += added
        if chance > 1:
            return True
        right += count * added
        wrong += more
    return False


def _chance(guesses: Guesses, log_ways: Floats, epsilon: float, delta: float) -> float:
    """Returns the bound on the chance of so many correct guesses of an (epsilon, delta)-DP mechanism."""
    made, correct = guesses.made, guesses.correct
    if correct == 0:
        return 1.0
    share = 1 / (1 + np.exp(-epsilon))
    tail = float(bdtrc(correct - 1, made, share))
    if delta == 0:
        return tail
    log_odds_out = -np.logaddexp(0.0, epsilon)
    below = np.arange(correct - 1, -1, -1)
    mass = np.exp(log_ways[below] + below * epsilon + made * log_odds_out)
    largest = (np.cumsum(mass) / np.arange(1, correct + 1)).max()
    return float(min(1.0, tail + 2 * guesses.canaries * delta * largest))


def _largest_rejected(rejected: Callable[[float], bool]) -> float:
    """Returns the largest value rejected, from below and to 1e-9; 0 where none is."""
    if not rejected(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while rejected(high):
        low, high = high, 2 * high
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low
