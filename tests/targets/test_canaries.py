import numpy as np
import pytest

from mgaudit.targets.datasets import Dataset
from mgaudit.targets.datasets.canaries import plant_canaries
from mgaudit.targets.membership import canary_coins


def dataset(examples: int = 600) -> Dataset:
    inputs = np.random.default_rng(0).standard_normal((examples, 4)).astype(np.float32)
    return Dataset(
        "noise", inputs, np.arange(examples) % 3, inputs[:3] + 1, np.arange(3), ("a", "b", "c")
    )


def test_natural_canaries_are_examples_as_they_are() -> None:
    planted, canaries = plant_canaries(dataset(), 100, "natural", seed=0)
    assert np.array_equal(planted.labels, dataset().labels)
    assert len(set(canaries.tolist())) == 100
    assert canaries.max() > 500  # drawn among all examples


def test_mislabelled_canaries_get_another_class_drawn_uniformly_and_nobody_else_does() -> None:
    planted, canaries = plant_canaries(dataset(), 300, "mislabelled", seed=0)
    moved = (planted.labels - dataset().labels) % 3
    assert set(np.flatnonzero(moved).tolist()) == set(canaries.tolist())
    assert 100 < (moved[canaries] == 1).sum() < 200
    again, _ = plant_canaries(dataset(), 300, "mislabelled", seed=0)
    assert np.array_equal(planted.labels, again.labels)


def test_only_canaries_toss_a_coin() -> None:
    _, canaries = plant_canaries(dataset(), 300, "natural", seed=0)
    membership = canary_coins(5, 600, canaries, seed=0)
    others = np.setdiff1d(np.arange(600), canaries)
    assert membership[:, others].all()
    assert 0.4 < membership[:, canaries].mean() < 0.6
    assert not np.array_equal(membership[0], membership[1])


def test_more_canaries_than_examples_are_refused() -> None:
    with pytest.raises(
        ValueError, match="canaries must be between 1 and 600, the number of examples, got 601"
    ):
        plant_canaries(dataset(), 601, "natural", seed=0)
