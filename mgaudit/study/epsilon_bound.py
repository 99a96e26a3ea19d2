"""The lower bound on epsilon from the guesses of an attack about the members of all targets.

A target is an attacked model. All choices are made before the scores are known, or corrected for by
dividing the significance (Bonferroni).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.combined_runs import combination_for, combined_epsilons
from mgaudit.attacks.disjoint_shadows import Side
from mgaudit.attacks.one_run import Guesses, guess, one_run_fdp_epsilon
from mgaudit.reports.results import AlarmBound, EpsilonProof
from mgaudit.targets.seeds import numpy_generator

SIGNIFICANCE = 0.05  # the probability that a bound is wrong
GUESSED_SHARE = 0.05  # of the examples are guessed in, and as many out, where there is one share
SHARES = (0.01, 0.02, 0.05, 0.1)  # of which the best is taken, in bounds from all targets

MEDIAN = (
    "the median of the targets' own bounds at 97.5 % (one run each, f-DP), which is valid under "
    "any dependence between the targets"
)
FISHER = "Fisher's combination of the targets' p-values (one run each, f-DP)"
ONE_RUN = "one run with the canaries of all targets (f-DP)"
ONE_TARGET = "one run with the canaries of the only target (f-DP)"
HALVES = (
    "; the targets of each half of the models are attacked with shadow models of the other half "
    "only, at a significance of 2.5 % for each half"
)
SEPARATE = "; the shadow models are no targets"
NO_SHADOWS = "; the attack has no shadow models, so that the targets are independent"
GRID = (
    "; the significance is divided equally among {numbers} guesses about each target, and the "
    "largest bound is taken"
)


def guesses_a_side(share: float, examples: int) -> int:
    """Returns how many of the examples are guessed in, and as many out: a share, but at least 1."""
    return max(int(share * examples), 1)


def guessed(
    scores: NDArray[np.float64],
    membership: NDArray[np.bool_],
    seed: int,
    count: int | None = None,
) -> list[Guesses]:
    """Returns for each target how many guesses about its members were made, and were correct.

    The examples with the highest scores are guessed to be members, and those with the lowest scores
    non-members. Each target counts as one run in which all examples are canaries, that is, examples
    whose membership is a fair coin.

    Args:
        scores: Scores (targets, examples), float64; higher means member.
        membership: Membership (targets, examples), bool.
        seed: Random seed; it decides between equal scores.
        count: The number of guesses in, and of guesses out; None for GUESSED_SHARE of the examples.
    """
    if count is None:
        count = guesses_a_side(GUESSED_SHARE, scores.shape[1])
    guesses = []
    for target, pair in enumerate(zip(scores, membership, strict=True)):
        generator = numpy_generator(seed, "guesses", target)
        guesses.append(guess(*pair, count, count, generator))
    return guesses


def epsilon_bound(
    scores: NDArray[np.float64],
    membership: NDArray[np.bool_],
    targets: Sequence[int],
    sides: Sequence[Side],
    delta: float,
    seed: int,
) -> tuple[float, EpsilonProof]:
    """Returns a lower bound (95 %) on the epsilon (nats) of the training at `delta`, and its proof.

    Without sides, it is the median of the targets' bounds. That of a single target is its own.

    Args:
        scores: Scores (targets, canaries), float64, independent on each side; higher means member.
        membership: Membership (targets, canaries), bool, drawn by independent fair coins.
        targets: The index in the study of each target.
        sides: Targets and shadow models by index in the study, as from `sides_of`; empty where the
            scores of several targets may depend on one another.
        delta: The delta of the bound, in [0, 1).
        seed: Random seed; it decides between equal scores.
    """
    if not sides and len(targets) > 1:
        return _median_bound(scores, membership, targets, delta, seed)
    sides = sides or [Side(tuple(targets), ())]
    canaries = scores.shape[1]
    largest = _largest(scores, membership, targets, sides, delta, seed, SIGNIFICANCE)
    side, guesses = largest.side, largest.guesses
    sizes = tuple(len(side.targets) for side in sides)
    proof = EpsilonProof(
        rule=_rule(sides, len(targets), canaries, _counts(canaries), delta),
        combination=combination_for(len(side.targets), canaries, delta),
        targets=list(side.targets),
        shadows=list(side.shadows),
        guesses=guesses[0].made,
        correct=[of_target.correct for of_target in guesses],
        significance=largest.significance,
        provable=_provable(sizes, canaries, delta),
    )
    return largest.epsilon, proof


def alarm_bound(
    scores: NDArray[np.float64],
    membership: NDArray[np.bool_],
    targets: Sequence[int],
    sides: Sequence[Side],
    delta: float,
    seed: int,
    claims: int,
) -> AlarmBound:
    """Returns the bound of `epsilon_bound` at its significance divided by the number of `claims`.

    By Bonferroni, a result with so many claims, all of them true, has a bound above its claim with
    at most 5 % probability. The number must be known before the scores. Other arguments are those
    of `epsilon_bound`.
    """
    significance = SIGNIFICANCE / claims
    if not sides and len(targets) > 1:
        guesses = guessed(scores, membership, seed)
        epsilon = median_epsilon(guesses, delta, significance)
    else:
        sides = sides or [Side(tuple(targets), ())]
        epsilon = _largest(scores, membership, targets, sides, delta, seed, significance).epsilon
    return AlarmBound(epsilon=epsilon, significance=significance, claims=claims)


@dataclass(frozen=True)
class _Largest:
    """The largest bound on epsilon (nats) over sides and numbers of guesses.

    `significance` is that of each of these bounds, and `guesses` are those about the targets of the
    `side` that has the largest one.
    """

    epsilon: float
    side: Side
    guesses: list[Guesses]
    significance: float


def _largest(
    scores: NDArray[np.float64],
    membership: NDArray[np.bool_],
    targets: Sequence[int],
    sides: Sequence[Side],
    delta: float,
    seed: int,
    significance: float,
) -> _Largest:
    """Returns the largest bound; the significance is divided equally among the candidates."""
    candidates = []
    for count in _counts(scores.shape[1]):
        of_targets = dict(zip(targets, guessed(scores, membership, seed, count), strict=True))
        for side in sides:
            candidates.append((side, [of_targets[target] for target in side.targets]))
    significance = significance / len(candidates)
    bounds = combined_epsilons([guesses for _, guesses in candidates], delta, significance)
    largest = int(np.argmax(bounds))
    return _Largest(bounds[largest], *candidates[largest], significance)


def provable_in_one_run(made: int, canaries: int, delta: float, significance: float) -> float:
    """Returns the lower bound on epsilon (nats) of one run if all `made` guesses are correct.

    No attack can prove more with this many guesses about this many canaries.
    """
    return one_run_fdp_epsilon(Guesses(made, made, canaries), delta, significance)


def median_epsilon(
    guesses: Sequence[Guesses], delta: float, significance: float = SIGNIFICANCE
) -> float:
    """Returns the median of the targets' lower bounds on epsilon (nats), each at 97.5 %.

    `guesses` has one entry for each target and must not be empty. The median holds at 95 % even if
    the targets depend on one another: by Markov's inequality, the probability that at least half of
    the bounds are too high is at most twice 2.5 %. Of an even number, the lower one is taken. Each
    bound has half of another `significance` of the median.
    """
    bounds = [one_run_fdp_epsilon(of_target, delta, significance / 2) for of_target in guesses]
    return sorted(bounds)[(len(bounds) - 1) // 2]


def _median_bound(
    scores: NDArray[np.float64],
    membership: NDArray[np.bool_],
    targets: Sequence[int],
    delta: float,
    seed: int,
) -> tuple[float, EpsilonProof]:
    """Returns the median of the targets' bounds, and its proof; see `epsilon_bound`."""
    guesses = guessed(scores, membership, seed)
    made, canaries = guesses[0].made, guesses[0].canaries
    proof = EpsilonProof(
        rule=MEDIAN,
        combination="median",
        targets=list(targets),
        shadows=[],
        guesses=made,
        correct=[of_target.correct for of_target in guesses],
        significance=SIGNIFICANCE,
        provable=provable_in_one_run(made, canaries, delta, SIGNIFICANCE / 2),
    )
    return median_epsilon(guesses, delta), proof


