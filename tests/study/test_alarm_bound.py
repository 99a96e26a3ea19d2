"""The bound that is compared with a claim is corrected for all claims of a result."""

from functools import cache

import numpy as np
import pytest

from mgaudit.attacks.combined_runs import combined_epsilons
from mgaudit.attacks.disjoint_shadows import Side
from mgaudit.attacks.one_run import one_run_fdp_epsilon
from mgaudit.reports.results import Result
from mgaudit.settings.grid import grid_settings
from mgaudit.study.comparison import plan_comparison, run_comparison
from mgaudit.study.epsilon_bound import (
    SHARES,
    alarm_bound,
    epsilon_bound,
    guessed,
    guesses_a_side,
    median_epsilon,
)
from mgaudit.study.plan import Plan
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study

TARGETS = [0, 1, 2, 3]
SIDES = {
    "halves": [Side((0, 2), (1, 3)), Side((1, 3), (0, 2))],
    "one side": [Side((0, 1, 2, 3), ())],
    "median": [],
}


@cache
def leaking() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    membership = generator.random((4, 400)) < 0.5
    return generator.standard_normal(membership.shape) + 3.0 * membership, membership


@pytest.mark.parametrize("sides", SIDES.values(), ids=SIDES)
def test_the_bound_for_one_claim_is_the_shown_one_and_more_claims_lower_it(
    sides: list[Side],
) -> None:
    run = *leaking(), TARGETS, sides, 1e-6, 0
    shown, _ = epsilon_bound(*run)
    bounds = [alarm_bound(*run, claims) for claims in (1, 2, 20)]
    assert bounds[0].epsilon == shown
    assert shown > bounds[1].epsilon > bounds[2].epsilon > 0
    assert [bound.significance for bound in bounds] == [0.05, 0.025, 0.0025]
    assert [bound.claims for bound in bounds] == [1, 2, 20]


@pytest.mark.parametrize("delta", [1e-6, 1e-3])  # one run, and Fisher's combination
def test_the_significance_is_divided_among_claims_halves_and_shares(delta: float) -> None:
    scores, membership = leaking()
    expected = []
    for share in SHARES:
        guesses = guessed(scores, membership, 0, guesses_a_side(share, 400))
        runs = [[guesses[0], guesses[2]], [guesses[1], guesses[3]]]
        expected += combined_epsilons(runs, delta, 0.05 / 3 / 8)
    bound = alarm_bound(scores, membership, TARGETS, SIDES["halves"], delta, 0, claims=3)
    assert bound.epsilon == max(expected) > 0


def test_each_target_of_a_median_has_half_of_the_divided_significance() -> None:
    scores, membership = leaking()
    guesses = guessed(scores, membership, 0)
    alone = [one_run_fdp_epsilon(of_target, 1e-6, 0.05 / 3 / 2) for of_target in guesses]
    median = alarm_bound(scores, membership, TARGETS, [], 1e-6, 0, claims=3)
    assert median.epsilon == sorted(alone)[1] > 0
    assert median.epsilon == median_epsilon(guesses, 1e-6, 0.05 / 3)


def test_a_result_of_true_claims_has_an_alarm_with_at_most_5_percent_probability() -> None:
    # Each score is the coin, flipped with probability 1 / (1 + e): the claim ε = 1 is exact.
    generator = np.random.default_rng(0)
    results, claims = 60, 12
    alarms = {1: 0, claims: 0}
    for _ in range(results):
        raised = dict.fromkeys(alarms, False)
        for arm in range(claims):
            membership = generator.random((1, 600)) < 0.5
            flipped = generator.random((1, 600)) < 1 / (1 + np.e)
            scores = (membership ^ flipped).astype(float)
            for corrected in alarms:
                bound = alarm_bound(scores, membership, [0], [], 0.0, arm, corrected)
                raised[corrected] |= bound.epsilon > 1
        for corrected, is_raised in raised.items():
            alarms[corrected] += is_raised
    assert alarms[claims] <= results * 0.05 + 3 * np.sqrt(results * 0.05 * 0.95)
    assert alarms[1] > alarms[claims]


def small_comparison() -> tuple[Result, list[Plan]]:
    values = {
        "targets": ["mlp:hidden=8"],
        "seeds": [0, 1],
        "models": 3,
        "examples": 60,
        "stack": 1,
        "schemes": ["none", "dp-sgd:noise_multiplier=1", "dp-sgd:noise_multiplier=0"],
        "attacks": ["loss", "lira"],
        "training": {"epochs": 1, "batch_size": 16},
    }
    plan = plan_comparison(grid_settings(values))
    return run_comparison(plan, 1, Progress())[0], plan.cells


def test_the_finite_claims_of_all_studies_are_counted_and_only_the_first_attack_is_compared() -> (
    None
):
    result, cells = small_comparison()
    assert [cell.claims for cell in cells] == [1, 1]  # without noise, no finite ε is claimed
    for study in result.studies:
        plain, private, noiseless = study.arms
        for arm in (plain, noiseless):
            assert {attack.alarm_bound for attack in arm.attacks} == {None}
        first, *others = private.attacks
        assert first.alarm_bound is not None
        assert (first.alarm_bound.claims, first.alarm_bound.significance) == (2, 0.025)
        assert {attack.alarm_bound for attack in others} == {None}
        assert len(others) > 1
    alone, _ = run_study(cells[0], 1, Progress())
    bound = alone.arms[1].attacks[0].alarm_bound
    assert bound is not None
    assert bound.claims == 1
    assert bound.epsilon == alone.arms[1].attacks[0].epsilon_lower_bound
