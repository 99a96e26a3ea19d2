import numpy as np
from scipy import stats

from mgaudit.targets.membership import fair_coins


def test_coins_are_fair_and_independent_across_models_and_examples() -> None:
    coins = fair_coins(200, 500, seed=0)
    assert stats.binomtest(int(coins.sum()), coins.size).pvalue > 1e-3
    # Independent coins spread: with "exactly half" of the models (or examples) these variances
    # would be 0.
    for axis, trials in ((0, 200), (1, 500)):
        counts = coins.sum(axis=axis)
        statistic = ((counts - trials / 2) ** 2).sum() / (trials / 4)
        assert 1e-3 < stats.chi2.cdf(statistic, len(counts)) < 1 - 1e-3


def test_a_models_own_coin_cannot_be_told_from_the_others() -> None:
    coins = fair_coins(16, 20_000, seed=1)
    others = coins[1:].sum(axis=0)
    assert abs(stats.pearsonr(coins[0], others).statistic) < 0.03


def test_a_larger_ensemble_extends_a_smaller_one_and_a_seed_changes_it() -> None:
    assert np.array_equal(fair_coins(3, 50, seed=0), fair_coins(8, 50, seed=0)[:3])
    assert not np.array_equal(fair_coins(3, 50, seed=0), fair_coins(3, 50, seed=1))
