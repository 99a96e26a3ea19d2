"""Conversion of numbers to float32 that keeps distinct values apart."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Float32 = NDArray[np.float32]

LARGEST_ERROR = 2.0**-10  # error of the conversion, in sds of the feature
MOST_MERGED = 0.01  # share of the distinct values that become equal to another one
SORTED_VALUES = 2**22  # about one in four of so many random values becomes equal to another one
ROUNDING = 2.0**-48  # relative error of a few operations in float64
LARGEST_SCALED = 1e30  # well below the largest float32, 3.4e38


def as_float32(train: Array, test: Array) -> tuple[Float32, Float32]:
    """Returns both splits as float32.

    A feature (or channel) is damaged by the conversion if a finite value becomes infinite, if the
    largest error exceeds `LARGEST_ERROR` sds, or if more than `MOST_MERGED` of its distinct values
    become equal to another one, as those of time stamps do. A damaged feature is centred at the
    median of its training values and divided by their sd before the conversion. The differences of
    integers are exact. Standardised data are the same with and without this step, apart from
    rounding. All other features are converted directly.

    Args:
        train: Numbers (examples, features) or (examples, channels, height, width), bool, integer
            or float, with at least one example. NaN and infinity are kept.
        test: Numbers (test examples, ...), with the other axes as in `train`.

    >>> as_float32(np.array([[0.5], [0.1]]), np.array([[1.0]]))[0].ravel()
    array([0.5, 0.1], dtype=float32)
    >>> as_float32(np.array([[2**60], [2**60 + 1], [2**60 + 2]]), np.array([[2**60]]))[1].ravel()
    array([-1.2247449], dtype=float32)
    """
    # Overflow is one of the damages that are looked for.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        float_train, float_test = train.astype(np.float32), test.astype(np.float32)
        if _is_exact(train) and _is_exact(test):
            return float_train, float_test
        for feature in range(train.shape[1]):
            train_values, test_values = train[:, feature], test[:, feature]
            if _is_damaged(np.concatenate([train_values.ravel(), test_values.ravel()])):
                scaled_train, scaled_test = _scaled(train_values, test_values)
                float_train[:, feature] = scaled_train
                float_test[:, feature] = scaled_test
    return float_train, float_test


def is_damaged(train: Array, test: Array) -> bool:
    """Returns whether `as_float32` centres and scales a feature (examples,) of both splits."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if _is_exact(train) and _is_exact(test):
            return False
        return _is_damaged(np.concatenate([train.ravel(), test.ravel()]))


def _is_exact(values: Array) -> bool:
    """Returns whether float32 has every value of the array."""
    if np.can_cast(values.dtype, np.float32) or values.size == 0:
        return True
    if values.dtype.kind in "iu":
        return bool(values.max() <= 2**24 and values.min() >= -(2**24))
    return bool((values.astype(np.float32) == values).all())


def _is_damaged(values: Array) -> bool:
    """Returns whether float32 would damage the values (examples,) of a feature."""
    values = values[np.isfinite(values)]
    converted = values.astype(np.float32)
    if np.isinf(converted).any():
        return True
    floats = _as_floats(values)
    largest_error = np.abs(converted - floats).max(initial=0)
    are_floats = values.dtype.kind == "f"
    if are_floats and (largest_error == 0 or _differ_by_rounding(floats)):
        return False
    unit = _power_of_two(floats)  # squares of values in this unit do not overflow
    if largest_error / unit > LARGEST_ERROR * (floats / unit).std() > 0:
        return True
    if values.size > SORTED_VALUES:
        return False
    ordered = np.sort(values)
    distinct = 1 + np.count_nonzero(ordered[1:] != ordered[:-1])
    ordered_float32 = ordered.astype(np.float32)
    left = 1 + np.count_nonzero(ordered_float32[1:] != ordered_float32[:-1])
    merged_by_chance = values.size / SORTED_VALUES
    return bool(distinct - left > max(MOST_MERGED, merged_by_chance) * distinct)


def _differ_by_rounding(values: Array) -> bool:
    """Returns whether the finite values (at least one) are equal apart from rounding."""
    lowest, highest = values.min() / 2, values.max() / 2  # halves: the difference is finite
    return bool(highest - lowest <= ROUNDING * max(abs(lowest), abs(highest)))


def _scaled(train: Array, test: Array) -> tuple[Array, Array]:
    """Returns the values of a feature in both splits as floats, centred and scaled."""
    train_differences, test_differences = _differences(train, test)
    finite_train = train_differences[np.isfinite(train_differences)]
    finite_test = test_differences[np.isfinite(test_differences)]
    largest = np.abs(np.concatenate([finite_train, finite_test])).max(initial=0)
    sd = finite_train.std()
    scale = max(sd, largest / LARGEST_SCALED) if sd > 0 else largest
    if scale == 0:
        return train_differences, test_differences
    return train_differences / scale, test_differences / scale


def _differences(train: Array, test: Array) -> tuple[Array, Array]:
    """Returns the differences of both splits from the training median, in a common unit.

    The median is the upper one, which is one of the values, so that differences of near values are
    exact. The unit is a power of two in which no difference overflows, or 1 for integers.
    """
    common = np.result_type(train.dtype, test.dtype)
    if common.kind in "iu":
        train, test = train.astype(common), test.astype(common)
        centre = _upper_median(train)
        return _integer_differences(train, centre), _integer_differences(test, centre)
    train, test = _as_floats(train), _as_floats(test)
    unit = max(_power_of_two(train), _power_of_two(test))
    train, test = train / unit, test / unit
    centre = _upper_median(train)
    return train - centre, test - centre


def _integer_differences(values: Array, centre: Array) -> NDArray[np.float64]:
    """Returns `values - centre` as float64; the differences are exact before the conversion."""
    # Differences modulo 2**64 are right if the smaller number is subtracted from the larger one.
    difference = values.astype(np.uint64) - centre.astype(np.uint64)
    negated = centre.astype(np.uint64) - values.astype(np.uint64)
    is_below = values < centre
    return np.where(is_below, -negated.astype(np.float64), difference.astype(np.float64))


def _upper_median(values: Array) -> Array:
    """Returns the upper median of the finite values, as an array without axes; 0 if none is."""
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return np.zeros((), values.dtype)
    middle = finite.size // 2
    return np.asarray(np.partition(finite, middle)[middle])


def _as_floats(values: Array) -> Array:
    """Returns the numbers as float64, or as the wider type that they have."""
    return values.astype(np.result_type(values.dtype, np.float64), copy=False)


def _power_of_two(values: Array) -> Any:
    """Returns the largest power of two up to the largest finite absolute value; 1 for zeros."""
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    return np.ldexp(np.ones((), values.dtype), np.frexp(largest)[1] - 1) if largest else 1.0
