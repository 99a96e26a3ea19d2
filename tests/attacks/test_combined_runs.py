import math

import numpy as np
import pytest
from scipy import stats

from mgaudit.attacks.combined_runs import (
    LEVELS,
    PRECISION,
    combination_for,
    combined_epsilons,
    fisher_epsilons,
    pooled,
    rejected_epsilons,
)
from mgaudit.attacks.one_run import Guesses, one_run_epsilon, one_run_fdp_epsilon, rejects

COUNTS = [(1, 1, 1), (0, 10, 20), (9, 10, 10), (17, 20, 60), (55, 100, 1000), (90, 100, 1000)]
ROUNDING = LEVELS[1] / LEVELS[0]


def rejects_epsilon(guesses: Guesses, epsilon: float, delta: float, significance: float) -> bool:
    growth = math.exp(epsilon)

    def level_of(power: float) -> float:
        return max(0.0, (power - delta) / growth, 1 - delta - growth * (1 - power))

    return rejects(guesses, level_of, significance)


def p_value(guesses: Guesses, epsilon: float, delta: float) -> float:
    """The least significance at which one run rejects epsilon, by search."""
    low, high = 0.0, 1.0
    while high - low > 1e-7:
        middle = (low + high) / 2
        if rejects_epsilon(guesses, epsilon, delta, middle):
            high = middle
        else:
            low = middle
    return high


def fisher(runs: list[Guesses], epsilon: float, delta: float) -> float:
    """The p-value of Fisher's combination."""
    p_values = [p_value(guesses, epsilon, delta) for guesses in runs]
    return float(stats.combine_pvalues(p_values, "fisher").pvalue)


@pytest.mark.parametrize("delta", [0.0, 1e-3, 1e-2])
def test_searches_at_once_find_the_bounds_of_one_run(delta: float) -> None:
    guesses = [Guesses(*counts) for counts in COUNTS]
    table = rejected_epsilons(guesses, delta)
    assert table.shape == (len(COUNTS), len(LEVELS) - 1)
    assert (np.diff(table) >= 0).all()
    for of, row in zip(guesses, table, strict=True):
        for level, epsilon in list(zip(LEVELS[:-1], row, strict=True))[::6]:
            if level < 0.5:
                exact = one_run_fdp_epsilon(of, delta, float(level))
                assert exact - PRECISION - 1e-8 <= max(epsilon, 0.0) <= exact + 1e-8
            assert (epsilon == -1) == (not rejects_epsilon(of, 0.0, delta, float(level)))


def test_guesses_of_different_numbers_are_searched_as_if_alone() -> None:
    guesses = [Guesses(*counts) for counts in COUNTS]
    together = rejected_epsilons(guesses, 1e-3)
    alone = [rejected_epsilons([of], 1e-3)[0] for of in guesses]
    assert np.array_equal(together, np.stack(alone))


@pytest.mark.parametrize("delta", [1e-3, 1e-2])
@pytest.mark.parametrize("correct", [(90, 80, 85, 95), (60, 90, 50, 90), (57, 60, 63, 55)], ids=str)
def test_fisher_is_the_combination_of_p_values(correct: tuple[int, ...], delta: float) -> None:
    runs = [Guesses(of_run, 100, 1000) for of_run in correct]
    (bound,) = fisher_epsilons([runs], delta, 0.025)
    if bound == 0:
        assert fisher(runs, 0.0, delta) > 0.025 / ROUNDING ** len(runs)
        return
    # It is rejected, and a little more is not, but for the rounding of levels and epsilons.
    assert fisher(runs, bound, delta) < 0.025
    p_values = [p_value(guesses, bound + 2 * PRECISION, delta) for guesses in runs]
    rounded = [min(p * ROUNDING, 1.0) for p in p_values]
    assert stats.combine_pvalues(rounded, "fisher").pvalue > 0.025


