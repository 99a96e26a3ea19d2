import numpy as np
import pytest
from scipy import stats

from mgaudit.attacks.false_discoveries import (
    benjamini_hochberg,
    false_discovery_proportion,
    oracle_list,
    share_of_nulls,
)


@pytest.mark.parametrize("level", [0.05, 0.1, 0.2])
def test_benjamini_and_hochberg_reject_what_scipy_rejects(level: float) -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        p_values = np.round(generator.random(int(generator.integers(1, 30))) ** 3, 2)
        adjusted = stats.false_discovery_control(p_values, method="bh")
        expected = adjusted <= level + 1e-12
        rejected = benjamini_hochberg(p_values, level + 1e-12)
        assert rejected.tolist() == expected.tolist()


def test_a_p_value_at_its_limit_is_rejected_and_one_above_is_not() -> None:
    assert benjamini_hochberg(np.array([0.05, 0.9]), 0.1).tolist() == [True, False]
    assert benjamini_hochberg(np.array([0.0501, 0.9]), 0.1).tolist() == [False, False]
    # The second smallest passes, so the smallest is rejected too although it does not pass alone.
    assert benjamini_hochberg(np.array([0.06, 0.08]), 0.1).tolist() == [True, True]


def test_storeys_estimate_is_one_for_uniform_p_values_and_the_share_where_others_are_small() -> (
    None
):
    generator = np.random.default_rng(1)
    uniform = generator.random(20_000)
    assert share_of_nulls(uniform, least=0.5) == pytest.approx(1.0, abs=0.05)
    uniform[:8_000] = 1e-3
    assert share_of_nulls(uniform, least=0.5) == pytest.approx(0.6, abs=0.03)
    assert share_of_nulls(uniform, least=0.7) == 0.7
    assert share_of_nulls(np.ones(5), least=0.5) == 1.0


def test_the_false_discovery_proportion_of_an_empty_list_is_zero() -> None:
    membership = np.array([True, False, True, False])
    assert false_discovery_proportion(np.zeros(4, dtype=bool), membership) == 0.0
    assert false_discovery_proportion(np.array([True, True, True, False]), membership) == 1 / 3


def test_the_oracles_list_is_the_longest_of_a_plain_loop() -> None:
    generator = np.random.default_rng(2)
    for _ in range(100):
        examples = int(generator.integers(4, 40))
        membership = np.arange(examples) % 2 == 0
        scores = np.round(generator.standard_normal(examples) + 2 * membership, 1)
        longest = 0
        for threshold in scores:
            accepted = scores >= threshold
            if (accepted & ~membership).sum() <= 0.1 * accepted.sum() + 1e-9:
                longest = max(longest, int(accepted.sum()))
        assert oracle_list(scores, membership, 0.1) == longest


def test_one_non_member_in_ten_is_allowed_in_the_oracles_list() -> None:
    membership = np.array([True] * 9 + [False] * 2)
    assert oracle_list(-np.arange(11.0), membership, 0.1) == 10
