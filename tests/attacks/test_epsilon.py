import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.special import betaincinv, erfcx

from mgaudit.attacks.epsilon import (
    Bonferroni,
    Rule,
    Split,
    clopper_pearson_epsilon,
    gdp_delta,
    gdp_epsilon,
    gdp_mu,
)
from tests import oracles

RULES = pytest.mark.parametrize("rule", [Split(), Bonferroni()], ids=repr)


def gaussian(
    mu: float, generator: np.random.Generator, examples: int = 2000, decimals: int = 12
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the Gaussian mechanism, rounded so that they may tie."""
    membership = np.arange(examples) % 2 == 0
    return np.round(generator.standard_normal(examples) + mu * membership, decimals), membership


def both(
    scores: np.ndarray,
    membership: np.ndarray,
    rule: Rule,
    delta: float = 0.0,
    significance: float = 0.05,
) -> tuple[float, float]:
    return (
        clopper_pearson_epsilon(
            scores, membership, delta, significance, rule, np.random.default_rng(7)
        ),
        gdp_mu(scores, membership, significance, rule, np.random.default_rng(7)),
    )


@pytest.mark.parametrize("delta", [0.0, 1e-2])
@pytest.mark.parametrize("decimals", [12, 0], ids=["distinct", "tied"])
@pytest.mark.parametrize("examples", [4, 7, 61, 400])
def test_both_rules_equal_the_slow_version(examples: int, decimals: int, delta: float) -> None:
    for seed in range(3):
        scores, membership = gaussian(1.5, np.random.default_rng(seed), examples, decimals)
        assert both(scores, membership, Bonferroni(), delta) == pytest.approx(
            oracles.bonferroni(scores, membership, delta, 0.05), abs=1e-9
        )
        epsilon, mu = (
            oracles.split(scores, membership, delta, 0.05, np.random.default_rng(7))[which]
            for which in (0, 1)
        )
        assert both(scores, membership, Split(), delta) == pytest.approx((epsilon, mu), abs=1e-9)


def test_perfect_separation_has_the_bound_of_no_error_in_n() -> None:
    # 2 x 4 thresholds (50, 12, 3 and 0 of 100), two rates each. The upper limit for no error among
    # n is 1 - level^(1/n).
    n, level = 100, 0.05 / 16
    rate = 1 - level ** (1 / n)
    scores, membership = np.arange(2.0 * n), np.arange(2 * n) >= n
    epsilon, mu = both(scores, membership, Bonferroni(), delta=1e-2)
    assert epsilon == pytest.approx(math.log((1 - rate - 1e-2) / rate))
    assert mu == pytest.approx(-2 * stats.norm.ppf(rate))


@RULES
def test_scores_of_the_wrong_sign_show_nothing(rule: Rule) -> None:
    scores, membership = gaussian(2.0, np.random.default_rng(0))
    assert min(both(scores, membership, rule)) > 1
    assert both(-scores, membership, rule) == (0.0, 0.0)
    assert both(scores, ~membership, rule) == (0.0, 0.0)


@RULES
def test_members_and_non_members_have_the_same_standing(rule: Rule) -> None:
    # What shows in non-members alone: half of them score lower than any member.
    generator = np.random.default_rng(0)
    membership = np.arange(2000) % 2 == 0
    scores = generator.random(2000) - 2.0 * (~membership & (generator.random(2000) < 0.5))
    assert min(both(scores, membership, rule)) > 1
    if isinstance(rule, Bonferroni):
        assert both(-scores, ~membership, rule) == pytest.approx(both(scores, membership, rule))


@RULES
def test_constant_scores_show_nothing(rule: Rule) -> None:
    membership = np.arange(200) < 100
    assert both(np.zeros(200), membership, rule) == (0.0, 0.0)


def test_a_tie_is_never_accepted_in_part() -> None:
    # Binary scores: TPR 0.75 and FPR 0.25, and the only threshold that tells anything lies between.
    membership = np.arange(2000) % 2 == 0
    scores = np.where(np.arange(2000) % 8 < 2, ~membership, membership).astype(float)
    truth = math.log(3)
    assert 0.7 * truth < both(scores, membership, Split())[0] < truth
    assert 0.3 * truth < both(scores, membership, Bonferroni())[0] < truth


@RULES
def test_the_order_of_the_examples_tells_nothing(rule: Rule) -> None:
    scores, membership = gaussian(0.0, np.random.default_rng(1))
    order = np.argsort(scores)
    if isinstance(rule, Bonferroni):
        assert both(scores[order], membership[order], rule) == both(scores, membership, rule)
    # Halves by even and odd places of sorted scores would be twins.
    claims = [
        clopper_pearson_epsilon(
            scores[order], membership[order], 0.0, 0.05, rule, np.random.default_rng(seed)
        )
        > 0
        for seed in range(100)
    ]
    assert np.mean(claims) <= 0.1


@RULES
def test_bounds_fall_with_delta_and_grow_with_significance(rule: Rule) -> None:
    scores, membership = gaussian(2.0, np.random.default_rng(0))
    by_delta = [
        both(scores, membership, rule, delta=delta)[0]
        for delta in (0.0, 1e-3, 1e-2, 0.1, 0.5, 0.999)
    ]
    assert by_delta == sorted(by_delta, reverse=True)
    assert by_delta[-1] == 0.0
    if isinstance(rule, Bonferroni):
        by_significance = [
            both(scores, membership, rule, significance=a) for a in (1e-6, 1e-3, 0.05, 0.49)
        ]
        assert by_significance == sorted(by_significance)


def test_the_plain_maximum_over_thresholds_claims_too_much() -> None:
    audits, members = 300, 5000
    counts = np.arange(members + 1)
    low = np.array([0.0, *betaincinv(counts[1:], members - counts[1:] + 1, 0.025)])
    high = 1 - low[::-1]
    plain, split, bonferroni = [], [], []
    generator = np.random.default_rng(0)
    for _ in range(audits):
        scores, membership = gaussian(0.0, generator, examples=2 * members)
        order = np.argsort(-scores)
        tpr, fpr = low[np.cumsum(membership[order])], high[np.cumsum(~membership[order])]
        plain.append(np.maximum(tpr / fpr, (1 - fpr) / (1 - tpr)).max() > 1)
        split.append(clopper_pearson_epsilon(scores, membership, 0.0, 0.05, Split(), generator) > 0)
        bonferroni.append(clopper_pearson_epsilon(scores, membership, 0.0, 0.05, Bonferroni()) > 0)
    tolerance = 2 * math.sqrt(0.05 * 0.95 / audits)
    assert np.mean(plain) > 0.05 + tolerance
    assert max(np.mean(split), np.mean(bonferroni)) <= 0.05 + tolerance


def test_gdp_delta_is_the_integral() -> None:
    for mu in (0.1, 0.5, 1.0, 4.0):
        for epsilon in (0.0, 0.1, 1.0, 5.0):
            assert gdp_delta(epsilon, mu) == pytest.approx(oracles.gdp_delta(epsilon, mu), abs=1e-9)
        assert gdp_delta(0.0, mu) == pytest.approx(2 * stats.norm.cdf(mu / 2) - 1)
    assert gdp_delta(1.0, 0.0) == 0.0


def test_gdp_delta_is_stable_for_large_epsilon() -> None:
    # e^epsilon Phi(-y) = exp(-x^2 / 2) erfcx(y / sqrt 2) / 2 with x, y = epsilon / mu -+ mu / 2.
    for epsilon, mu in ((30.0, 1.0), (1000.0, 30.0), (800.0, 50.0)):
        x, y = epsilon / mu - mu / 2, epsilon / mu + mu / 2
        expected = math.exp(-(x**2) / 2) * (erfcx(x / math.sqrt(2)) - erfcx(y / math.sqrt(2))) / 2
        assert gdp_delta(epsilon, mu) == pytest.approx(expected, rel=1e-8)
    assert gdp_delta(1e6, 1.0) == 0.0


def test_gdp_epsilon_inverts_gdp_delta() -> None:
    for mu in (1e-3, 0.5, 1.0, 4.0, 30.0):
        for delta in (1e-9, 1e-5, 1e-2):
            epsilon = gdp_epsilon(mu, delta)
            if epsilon:
                assert gdp_delta(epsilon, mu) == pytest.approx(delta, rel=1e-6)
            else:
                assert gdp_delta(0.0, mu) <= delta
    by_mu = [gdp_epsilon(mu, 1e-5) for mu in (0.0, 1e-9, 0.1, 1.0, 10.0)]
    assert by_mu[:2] == [0.0, 0.0]
    assert by_mu == sorted(by_mu)
    assert gdp_epsilon(1.0, 0.0) == math.inf
    assert gdp_epsilon(0.0, 0.0) == 0.0


BOUNDS: list[Callable[..., float]] = [
    lambda scores, membership, significance=0.05: clopper_pearson_epsilon(
        scores, membership, 0.0, significance, Bonferroni()
    ),
    lambda scores, membership, significance=0.05: gdp_mu(
        scores, membership, significance, Bonferroni()
    ),
]


@pytest.mark.parametrize("bound", BOUNDS, ids=["clopper_pearson_epsilon", "gdp_mu"])
def test_arguments_that_make_no_sense_are_named(bound: Callable[..., float]) -> None:
    scores, membership = np.array([1.0, 2.0, 3.0]), np.array([False, True, True])
    for significance in (0.0, 0.5, -0.1, math.nan):
        with pytest.raises(
            ValueError, match=f"significance must be > 0 and < 0.5, got {significance}"
        ):
            bound(scores, membership, significance)
    for bad in (math.nan, math.inf):
        with pytest.raises(
            ValueError, match="scores must be finite, got NaN or infinity for example 1"
        ):
            bound(np.array([1.0, bad, 3.0]), membership)
    with pytest.raises(ValueError, match=r"two vectors of one length, got \(3,\) and \(2,\)"):
        bound(scores, membership[:2])
    with pytest.raises(ValueError, match=r"two vectors of one length, got \(1, 3\)"):
        bound(scores[np.newaxis], membership[np.newaxis])
    for same, count in ((np.zeros(3, bool), 0), (np.ones(3, bool), 3)):
        with pytest.raises(
            ValueError, match=f"membership must hold members and non-members, got {count} of 3"
        ):
            bound(scores, same)


def test_a_delta_that_makes_no_sense_is_named() -> None:
    scores, membership = np.array([1.0, 2.0]), np.array([False, True])
    for delta in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match=f"delta must be >= 0 and < 1, got {delta}"):
            clopper_pearson_epsilon(scores, membership, delta, 0.05, Bonferroni())
        with pytest.raises(ValueError, match=f"delta must be >= 0 and < 1, got {delta}"):
            gdp_epsilon(1.0, delta)


def test_a_mu_or_epsilon_that_makes_no_sense_is_named() -> None:
    for mu in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"mu must be >= 0 and finite, got {mu}"):
            gdp_epsilon(mu, 1e-5)
        with pytest.raises(ValueError, match=f"mu must be >= 0 and finite, got {mu}"):
            gdp_delta(1.0, mu)
    with pytest.raises(ValueError, match=r"epsilon must be >= 0, got -0\.1"):
        gdp_delta(-0.1, 1.0)


def test_split_says_what_it_lacks() -> None:
    scores, membership = np.arange(4.0), np.array([False, True, True, True])
    with pytest.raises(
        ValueError, match="generator must be given for Split, which draws its halves, got None"
    ):
        clopper_pearson_epsilon(scores, membership, 0.0, 0.05, Split())
    with pytest.raises(
        ValueError, match="membership must hold 2 members and 2 non-members for Split, got 3 and 1"
    ):
        clopper_pearson_epsilon(scores, membership, 0.0, 0.05, Split(), np.random.default_rng(0))


def test_the_bound_of_tensorflow_privacy_from_perfect_guesses() -> None:
    # 500 true positives and 500 true negatives at a significance of 0.01, half for each rate.
    class OneThreshold(Rule):
        """Uses a threshold that is fixed beforehand."""

        def largest(self, bound, members, others, significance, generator):  # type: ignore[no-untyped-def]
            low = stats.beta.ppf(
                significance / 2, (members > 0.5).sum(), (members <= 0.5).sum() + 1
            )
            above = (others > 0.5).sum()
            high = stats.beta.ppf(1 - significance / 2, above + 1, len(others) - above)
            return float(bound(np.array([low]), np.array([high]))[0])

    membership = np.arange(1000) < 500
    scores = membership.astype(float)
    epsilon = clopper_pearson_epsilon(scores, membership, 0.0, 0.01, OneThreshold())
    assert epsilon == pytest.approx(4.54, abs=5e-3)
