import numpy as np
import pytest

from mgaudit.attacks.blind import FOLDS, blind_scores, random_folds
from mgaudit.attacks.single_target import delong

EXAMPLES = 300


def baseline(inputs: np.ndarray | None, labels: np.ndarray | None, members: np.ndarray) -> float:
    """The AUC of the blind baseline, in standard errors from 1/2."""
    folds = random_folds(np.arange(len(members)), np.random.default_rng(0))
    (scores,) = blind_scores(inputs, labels, members[np.newaxis], folds, seed=0)
    auc, variance = delong(scores, members)
    return (auc - 0.5) / variance**0.5


def test_sources_are_found_and_coins_are_not() -> None:
    generator = np.random.default_rng(1)
    members = generator.random(EXAMPLES) < 0.5
    inputs = generator.standard_normal((EXAMPLES, 5))
    labels = generator.integers(0, 3, EXAMPLES)
    assert abs(baseline(inputs, labels, members)) < 3.3
    assert baseline(inputs + members[:, np.newaxis], labels, members) > 5
    assert baseline(None, np.where(members, labels, 0), members) > 5


def test_images_with_many_pixels_are_found_by_a_small_shift() -> None:
    generator = np.random.default_rng(2)
    members = generator.random(EXAMPLES) < 0.5
    images = generator.standard_normal((EXAMPLES, 3, 8, 8))
    assert (
        baseline(images + 0.3 * members[:, np.newaxis, np.newaxis, np.newaxis], None, members) > 5
    )


def test_groups_are_kept_together() -> None:
    groups = np.repeat(np.arange(20), 3)
    folds = random_folds(groups, np.random.default_rng(0))
    assert (folds.reshape(20, 3) == folds[::3, np.newaxis]).all()
    assert sorted(set(folds.tolist())) == list(range(FOLDS))


def test_something_must_be_known() -> None:
    with pytest.raises(ValueError, match="inputs or labels must be known"):
        baseline(None, None, np.arange(EXAMPLES) % 2 == 0)
