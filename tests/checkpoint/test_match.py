"""Whether shadow models that resemble the target, or do not, are recognised."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from mgaudit.attacks.signals import loss
from mgaudit.checkpoint.match import ks_distance, shadow_match
from mgaudit.reports.check_section import mismatches
from mgaudit.reports.input_checks import ShadowMatch

EXAMPLES, CLASSES, SHADOWS = 400, 4, 8
Drawn = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]


def drawn(seed: int, scale: float = 1.0, skill: float = 2.0, spread: float = 0.2) -> Drawn:
    """Returns models whose logits favour the label by about 2, and of the target by `skill`.

    The target's logits are multiplied by `scale`. Examples are hard or easy for all models.
    """
    generator = np.random.default_rng(seed)
    labels = np.arange(EXAMPLES) % CLASSES
    membership = generator.random((1 + SHADOWS, EXAMPLES)) < 0.5
    difficulty = generator.standard_normal((EXAMPLES, CLASSES))
    logits = difficulty + 0.5 * generator.standard_normal((1 + SHADOWS, EXAMPLES, CLASSES))
    skills = np.full(1 + SHADOWS, 2.0)
    skills[0] = skill
    skills += spread * generator.standard_normal(1 + SHADOWS)
    logits[:, np.arange(EXAMPLES), labels] += skills[:, np.newaxis]
    logits[:, np.arange(EXAMPLES), labels] += 5.0 * membership  # memorised: must not be compared
    logits[0] *= scale
    return logits, labels, membership


def matched(data: Drawn) -> ShadowMatch:
    match = shadow_match(*data)
    assert match is not None
    return match


def test_the_distance_is_that_of_kolmogorov_and_smirnov() -> None:
    generator = np.random.default_rng(0)
    for size in (5, 40):
        first, second = generator.integers(0, 9, size) / 4, generator.integers(2, 9, size + 3) / 4
        assert np.isclose(ks_distance(first, second), ks_2samp(first, second).statistic)


def test_a_model_like_the_shadows_matches_and_others_do_not() -> None:
    like = [matched(drawn(seed)) for seed in range(20)]
    assert sum(match.accuracy_differs or match.losses_differ for match in like) <= 2
    assert not any(match.is_near_chance for match in like)
    for seed in range(5):
        worse, better = matched(drawn(seed, skill=0.8)), matched(drawn(seed, skill=4))
        assert worse.accuracy_differs
        assert worse.losses_differ
        assert better.accuracy_differs
        assert better.losses_differ
        sharper = matched(drawn(seed, scale=4))
        assert not sharper.accuracy_differs  # the order of the logits is the same
        assert sharper.losses_differ


def test_a_target_without_skill_is_near_chance() -> None:
    assert matched(drawn(0, skill=0)).is_near_chance
    sentences = mismatches(matched(drawn(0, skill=0)))
    assert "guessing" in sentences[-1]
    assert "inputs" in sentences[-1]
    assert not matched(drawn(0, skill=1)).is_near_chance


def test_numbers_are_those_of_a_direct_computation() -> None:
    logits, labels, membership = drawn(3)
    match = matched((logits, labels, membership))
    unseen = ~membership[0]
    right = logits.argmax(axis=2) == labels
    assert match.non_members == unseen.sum()
    assert match.accuracy == right[0, unseen].mean()
    for shadow, accuracy in enumerate(match.shadow_accuracies, start=1):
        own = unseen & ~membership[shadow]
        assert accuracy == right[shadow, own].mean()
    losses = [loss(row[:, np.newaxis], labels)[:, 0] for row in logits]
    of_target, of_first = [], []
    for first in range(1, 1 + SHADOWS):
        for second in range(1, 1 + SHADOWS):
            if first == second:
                continue
            shared = unseen & ~membership[first] & ~membership[second]
            of_target.append(ks_2samp(losses[0][shared], losses[first][shared]).statistic)
            if first == 1:
                pair = losses[first][shared], losses[second][shared]
                of_first.append(ks_2samp(*pair).statistic)
    assert np.isclose(match.loss_distance, np.mean(of_target))
    assert np.isclose(match.shadow_loss_distances[0], np.mean(of_first))


def test_sentences_state_the_numbers_and_few_examples_are_not_compared() -> None:
    match = matched(drawn(0, skill=0.8))
    text = " ".join(mismatches(match))
    assert f"{match.accuracy * 100:.1f} %" in text
    assert f"{match.loss_distance:.3f}" in text
    assert f"{match.loss_distance_limit:.3f} is expected" in text
    assert not mismatches(matched(drawn(1)))
    logits, labels, membership = drawn(0)
    assert shadow_match(logits[:, :60], labels[:60], membership[:, :60]) is None
    assert shadow_match(logits[:2], labels, membership[:2]) is None
