"""An attack pooled over targets: counted by hand, levels, and what the intervals cover."""

import numpy as np
import pytest

from mgaudit.attacks.pooled import FEWEST, lowest_level, pooled


def drawn(targets: int, examples: int, shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores and membership; some targets and some examples are exposed more."""
    generator = np.random.default_rng(seed)
    membership = generator.random((targets, examples)) < 0.5
    of_target = 1 + 0.3 * generator.standard_normal((targets, 1))
    of_example = 1 + 0.3 * generator.standard_normal(examples)
    scores = generator.standard_normal((targets, examples))
    return scores + shift * of_target * of_example * membership, membership


def slow_auc(scores: np.ndarray, membership: np.ndarray) -> float:
    inside, outside = scores[membership], scores[~membership]
    wins = (inside[:, np.newaxis] > outside).mean()
    return float(wins + (inside[:, np.newaxis] == outside).mean() / 2)


def slow_tpr(scores: np.ndarray, membership: np.ndarray, level: float) -> float:
    rates = [0.0]
    for threshold in np.unique(scores):
        accepted = scores >= threshold
        if accepted[~membership].mean() <= level:
            rates.append(float(accepted[membership].mean()))
    return max(rates)


@pytest.mark.parametrize("decimals", [1, 6])  # with and without ties
def test_rates_are_over_pairs_of_all_targets_with_one_threshold(decimals: int) -> None:
    scores, membership = drawn(6, 40, 1.0, seed=1)
    scores = np.round(scores, decimals)
    scores[0] += 3.0  # a target whose scores are all higher
    numbers = pooled(scores, membership, 0.1, np.random.default_rng(0))
    assert numbers.auc is not None
    assert numbers.tpr is not None
    assert numbers.auc.value == pytest.approx(slow_auc(scores, membership), abs=1e-12)
    assert numbers.tpr.value == pytest.approx(slow_tpr(scores, membership, 0.1), abs=1e-12)
    assert numbers.non_members == (~membership).sum()
    own = np.mean([slow_auc(*pair) for pair in zip(scores, membership, strict=True)])
    assert numbers.auc.value < own - 0.02  # the mean over targets would not see the shift


@pytest.mark.parametrize(
    ("non_members", "level"), [(99, None), (100, 0.1), (999, 0.1), (1000, 0.01), (10_000, 0.001)]
)
def test_the_level_is_the_lowest_with_ten_expected_false_positives(
    non_members: int, level: float | None
) -> None:
    membership = np.ones((4, 5000), dtype=bool)
    membership.ravel()[:non_members] = False
    assert lowest_level(membership) == level


def test_too_few_pairs_have_no_numbers() -> None:
    scores, membership = np.zeros((2, 20)), np.ones((2, 20), dtype=bool)
    membership.ravel()[: FEWEST - 1] = False
    assert pooled(scores, membership, None, np.random.default_rng(0)).auc is None
    membership.ravel()[:FEWEST] = False
    numbers = pooled(scores, membership, None, np.random.default_rng(0))
    assert numbers.auc is not None
    assert numbers.auc.value == 0.5  # all scores are equal
    assert numbers.tpr is None


def test_the_intervals_cover_other_targets_and_examples_and_are_not_much_too_wide() -> None:
    studies = [drawn(8, 40, 1.5, seed) for seed in range(100)]
    generator = np.random.default_rng(5)
    found = [pooled(*study, 0.1, generator) for study in studies]
    for name in ("auc", "tpr"):
        intervals = [getattr(numbers, name) for numbers in found]
        values = np.array([interval.value for interval in intervals])
        truth = values.mean()
        covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
        widths = np.array([interval.high - interval.low for interval in intervals])
        assert covered >= 0.9, name
        assert 0.9 < np.median(widths) / (2 * 1.96 * values.std(ddof=1)) < 1.6, name


def test_joint_resamples_make_the_interval_wider_where_examples_share_their_exposure() -> None:
    generator = np.random.default_rng(0)
    membership = generator.random((12, 60)) < 0.5
    noise = generator.standard_normal((12, 60))
    exposed = np.where(np.arange(60) < 30, 4.0, 0.0)  # half of the examples, in every target
    apart = np.stack([generator.permutation(exposed) for _ in range(12)])
    widths = {}
    for name, shift in (("shared", exposed), ("apart", apart)):
        interval = pooled(noise + shift * membership, membership, None, generator).auc
        assert interval is not None
        widths[name] = interval.high - interval.low
    assert widths["shared"] > 1.4 * widths["apart"]


def test_a_perfect_attack_has_an_interval_with_room_below() -> None:
    membership = np.random.default_rng(0).random((8, 30)) < 0.5
    scores = membership.astype(float)
    numbers = pooled(scores, membership, 0.1, np.random.default_rng(0))
    assert numbers.tpr is not None
    assert (numbers.tpr.value, numbers.tpr.high) == (1.0, 1.0)
    assert 0.5 < numbers.tpr.low < 0.95


def test_one_target_has_an_interval_for_examples_only() -> None:
    numbers = pooled(*drawn(1, 200, 1.0, seed=3), 0.1, np.random.default_rng(0))
    assert numbers.auc is not None
    assert 0.05 < numbers.auc.high - numbers.auc.low < 0.3


def test_given_resamples_are_used() -> None:
    generator = np.random.default_rng(0)
    membership = generator.random((12, 60)) < 0.5
    exposed = np.where(np.arange(60) < 30, 4.0, 0.0)  # half of the examples, in every target
    scores = generator.standard_normal((12, 60)) + exposed * membership
    same = np.ones((50, 60), dtype=np.uint16)
    narrow = pooled(scores, membership, None, generator, same).auc
    wide = pooled(scores, membership, None, generator).auc
    assert narrow is not None
    assert wide is not None
    assert narrow.value == wide.value
    assert narrow.high - narrow.low < 0.8 * (wide.high - wide.low)


def test_a_resample_draws_the_same_examples_for_all_targets() -> None:
    generator = np.random.default_rng(0)
    membership = generator.random((12, 60)) < 0.5
    first = np.arange(60) < 30
    scores = generator.standard_normal((12, 60)) + 4.0 * first * membership
    even = np.arange(60) % 2 == 0
    widths = []
    for half in (first, even):
        resamples = np.stack([half, ~half]).astype(np.uint16)
        interval = pooled(scores, membership, None, generator, resamples).auc
        assert interval is not None
        widths.append(interval.high - interval.low)
    # The exposed half against the other one, and two halves that are alike.
    assert widths[0] > 2 * widths[1]