def test_fisher_of_one_run_is_the_bound_of_this_run() -> None:
    for delta in (1e-5, 1e-3):
        (bound,) = fisher_epsilons([[Guesses(90, 100, 1000)]], delta, 0.025)
        assert bound <= one_run_fdp_epsilon(Guesses(90, 100, 1000), delta, 0.025)
        lower = 0.025 / ROUNDING
        assert bound > one_run_fdp_epsilon(Guesses(90, 100, 1000), delta, lower) - 2 * PRECISION


def test_runs_that_prove_nothing_alone_prove_something_together() -> None:
    guesses = Guesses(60, 100, 1000)
    assert one_run_fdp_epsilon(guesses, 1e-3, 0.025) == 0
    bounds = [fisher_epsilons([[guesses] * runs], 1e-3, 0.025)[0] for runs in (1, 4, 8, 16, 32)]
    assert bounds[0] == 0 < bounds[-1] < math.log(0.6 / 0.4)
    assert bounds == sorted(bounds)
    # Those with as many wrong guesses prove nothing, however many they are.
    assert fisher_epsilons([[Guesses(40, 100, 1000)] * 32], 1e-3, 0.025) == [0.0]


def test_a_run_without_leak_weakens_the_bound_but_does_not_hide_the_others() -> None:
    strong, nothing = Guesses(95, 100, 1000), Guesses(50, 100, 1000)
    alone, mixed, diluted = fisher_epsilons(
        [[strong] * 4, [strong] * 4 + [nothing], [strong] * 4 + [nothing] * 4], 1e-3, 0.025
    )
    assert 0 < diluted < mixed < alone


def test_one_run_has_the_canaries_of_all_runs() -> None:
    runs = [Guesses(8, 10, 100), Guesses(9, 12, 100), Guesses(4, 10, 100)]
    assert pooled(runs) == Guesses(21, 32, 300)
    delta = 1 / (2 * 300 * 10)
    assert combined_epsilons([runs], delta, 0.05) == [
        one_run_fdp_epsilon(Guesses(21, 32, 300), delta, 0.05)
    ]


def test_the_combination_is_chosen_by_the_expected_failures() -> None:
    # 2 * targets * canaries * delta = 1 is the last at which all canaries are those of one run.
    assert combination_for(8, 1000, 1 / 16_000) == "one run"
    assert combination_for(8, 1000, 1.001 / 16_000) == "Fisher"
    assert combination_for(9, 1000, 1 / 16_000) == "Fisher"
    assert combination_for(8, 1001, 1 / 16_000) == "Fisher"
    assert combination_for(1, 1000, 0.1) == "one run"
    assert combination_for(100, 10**6, 0.0) == "one run"


def test_each_sequence_has_its_own_combination_and_place() -> None:
    one, other = [Guesses(90, 100, 1000)], [Guesses(80, 100, 1000)] * 4
    bounds = combined_epsilons([other, one, other[:1]], 1e-3, 0.025)
    assert bounds == [
        fisher_epsilons([other], 1e-3, 0.025)[0],
        one_run_fdp_epsilon(one[0], 1e-3, 0.025),
        one_run_fdp_epsilon(other[0], 1e-3, 0.025),
    ]


def test_without_delta_one_run_of_all_is_the_binomial_bound() -> None:
    runs = [Guesses(70, 100, 100)] * 5
    (bound,) = combined_epsilons([runs], 0.0, 0.05)
    q = stats.beta.ppf(0.05, 350, 151)
    assert bound == pytest.approx(math.log(q / (1 - q)), abs=0.01)
    assert one_run_epsilon(pooled(runs), 0.0, 0.05) == pytest.approx(math.log(q / (1 - q)))


def test_arguments_that_make_no_sense_are_named() -> None:
    runs = [[Guesses(1, 2, 3)]]
    assert fisher_epsilons([], 1e-3, 0.05) == []
    with pytest.raises(ValueError, match=r"delta must be >= 0 and < 1, got 1"):
        combined_epsilons(runs, 1.0, 0.05)
    with pytest.raises(ValueError, match=r"significance must be > 0 and < 0\.5, got 0\.5"):
        combined_epsilons(runs, 0.0, 0.5)
    with pytest.raises(ValueError, match=r"runs must have one run or more in each sequence"):
        combined_epsilons([*runs, []], 0.0, 0.05)