def _counts(canaries: int) -> list[int]:
    """Returns the numbers of guesses in, and out, that are tried, each once."""
    return list(dict.fromkeys(guesses_a_side(share, canaries) for share in SHARES))


@cache
def _provable(sizes: tuple[int, ...], canaries: int, delta: float) -> float:
    """Returns the bound on sides with these numbers of targets if all guesses are correct."""
    runs = [
        [Guesses(2 * count, 2 * count, canaries)] * size
        for count in _counts(canaries)
        for size in sizes
    ]
    return max(combined_epsilons(runs, delta, SIGNIFICANCE / len(runs)))


def _rule(
    sides: Sequence[Side], targets: int, canaries: int, counts: Sequence[int], delta: float
) -> str:
    """Returns the rule of a bound from sides in words."""
    size = max(len(side.targets) for side in sides)
    is_fisher = combination_for(size, canaries, delta) == "Fisher"
    text = FISHER if is_fisher else ONE_RUN
    if targets == 1:
        return ONE_TARGET + _grid(counts)
    if len(sides) > 1:
        text += HALVES
    else:
        text += SEPARATE if sides[0].shadows else NO_SHADOWS
    return text + _grid(counts)


def _grid(counts: Sequence[int]) -> str:
    """Returns the numbers of guesses in words; "" if there is only one."""
    if len(counts) == 1:
        return ""
    *first, last = (str(2 * count) for count in counts)
    return GRID.format(numbers=f"{', '.join(first)} and {last}")
