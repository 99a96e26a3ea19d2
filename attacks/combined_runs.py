"""Lower bounds on epsilon from several independent runs, each with many canaries.

A run is the training of one target, whose canaries are included by independent fair coins. Given
the shadow models, the guesses about one target must not depend on the coins of another target; see
`disjoint_shadows`.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from mgaudit.attacks.epsilon import check_delta, check_significance
from mgaudit.attacks.one_run import Guesses, one_run_fdp_epsilon

Floats = NDArray[np.float64]
Combination = Literal["one run", "Fisher"]

# Largest 2 m delta of one run with the m canaries of all targets. On digits (8 targets, 1,198
# examples each) one run proved more than Fisher's combination at 1, and less at 4.
MOST_EXPECTED_FAILURES = 1.0
# p-values are rounded up to one of these.
LEVELS = np.geomspace(1e-4, 1.0, 50)
PRECISION = 1e-3  # of an epsilon, which is rounded down


def combination_for(targets: int, canaries: int, delta: float) -> Combination:
    """Returns how to combine targets with `canaries` each; it depends on no scores.

    One run with the canaries of all targets is the tighter combination for a small delta. Its price
    of delta increases with the number of all canaries. With a larger delta it proves nothing, and
    p-values of the targets are combined instead.
    """
    expected_failures = 2 * targets * canaries * delta
    if targets == 1 or expected_failures <= MOST_EXPECTED_FAILURES:
        return "one run"
    return "Fisher"


def combined_epsilons(
    runs: Sequence[Sequence[Guesses]], delta: float, significance: float
) -> list[float]:
    """Returns, for each sequence of independent runs, the lower bound on epsilon (nats) at `delta`.

    All runs of a sequence have the same number of canaries. Each bound alone exceeds the true
    epsilon with probability <= significance. `combination_for` selects the combination.

    Raises:
        ValueError: For an empty sequence, delta outside [0, 1) and significance outside (0, 0.5).

    >>> round(combined_epsilons([[Guesses(90, 100, 1000)] * 8], 1e-3, 0.05)[0], 2)
    1.78
    """
    check_delta(delta)
    check_significance(significance)
    if any(not guesses for guesses in runs):
        raise ValueError("runs must have one run or more in each sequence, got an empty sequence")
    combinations = [combination_for(len(of), of[0].canaries, delta) for of in runs]
    separate = [of for of, name in zip(runs, combinations, strict=True) if name == "Fisher"]
    by_fisher = iter(fisher_epsilons(separate, delta, significance))
    return [
        next(by_fisher)
        if combination == "Fisher"
        else one_run_fdp_epsilon(pooled(of), delta, significance)
        for of, combination in zip(runs, combinations, strict=True)
    ]


def pooled(runs: Sequence[Guesses]) -> Guesses:
    """Returns the guesses about the canaries of all runs.

    The mechanism that trains all targets is (epsilon, delta)-DP if each training is, because a
    canary belongs to one target only.
    """
    correct = sum(guesses.correct for guesses in runs)
    made = sum(guesses.made for guesses in runs)
    return Guesses(correct, made, sum(guesses.canaries for guesses in runs))


def fisher_epsilons(
    runs: Sequence[Sequence[Guesses]], delta: float, significance: float
) -> list[float]:
    """Returns, for each sequence of runs, the bound by Fisher's combination of their p-values.

    p_a(epsilon) is the least significance at which `rejects` rejects epsilon for run a. Under
    (epsilon, delta)-DP, -2 sum of log p_a is not larger, in distribution, than chi-squared with 2 A
    degrees of freedom for A independent runs (Fisher 1932). The bound is the largest epsilon at
    which it exceeds the upper quantile, rounded down to within PRECISION, or 0 if there is none.
    The arguments are those of `combined_epsilons`.
    """
    distinct = list(dict.fromkeys(guesses for of in runs for guesses in of))
    if not distinct:
        return []
    tables = dict(zip(distinct, rejected_epsilons(distinct, delta), strict=True))
    bounds = []
    for of in runs:
        table = np.stack([tables[guesses] for guesses in of])
        bounds.append(_largest_combined(table, significance))
    return bounds


def _largest_combined(table: Floats, significance: float) -> float:
    """Returns the largest epsilon of `table` (runs, levels) that all runs together reject."""
    candidates = np.unique(table[table >= 0])
    if not len(candidates):
        return 0.0
    # The p-value is the first level whose epsilon is not smaller, or 1.
    position = (table < candidates[:, np.newaxis, np.newaxis]).sum(axis=2)
    p_values = np.append(LEVELS[:-1], 1.0)[position]
    statistics = -2 * np.log(p_values).sum(axis=1)
    rejected = candidates[statistics > chdtri(2 * len(table), significance)]
    return float(rejected.max(initial=0.0))


def rejected_epsilons(guesses: Sequence[Guesses], delta: float) -> Floats:
    """Returns the largest epsilon rejected at each significance (guesses, len(LEVELS) - 1).

    It is that of `one_run_fdp_epsilon`, rounded down to within PRECISION, or -1 where epsilon = 0
    is not rejected. All searches run at once, because one after the other they take too long.
    """
    levels = LEVELS[:-1]
    shape = (len(guesses), len(levels))

    def column(values: Sequence[int]) -> Floats:
        return np.repeat(np.array(values, dtype=np.float64), len(levels))

    entries = _Entries(
        correct=column([of.correct for of in guesses]),
        made=column([of.made for of in guesses]),
        canaries=column([of.canaries for of in guesses]),
        significance=np.tile(levels, len(guesses)),
    )
    low = np.where(_rejected(entries, np.zeros(entries.size), delta), 0.0, -1.0)
    high = np.where(low < 0, -1.0, 1.0)
    growing = np.flatnonzero(low >= 0)
    while len(growing):
        growing = growing[_rejected(entries.at(growing), high[growing], delta)]
        low[growing] = high[growing]
        high[growing] *= 2
    searched = np.flatnonzero(high - low > PRECISION)
    while len(searched):
        middle = (low[searched] + high[searched]) / 2
        rejected = _rejected(entries.at(searched), middle, delta)
        low[searched[rejected]] = middle[rejected]
        high[searched[~rejected]] = middle[~rejected]
        searched = np.flatnonzero(high - low > PRECISION)
    return low.reshape(shape)


class _Entries(NamedTuple):
    """Counts of guesses, each with a significance; all are (entries,), float64."""

    correct: Floats
    made: Floats
    canaries: Floats
    significance: Floats

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self.correct)

    def at(self, chosen: NDArray[np.int64]) -> "_Entries":
        """Returns the entries with these numbers."""
        return _Entries(*(values[chosen] for values in self))


def _rejected(entries: _Entries, epsilon: Floats, delta: float) -> NDArray[np.bool_]:
    """Returns whether `rejects` rejects (epsilon, delta)-DP for each entry, (entries,).

    `epsilon` is (entries,). The recursion and the names are those of `one_run.rejects`.
    """
    rejected = np.zeros(entries.size, dtype=np.bool_)
    number = np.arange(entries.size)
    correct, made, canaries, chance = entries
    growth = np.exp(epsilon)
    right, wrong, count = chance * correct, chance * (made - correct), correct
    while len(number):
        count = count - 1
        power = right / canaries
        level = np.maximum((power - delta) / growth, 1 - delta - growth * (1 - power))
        least_wrong = canaries * np.maximum(level, 0.0)
        more = np.where(count < 0, 0.0, least_wrong - wrong)
        added = more / (made - count)
        chance = chance + added
        right, wrong = right + count * added, wrong + more
        is_above = chance > 1
        rejected[number[is_above]] = True
        is_open = (more > 0) & ~is_above
        if not is_open.all():
            number, chance, growth = number[is_open], chance[is_open], growth[is_open]
            made, canaries, count = made[is_open], canaries[is_open], count[is_open]
            right, wrong = right[is_open], wrong[is_open]
    return rejected
