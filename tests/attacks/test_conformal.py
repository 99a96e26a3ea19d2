import numpy as np
import pytest
from scipy import stats

from mgaudit.attacks.conformal import comparable_scores, conformal_p_values


def test_p_values_are_those_of_a_plain_loop_ties_against_the_record() -> None:
    generator = np.random.default_rng(0)
    scores = np.round(generator.standard_normal(60), 1)
    nulls = np.round(generator.standard_normal(41), 1)
    p_values = conformal_p_values(scores, nulls)
    for score, p_value in zip(scores, p_values, strict=True):
        as_high = sum(1 for null in nulls if null >= score)
        assert p_value == (1 + as_high) / 42
    assert set(scores) & set(nulls)  # there are ties


def test_p_values_of_exchangeable_scores_are_uniform_and_never_too_small() -> None:
    generator = np.random.default_rng(1)
    p_values = []
    for _ in range(4000):
        drawn = generator.standard_normal(20)
        p_values.append(float(conformal_p_values(drawn[:1], drawn[1:])[0]))
    for limit in (0.05, 0.1, 0.25, 0.5, 1.0):
        share = np.mean(np.array(p_values) <= limit + 1e-12)
        assert share == pytest.approx(limit, abs=4 * np.sqrt(limit * (1 - limit) / 4000) + 1e-12)


def test_all_scores_equal_give_a_p_value_of_one() -> None:
    assert conformal_p_values(np.zeros(3), np.zeros(5)).tolist() == [1.0, 1.0, 1.0]


def test_comparable_scores_are_standardised_normal_scores() -> None:
    scores = np.round(np.random.default_rng(2).standard_normal((3, 50)), 1)
    ranks = stats.rankdata(scores).reshape(scores.shape)
    normal = stats.norm.ppf(ranks / 151)
    comparable = comparable_scores(scores)
    for row, expected in zip(comparable, normal, strict=True):
        low, centre, high = np.quantile(expected, [0.1, 0.25, 0.5])
        np.testing.assert_allclose(row, (expected - centre) / (high - low), rtol=1e-12, atol=1e-12)


def test_comparable_scores_do_not_depend_on_the_scale_on_which_the_attack_scores() -> None:
    scores = np.random.default_rng(3).standard_normal((4, 30))
    expected = comparable_scores(scores)
    np.testing.assert_allclose(comparable_scores(np.exp(scores)), expected, atol=1e-12)
    np.testing.assert_allclose(comparable_scores(-np.logaddexp(0, -scores)), expected, atol=1e-12)


def test_models_with_another_location_and_scale_become_alike() -> None:
    scores = np.random.default_rng(4).standard_normal((2, 4000))
    scores[1] = scores[1] * 1.5 + 1.0
    comparable = comparable_scores(scores)
    assert stats.ks_2samp(scores[0], scores[1]).pvalue < 1e-20
    assert np.quantile(comparable[0], 0.9) == pytest.approx(
        np.quantile(comparable[1], 0.9), abs=0.2
    )


def test_models_whose_scores_are_tied_are_only_centred() -> None:
    scores = np.array([[0.0] * 8 + [1.0, 2.0], [0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9]])
    comparable = comparable_scores(scores)
    assert np.isfinite(comparable).all()
    assert comparable[0, 0] == 0.0
    normal = stats.norm.ppf(stats.rankdata(scores).reshape(2, 10) / 21)
    np.testing.assert_allclose(np.diff(comparable[1]), np.diff(normal[1]))
