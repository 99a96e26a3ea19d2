"""Canaries in the pool of a study: what they are, and what they do not change."""

import numpy as np
import pytest

from mgaudit.errors import UsageError
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.datasets.pool_canaries import KINDS, PoolCanaryKind, plant_in_pool

CLASSES = ("a", "b", "c")


def images(examples: int = 90, dtype: type = np.uint8) -> Dataset:
    generator = np.random.default_rng(0)
    inputs = generator.integers(20, 200, (examples, 2, 4, 4)).astype(dtype)
    inputs[:, 1] += 50
    labels = np.arange(examples) % 3
    return Dataset("images", inputs, labels, inputs[:6] + 1, labels[:6], CLASSES)


@pytest.mark.parametrize("kind", KINDS)
def test_canaries_replace_some_examples_and_change_nothing_else(kind: PoolCanaryKind) -> None:
    dataset = images()
    planted, canaries = plant_in_pool(dataset, kind, 30, seed=1)
    others = np.setdiff1d(np.arange(90), canaries.indices)
    assert canaries.kind == kind
    assert np.array_equal(canaries.indices, np.unique(canaries.indices))
    assert len(canaries.indices) == 30
    assert canaries.indices.max() > 60  # drawn among all examples
    for name in ("inputs", "labels", "indices"):
        before, after = getattr(dataset, name), getattr(planted, name)
        assert np.array_equal(before[others], after[others])
        assert before.dtype == after.dtype
    assert np.array_equal(planted.test_inputs, dataset.test_inputs)
    assert np.array_equal(planted.test_labels, dataset.test_labels)
    named = [index for index, origin in enumerate(planted.origins) if "canary" in origin]
    assert named == canaries.indices.tolist()
    assert all(kind in planted.origins[index] for index in named)
    assert len(set(planted.origins)) == 90
    assert planted.notes[-1].startswith(f"30 of 90 examples are {kind} canaries")
    again, _ = plant_in_pool(dataset, kind, 30, seed=1)
    assert planted.digest() == again.digest()
    other, _ = plant_in_pool(dataset, kind, 30, seed=2)
    assert planted.digest() != other.digest()


def test_mislabelled_canaries_keep_their_inputs_and_have_another_class() -> None:
    dataset = images()
    planted, canaries = plant_in_pool(dataset, "mislabelled", 40, seed=0)
    assert np.array_equal(planted.inputs, dataset.inputs)
    changed = np.flatnonzero(planted.labels != dataset.labels)
    assert np.array_equal(changed, canaries.indices)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_blank_canaries_have_one_value_each_and_are_all_different(dtype: type) -> None:
    dataset = images(dtype=dtype)
    planted, canaries = plant_in_pool(dataset, "blank", 40, seed=0)
    low, high = dataset.inputs.min(axis=(0, 2, 3)), dataset.inputs.max(axis=(0, 2, 3))
    contents = set()
    for index in canaries.indices:
        image = planted.inputs[index]
        lit = np.argwhere(image != low[:, np.newaxis, np.newaxis])
        assert len(lit) == 1
        channel = lit[0][0]
        assert image[tuple(lit[0])] == high[channel]
        contents.add((tuple(lit[0]), int(planted.labels[index])))
    assert len(contents) == 40
    assert set(planted.labels[canaries.indices].tolist()) == {0, 1, 2}


def test_the_one_value_of_a_blank_canary_is_never_in_a_constant_feature() -> None:
    inputs = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    inputs[:, 1] = 7.0
    labels = np.arange(40) % 2
    dataset = Dataset("table", inputs, labels, inputs[:4], labels[:4], ("a", "b"))
    planted, canaries = plant_in_pool(dataset, "blank", 4, seed=0)
    rows = {
        (*planted.inputs[index].tolist(), int(planted.labels[index])) for index in canaries.indices
    }
    assert len(rows) == 4
    assert {row[1] for row in rows} == {7.0}
    with pytest.raises(UsageError, match="canaries must be at most 4, the number of different"):
        plant_in_pool(dataset, "blank", 5, seed=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_noise_canaries_are_uniform_between_the_extremes_of_their_channel(dtype: type) -> None:
    dataset = images(400, dtype)
    planted, canaries = plant_in_pool(dataset, "noise", 200, seed=0)
    drawn = planted.inputs[canaries.indices].astype(float)
    low = dataset.inputs.min(axis=(0, 2, 3)).astype(float)
    high = dataset.inputs.max(axis=(0, 2, 3)).astype(float)
    for channel in range(2):
        values = drawn[:, channel].ravel()
        width = high[channel] - low[channel]
        assert low[channel] <= values.min() < low[channel] + 0.02 * width
        assert high[channel] - 0.02 * width < values.max() <= high[channel]
        error = 4 * width / np.sqrt(12 * len(values))
        if dtype is np.uint8:
            assert (values.min(), values.max()) == (low[channel], high[channel])
        assert values.mean() == pytest.approx((low[channel] + high[channel]) / 2, abs=error)
        assert values.std() == pytest.approx(width / np.sqrt(12), rel=0.05)
    labels = np.bincount(planted.labels[canaries.indices], minlength=3)
    assert labels.min() > 40


@pytest.mark.parametrize("number", [0, 46])
def test_a_wrong_number_is_refused(number: int) -> None:
    with pytest.raises(UsageError, match=f"must be between 1 and 45, half .* got {number}"):
        plant_in_pool(images(), "mislabelled", number, seed=0)
    planted, _ = plant_in_pool(images(), "mislabelled", 45, seed=0)
    assert len(planted.labels) == 90


def test_the_statistics_of_other_inputs_standardise_the_data() -> None:
    dataset = images(dtype=np.float32)
    planted, canaries = plant_in_pool(dataset, "blank", 40, seed=0)
    before, after = dataset.standardised(), planted.standardised(dataset.inputs)
    assert np.array_equal(before.test_inputs, after.test_inputs)
    others = np.setdiff1d(np.arange(90), canaries.indices)
    assert np.array_equal(before.inputs[others], after.inputs[others])
    assert not np.array_equal(planted.standardised().test_inputs, before.test_inputs)
