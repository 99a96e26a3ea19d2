import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgaudit.attacks import LiRA, score_every_target
from mgaudit.attacks.combined_runs import combined_epsilons, fisher_epsilons
from mgaudit.attacks.disjoint_shadows import Side, scores_with_disjoint_shadows, sides_of
from mgaudit.attacks.one_run import Guesses, one_run_fdp_epsilon
from mgaudit.study.epsilon_bound import (
    SHARES,
    epsilon_bound,
    guessed,
    guesses_a_side,
    median_epsilon,
)
from mgaudit.testing import observations_of

SOURCE = Path(__file__).parents[2] / "benchmarks" / "epsilon_validity.py"
SPEC = importlib.util.spec_from_file_location("epsilon_validity", SOURCE)
assert SPEC is not None
assert SPEC.loader is not None
epsilon_validity: Any = importlib.util.module_from_spec(SPEC)
sys.modules["epsilon_validity"] = epsilon_validity  # where dataclasses look their module up
SPEC.loader.exec_module(epsilon_validity)
MECHANISMS: list[Any] = epsilon_validity.MECHANISMS

TARGETS = [0, 1, 2, 4, 5, 7]  # model 3 diverged, and model 6 is only a shadow
EVEN = Side((0, 2, 4), (1, 5, 7))
ODD = Side((1, 5, 7), (0, 2, 4, 6))


