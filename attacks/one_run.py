"""Lower bounds on epsilon from one training run with many canaries.

A canary is an example that is included in the training data by an independent fair coin.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, gammaln, ndtr, ndtri

from mgaudit.attacks.epsilon import check_delta, check_significance
from mgaudit.attacks.roc import check_scores

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Guesses:
    """How many canaries there are, and how many guesses about their membership were correct.

    `made` is the number of guesses, at most one for each canary, and `correct` of them are correct.
    """

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
    """Guesses that the highest scores belong to members and the lowest to non-members.

    Args:
        scores: Scores (canaries,), float64, finite; higher means member.
        membership: Membership (canaries,), bool, independent fair coins.
        guesses_in: Number of highest scores that are guessed to be members, fixed before the scores
            are known.
        guesses_out: Number of lowest scores that are guessed to be non-members, fixed likewise.
        generator: Draws the order of equal scores. If equal scores kept the order of the canaries,
            guesses about canaries that are sorted by membership would be correct by construction.

    Raises:
        ValueError: For scores that are not finite, for membership of another shape, without members
            or without non-members, and for fewer than 0 guesses or more than there are canaries.
    """
    check_scores(scores, membership)
    for name, number in (("guesses_in", guesses_in), ("guesses_out", guesses_out)):
        if number < 0:
            raise ValueError(f"{name} must be >= 0, got {number}")
    if guesses_in + guesses_out > len(scores):
        raise ValueError(
            f"guesses_in + guesses_out must be <= {len(scores)} canaries, "
            f"got {guesses_in} + {guesses_out}"
        )
    shuffled = generator.permutation(len(scores))
    order = shuffled[np.argsort(scores[shuffled], kind="stable")]
    ascending = membership[order]
    correct_out = (~ascending[:guesses_out]).sum()
    correct_in = ascending[len(scores) - guesses_in :].sum()
    return Guesses(int(correct_out + correct_in), guesses_in + guesses_out, len(scores))


def one_run_epsilon(guesses: Guesses, delta: float, significance: float) -> float:
    """Returns the lower bound on epsilon (nats) at `delta` of Steinke, Nasr and Jagielski 2023.

    Let r be the number of guesses about m canaries, v the number of correct ones, and B binomial
    with r trials of probability e^epsilon / (1 + e^epsilon). For an (epsilon, delta)-DP mechanism,
    the probability of v or more correct guesses is at most

        P(B >= v) + 2 m delta max over 1 <= i <= v of P(v > B >= v - i) / i,

    and the bound is the epsilon at which this equals the significance, or 0 if there is none. It
    exceeds the true epsilon with probability <= significance.

    Raises:
        ValueError: For delta outside [0, 1) and significance outside (0, 0.5).

    >>> round(one_run_epsilon(Guesses(1000, 1000, 1000), 0.0, 0.05), 3)
    5.809
    """
    check_delta(delta)
    check_significance(significance)
    made = guesses.made
    counts = np.arange(made + 1)
    log_ways = gammaln(made + 1) - gammaln(counts + 1) - gammaln(made - counts + 1)

    def rejected(epsilon: float) -> bool:
        """Returns whether so many correct guesses are too improbable under this epsilon."""
        return _probability(guesses, log_ways, epsilon, delta) < significance

    return _largest_rejected(rejected)


def one_run_fdp_epsilon(guesses: Guesses, delta: float, significance: float) -> float:
    """Returns the lower bound on epsilon (nats) at `delta` by f-DP, for any mechanism.

    The bound is the largest epsilon whose trade-off curve (least false negative rate at a false
    positive rate of x)

        f(x) = max(0, 1 - delta - e^epsilon x, e^-epsilon (1 - delta - x))

    is rejected by `rejects`, or 0 if none is. It exceeds the true epsilon with probability <=
    significance. The errors are those of `one_run_epsilon`.

    >>> round(one_run_fdp_epsilon(Guesses(1000, 1000, 1000), 0.0, 0.05), 3)
    5.809
    """
    check_delta(delta)
    check_significance(significance)

    def rejected(epsilon: float) -> bool:
        growth = float(np.exp(epsilon))

        def level_of(power: float) -> float:
            """Returns the least false positive rate of a test with this true positive rate."""
            return max(0.0, (power - delta) / growth, 1 - delta - growth * (1 - power))

        return rejects(guesses, level_of, significance)

    return _largest_rejected(rejected)


def one_run_fdp_mu(guesses: Guesses, significance: float) -> float:
    """Returns the lower bound on mu of Gaussian differential privacy by the f-DP analysis.

    The bound is the largest mu whose trade-off curve

        f(x) = Phi(Phi^-1(1 - x) - mu)

    is rejected by `rejects`, or 0 if none is. It exceeds the true mu with probability <=
    significance. `gdp_epsilon` of this mu is a lower bound on epsilon only for a mechanism whose
    trade-off curve is Gaussian.

    Raises:
        ValueError: For significance outside (0, 0.5).
    """
    check_significance(significance)

    def rejected(mu: float) -> bool:
        def level_of(power: float) -> float:
            """Returns the least false positive rate of a test with this true positive rate."""
            return float(ndtr(ndtri(power) - mu))

        return rejects(guesses, level_of, significance)

    return _largest_rejected(rejected)


def rejects(guesses: Guesses, level_of: Callable[[float], float], significance: float) -> bool:
    """Returns whether so many correct guesses have probability < significance under f-DP.

    f is the trade-off curve, which must be its own inverse. `level_of` is the inverse of 1 - f: it
    maps the power of a test (true positive rate) to the least level (false positive rate), both in
    [0, 1].

    The recursion is that of Mahloujifar, Melis and Chaudhuri 2024, in counts. Let p_j be the
    probability of j correct guesses out of c' = `made`, and m the number of canaries. Flipping the
    coin of one canary drawn at random turns a correct guess into a wrong one, so for all i

        sum over j > i of j p_j / m <= 1 - f(sum over j >= i of (c' - j) p_j / m).

    This gives lower bounds on the probability of i or more correct guesses, for i = c - 1, c - 2,
    ..., 0, where c is the observed number. The probability of c or more is assumed to be the
    significance. Each bound increases with the previous bounds, and all bounds are smallest if c is
    never exceeded. f is rejected if a bound exceeds 1. If p_i = 0 satisfies the inequality, then so
    does p_j = 0 for all j < i, and f is not rejected.

    For many canaries, with a share a guessed correctly and b wrongly, f is rejected at significance
    s if s a > 1 - f(s b): the bounds allow for a mechanism that leaks for all canaries at once, but
    only with probability s.
    """
    # P(`count` or more correct guesses), and the sums of j p_j and of (c' - j) p_j over these j.
    chance = significance
    right = chance * guesses.correct
    wrong = chance * (guesses.made - guesses.correct)
    for count in range(guesses.correct - 1, -1, -1):
        least_wrong = guesses.canaries * level_of(right / guesses.canaries)
        more = least_wrong - wrong
        if more <= 0:
            return False
        added = more / (guesses.made - count)
        chance += added
        if chance > 1:
            return True
        right += count * added
        wrong += more
    return False


def _probability(guesses: Guesses, log_ways: Floats, epsilon: float, delta: float) -> float:
    """Returns the bound on the probability of so many correct guesses under (epsilon, delta)-DP.

    `log_ways` (made + 1,) are the logarithms of the binomial coefficients (made choose i).
    """
    made, correct = guesses.made, guesses.correct
    if correct == 0:
        return 1.0
    share = 1 / (1 + np.exp(-epsilon))
    tail = float(bdtrc(correct - 1, made, share))
    if delta == 0:
        return tail
    log_odds_out = -np.logaddexp(0.0, epsilon)
    below = np.arange(correct - 1, -1, -1)
    log_mass = log_ways[below] + below * epsilon + made * log_odds_out
    mass = np.exp(log_mass)
    largest = (np.cumsum(mass) / np.arange(1, correct + 1)).max()
    bound = tail + 2 * guesses.canaries * delta * largest
    return float(min(1.0, bound))


def _largest_rejected(rejected: Callable[[float], bool]) -> float:
    """Returns the largest rejected value, rounded down to within 1e-9; 0 if none is rejected."""
    if not rejected(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while rejected(high):
        low, high = high, 2 * high
    while high - low > 1e-9:
        middle = (low + high) / 2
        if rejected(middle):
            low = middle
        else:
            high = middle
    return low
