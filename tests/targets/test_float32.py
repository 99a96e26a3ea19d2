"""Conversion to float32 that keeps distinct values apart."""

import numpy as np
import pytest

from mgaudit.targets.arrays.float32 import as_float32


def distinct(values: np.ndarray) -> int:
    return len(np.unique(values))


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)[:, np.newaxis]


def test_b04_time_stamps_keep_their_distinct_values_and_their_scale() -> None:
    seconds = 1.7e9 + np.arange(0, 201)[:, np.newaxis]
    train, test = as_float32(seconds, seconds[:50])
    assert train.dtype == test.dtype == np.float32
    assert distinct(train) == 201
    np.testing.assert_array_equal(test, train[:50])
    np.testing.assert_allclose(train[:, 0], (np.arange(201) - 100) / np.arange(201).std(), 1e-6)


def test_b04_other_features_keep_their_bits() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(400, 6)) * [1, 1e-20, 1e20, 1, 100, 1e-3]
    values[:, 3] = 1.7e9 + np.arange(400)
    values[:, 5] += 1
    train, test = as_float32(values, values[::2])
    untouched = [0, 1, 2, 4, 5]
    np.testing.assert_array_equal(train[:, untouched], values[:, untouched].astype(np.float32))
    np.testing.assert_array_equal(test[:, untouched], train[::2, untouched])
    assert distinct(train[:, 3]) == 400


@pytest.mark.parametrize(
    ("base", "dtype"),
    [
        (2**24, np.int64),
        (2**53, np.int64),
        (2**60, np.int64),
        (2**63 - 300, np.int64),
        (-(2**63), np.int64),
        (2**64 - 300, np.uint64),
        (2**63 - 100, np.uint64),
        (2**31 - 300, np.int32),
        (2**32 - 300, np.uint32),
    ],
)
def test_large_integers_are_centred_exactly(base: int, dtype: type) -> None:
    numbers = np.array([[base + step] for step in range(201)], dtype=dtype)
    train, test = as_float32(numbers, numbers[[7]])
    steps = np.arange(-100, 101) / np.arange(201).std()
    np.testing.assert_allclose(train[:, 0], steps, rtol=1e-6)
    assert test[0, 0] == train[7, 0]


def test_the_whole_range_of_int64_does_not_overflow() -> None:
    limits = np.iinfo(np.int64)
    numbers = np.array([[limits.min], [limits.min + 1], [0], [limits.max - 1], [limits.max]])
    train, _ = as_float32(numbers, numbers)
    assert (np.diff(train[:, 0]) >= 0).all()
    assert train[0, 0] < -0.9
    assert train[-1, 0] > 0.9


def test_signed_and_unsigned_splits_have_one_scale() -> None:
    steps = np.arange(50)[:, np.newaxis]
    train, test = as_float32(steps + 2**40, steps.astype(np.uint64) + np.uint64(2**40))
    np.testing.assert_array_equal(train, test)
    assert distinct(train) == 50


@pytest.mark.parametrize("factor", [1e300, -1e300, 1e307, 1e-300, 1e-310, 1e39, 1e-46])
def test_values_beyond_the_range_of_float32_are_scaled(factor: float) -> None:
    values = np.arange(1, 18)[:, np.newaxis] * factor
    train, test = as_float32(values, values[:3])
    assert np.isfinite(train).all()
    expected = (np.arange(1, 18) - 9) / np.arange(17).std() * np.sign(factor)
    np.testing.assert_allclose(train[:, 0], expected, rtol=1e-5)
    np.testing.assert_array_equal(test, train[:3])


def test_both_ends_of_float64_do_not_overflow() -> None:
    largest = np.finfo(np.float64).max
    train, _ = as_float32(column(-largest, 0, largest), column(largest))
    np.testing.assert_allclose(train[:, 0], np.array([-1, 0, 1]) * np.sqrt(1.5), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-300, 1 / 3, 1e9])
def test_a_constant_column_is_converted_directly(value: float) -> None:
    train, test = as_float32(np.full((5, 1), value), np.full((2, 1), value))
    assert (train == np.float32(value)).all()
    assert (test == np.float32(value)).all()


def test_a_column_that_is_constant_apart_from_rounding_is_not_magnified() -> None:
    values = column(0.3, 0.1 + 0.2, 0.3)
    np.testing.assert_array_equal(as_float32(values, values)[0], np.float32(0.3))


def test_a_constant_column_beyond_float32_becomes_0() -> None:
    train, test = as_float32(np.full((5, 1), 1e300), column(1e300, 2e300))
    assert (train == 0).all()
    np.testing.assert_array_equal(test, [[0], [1]])


def test_a_huge_outlier_does_not_merge_the_other_values() -> None:
    values = np.append(1.7e9 + np.arange(201), 1e12)[:, np.newaxis]
    train, _ = as_float32(values, values)
    assert distinct(train) == 202
    small = np.append(np.arange(201) / 7, 1e300)[:, np.newaxis]
    assert np.isfinite(as_float32(small, small)[0]).all()


def test_a_test_value_far_from_the_training_values_stays_finite() -> None:
    train, test = as_float32(column(1e-300, 2e-300, 3e-300), column(1.0, 2.0))
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()
    assert test[1, 0] > test[0, 0]


def test_nan_and_infinity_are_kept_for_the_error_that_names_them() -> None:
    values = np.append(1.7e9 + np.arange(10), [np.nan, np.inf, -np.inf])[:, np.newaxis]
    train, _ = as_float32(values, values)
    np.testing.assert_array_equal(train[10:, 0], [np.nan, np.inf, -np.inf])
    assert distinct(train[:10]) == 10
    empty = column(np.nan, np.nan)
    assert np.isnan(as_float32(empty, empty)[0]).all()


def test_channels_of_images_are_features() -> None:
    generator = np.random.default_rng(0)
    images = generator.random((8, 3, 5, 5))
    images[:, 1] += 1e9
    train, test = as_float32(images, images[:2])
    np.testing.assert_array_equal(train[:, [0, 2]], images[:, [0, 2]].astype(np.float32))
    assert distinct(train[:, 1]) == 200
    np.testing.assert_array_equal(test, train[:2])


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.float16, np.float32])
def test_types_that_float32_contains_keep_their_values(dtype: type) -> None:
    values = np.array([[0, 1], [1, 1]], dtype=dtype)
    train, _ = as_float32(values, values)
    np.testing.assert_array_equal(train, values.astype(np.float32))


def test_many_random_values_are_converted_directly_although_a_few_merge() -> None:
    values = np.random.default_rng(0).random((200_000, 1))
    train, _ = as_float32(values, values[:10])
    assert distinct(train) < len(values)
    np.testing.assert_array_equal(train, values.astype(np.float32))


def test_the_arguments_are_not_changed() -> None:
    values = 1.7e9 + np.arange(10)[:, np.newaxis]
    before = values.copy()
    values.flags.writeable = False
    as_float32(values, values)
    np.testing.assert_array_equal(values, before)