def leaking(leaks: dict[int, float], examples: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Scores and membership of TARGETS; a target not in `leaks` leaks nothing."""
    generator = np.random.default_rng(0)
    membership = generator.random((len(TARGETS), examples)) < 0.5
    scores = generator.standard_normal(membership.shape)
    for row, target in enumerate(TARGETS):
        scores[row] += leaks.get(target, 0.0) * membership[row]
    return scores, membership


def bound_of(leaks: dict[int, float], sides: list[Side], delta: float = 1e-3) -> tuple[float, Any]:
    return epsilon_bound(*leaking(leaks), TARGETS, sides, delta, seed=0)


@pytest.mark.parametrize("delta", [1e-5, 1e-3])
def test_the_bound_is_the_largest_over_halves_and_shares(delta: float) -> None:
    scores, membership = leaking({1: 3.0, 5: 3.0, 7: 3.0, 0: 1.0})
    bound, proof = epsilon_bound(scores, membership, TARGETS, [EVEN, ODD], delta, seed=0)
    expected = []
    for share in SHARES:
        guesses = guessed(scores, membership, 0, guesses_a_side(share, 1000))
        for rows in ([0, 2, 3], [1, 4, 5]):
            runs = [guesses[row] for row in rows]
            expected += combined_epsilons([runs], delta, 0.05 / 8)
    assert bound == max(expected) > 0
    assert (proof.targets, proof.shadows) == ([1, 5, 7], [0, 2, 4, 6])
    assert proof.significance == 0.05 / 8
    # What it states proves it again.
    runs = [Guesses(correct, proof.guesses, 1000) for correct in proof.correct]
    assert combined_epsilons([runs], delta, proof.significance) == [bound]
    assert proof.combination == ("one run" if delta == 1e-5 else "Fisher")


def test_a_leak_of_the_other_half_is_found_as_well() -> None:
    for leaking_half, side in ((ODD, ODD), (EVEN, EVEN)):
        leaks = dict.fromkeys(leaking_half.targets, 3.0)
        bound, proof = bound_of(leaks, [EVEN, ODD])
        assert bound > 1
        assert proof.targets == list(side.targets)


def test_one_side_has_the_whole_significance() -> None:
    everything = Side(tuple(TARGETS), ())
    leaks = dict.fromkeys(TARGETS, 2.0)
    bound, proof = bound_of(leaks, [everything])
    assert proof.significance == 0.05 / 4
    assert proof.targets == TARGETS
    assert bound > bound_of(leaks, [EVEN, ODD])[0]


def test_all_targets_prove_more_than_their_median() -> None:
    leaks = dict.fromkeys(TARGETS, 2.0)
    median, proof = bound_of(leaks, [])
    assert proof.combination == "median"
    assert "median" in proof.rule
    scores, membership = leaking(leaks)
    assert median == median_epsilon(guessed(scores, membership, 0), 1e-3)
    assert bound_of(leaks, [EVEN, ODD])[0] > median + 0.3


def test_the_median_of_the_targets_bounds_is_taken() -> None:
    guesses = [Guesses(correct, 100, 1000) for correct in (50, 98, 100, 100, 99)]
    alone = [median_epsilon([of_target], 1e-5) for of_target in guesses]
    assert alone[1] == one_run_fdp_epsilon(guesses[1], 1e-5, 0.025)
    assert alone[0] == 0 < alone[1] < alone[4] < alone[2] == alone[3]
    assert median_epsilon(guesses, 1e-5) == alone[4]
    assert median_epsilon(guesses[1:], 1e-5) == alone[4]  # of an even number the lower one


def test_a_single_target_is_one_run_at_the_whole_significance() -> None:
    scores, membership = leaking({0: 3.0})
    bound, proof = epsilon_bound(scores[:1], membership[:1], [5], [], 1e-3, seed=0)
    expected = [
        one_run_fdp_epsilon(
            guessed(scores[:1], membership[:1], 0, guesses_a_side(share, 1000))[0], 1e-3, 0.05 / 4
        )
        for share in SHARES
    ]
    assert bound == max(expected) > 0
    assert (proof.combination, proof.targets) == ("one run", [5])


def test_guesses_that_are_all_right_prove_what_is_provable() -> None:
    membership = leaking({})[1]
    for sides in ([EVEN, ODD], [Side(tuple(TARGETS), ())], []):
        for delta in (1e-5, 1e-3):
            right, proof = epsilon_bound(
                membership.astype(float), membership, TARGETS, sides, delta, 0
            )
            assert right == proof.provable > 2
            assert proof.correct == [proof.guesses] * len(proof.targets)
            wrong, other = epsilon_bound(
                -membership.astype(float), membership, TARGETS, sides, delta, 0
            )
            assert (wrong, other.provable) == (0.0, proof.provable)
    # Fewer guesses than shares: each number of guesses counts once.
    few, proof = epsilon_bound(
        membership[:, :40].astype(float), membership[:, :40], TARGETS, [EVEN, ODD], 1e-3, 0
    )
    assert proof.significance == 0.05 / (2 * 3)  # 1, 2 and 4 on a side
    assert few == proof.provable


def test_the_rule_says_which_bound_it_is() -> None:
    rules = {
        "halves": bound_of({}, [EVEN, ODD])[1].rule,
        "separate": bound_of({}, [Side(tuple(TARGETS), (3, 6))])[1].rule,
        "without": bound_of({}, [Side(tuple(TARGETS), ())])[1].rule,
        "pooled": bound_of({}, [EVEN, ODD], delta=1e-6)[1].rule,
    }
    assert "other half" in rules["halves"]
    assert "2.5 %" in rules["halves"]
    assert "no targets" in rules["separate"]
    assert "no shadow models" in rules["without"]
    assert rules["halves"].startswith("Fisher")
    assert rules["pooled"].startswith("one run")
    assert all("20, 40, 100 and 200 guesses" in rule for rule in rules.values())


def tolerated(audits: int) -> float:
    return float(0.05 + 3 * np.sqrt(0.05 * 0.95 / audits))


@pytest.mark.parametrize(
    ("name", "attack", "delta"),
    [
        ("noise", "LiRA", 0.0),
        ("noise", "Agreement", 0.0),
        ("noise", "Agreement", 1e-3),
        ("randomised response, ε = 1", "LossThreshold", 0.0),
        ("Gaussian, μ = 1", "LiRA", 1e-2),
        ("subsampled Gaussian, μ = 3, 10 %", "LiRA", 1e-4),
    ],
)
def test_the_bound_is_valid(name: str, attack: str, delta: float) -> None:
    """A small part of benchmarks/epsilon_validity.py; the whole is in docs/validation.md."""
    (mechanism,) = [
        of for of in MECHANISMS if of.name == name and type(of.attack).__name__ == attack
    ]
    validity = epsilon_validity.validity(mechanism, delta, audits=100, examples=200)
    assert validity.exceeds <= tolerated(100)


def test_shadows_of_the_same_half_would_be_noticed() -> None:
    (mechanism,) = [
        of for of in MECHANISMS if of.pretend and type(of.attack).__name__ == "Agreement"
    ]
    for delta in (0.0, 1e-3):
        validity = epsilon_validity.validity(mechanism, delta, audits=100, examples=400)
        assert validity.exceeds > (tolerated(100) if delta == 0 else 0.05)


def test_the_combination_of_p_values_uses_its_significance() -> None:
    # Without a leak, the share of bounds above 0 is not above the significance. It is below it,
    # because the p-value of a run with half of its guesses right is 1.
    generator = np.random.default_rng(0)
    counts = generator.binomial(200, 0.5, (1500, 8))
    runs = [[Guesses(int(correct), 200, 200) for correct in audit] for audit in counts]
    shares = [
        np.mean([bound > 0 for bound in fisher_epsilons(runs, 0.0, significance)])
        for significance in (0.05, 0.45)
    ]
    assert 0 < shares[0] <= tolerated(1500) < shares[1] <= 0.45


def test_the_epsilon_of_a_subsampled_gaussian_is_that_of_its_likelihoods() -> None:
    x = np.linspace(-12, 16, 400_001)
    step = x[1] - x[0]
    without = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    for mu, share in ((1.0, 1.0), (3.0, 0.1)):
        other = np.exp(-((x - mu) ** 2) / 2) / np.sqrt(2 * np.pi)
        with_it = (1 - share) * without + share * other
        for delta in (1e-4, 1e-2):
            epsilon = epsilon_validity.gaussian_epsilon(mu, share)(delta)
            deltas = [
                np.maximum(p - np.exp(epsilon) * q, 0).sum() * step
                for p, q in ((with_it, without), (without, with_it))
            ]
            assert max(deltas) == pytest.approx(delta, rel=1e-3)


def test_dependence_through_shadows_is_what_halves_remove() -> None:
    # Correct guesses about two targets are uncorrelated, given the shadows of the other half.
    generator = np.random.default_rng(0)
    attack = epsilon_validity.Agreement()
    sides = sides_of(attack, [0, 1, 2, 3], [0, 1, 2, 3])
    membership = generator.random((4, 4000)) < 0.5
    observations = observations_of(generator.standard_normal((4, 4000)), membership)

    def correlation(scores: np.ndarray) -> float:
        right = (scores > 0) == membership
        return float(np.corrcoef(right[0], right[2])[0, 1])

    usual = score_every_target(attack, observations)
    apart = scores_with_disjoint_shadows(attack, observations, None, sides, [0, 1, 2, 3])
    assert correlation(usual) > 0.99
    assert abs(correlation(apart)) < 4 / np.sqrt(4000)
    assert sides == sides_of(LiRA(), [0, 1, 2, 3], [0, 1, 2, 3])
