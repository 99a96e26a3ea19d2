import numpy as np
import pytest

from mgaudit.errors import UsageError
from mgaudit.functions.design import draw_membership, model_seeds, split_test
from mgaudit.targets.membership import fair_coins


def test_without_groups_membership_is_that_of_all_audits() -> None:
    assert np.array_equal(draw_membership(4, np.arange(30), 3), fair_coins(4, 30, 3))
    gaps = np.arange(30) * 2  # groups of which some were held out
    assert np.array_equal(draw_membership(4, gaps, 3), fair_coins(4, 30, 3))


def test_a_group_shares_its_coin_and_groups_do_not() -> None:
    groups = np.repeat(np.arange(200), 3)[np.random.default_rng(0).permutation(600)]
    membership = draw_membership(50, groups, 0)
    by_group = np.stack([membership[:, groups == group] for group in range(200)])
    assert (by_group == by_group[:, :, :1]).all()
    coins = by_group[:, :, 0]
    assert abs(coins.mean() - 0.5) < 0.02
    assert np.abs(np.corrcoef(coins)[np.triu_indices(200, 1)]).max() < 0.7


def test_the_test_split_is_a_fraction_of_the_groups() -> None:
    groups = np.repeat(np.arange(50), 4)
    audited, tests = split_test(groups, 0.2, seed=0)
    assert len(tests) == 40
    assert not set(groups[audited]) & set(groups[tests])
    assert np.array_equal(np.sort(np.r_[audited, tests]), np.arange(200))
    assert (np.diff(audited) > 0).all()
    assert not np.array_equal(tests, split_test(groups, 0.2, seed=1)[1])
    for fraction in (0.001, 0.999):
        with pytest.raises(UsageError, match="test_fraction must leave examples"):
            split_test(groups, fraction, seed=0)


def test_a_model_without_members_or_others_is_refused() -> None:
    with pytest.raises(UsageError, match="groups must give every model members and non-members"):
        draw_membership(16, np.repeat(np.arange(2), 20), 0)


def test_seeds_depend_on_the_model_alone() -> None:
    seeds = model_seeds(200, 0)
    assert seeds[:3] == model_seeds(3, 0)
    assert len(set(seeds)) == 200
    assert seeds[0] != model_seeds(1, 1)[0]
    assert all(0 <= seed < 2**31 for seed in seeds)
