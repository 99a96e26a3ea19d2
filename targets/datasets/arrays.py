"""Datasets of arrays: training examples and test examples, each with labels."""

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.array_like import Array, to_array
from mgaudit.targets.arrays.class_labels import class_values, classes_of
from mgaudit.targets.arrays.finite import refuse_not_finite
from mgaudit.targets.arrays.float32 import as_float32, is_damaged
from mgaudit.targets.datasets.array_order import refuse_other_order
from mgaudit.targets.datasets.contents import contents
from mgaudit.targets.datasets.dataset import Dataset, Inputs
from mgaudit.targets.datasets.duplicates import groups_of
from mgaudit.targets.datasets.split import TEST_FRACTION, split_by_fraction

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
SHAPES = (
    "must be (examples, features), (examples, height, width) or (examples, channels, height, width)"
)
ONE_SHAPE = "bring all examples to one shape, and images to one size and mode"
CHANNELS = (1, 3, 4)  # of images whose channels are last
SMALLEST_SIDE = 8  # pixels from which an axis is certainly not one of channels
AXES = {
    2: ("example", "feature"),
    3: ("example", "row", "column"),
    4: ("example", "channel", "row", "column"),
}


def from_arrays(
    name: str,
    x_train: Any,
    y_train: Any,
    x_test: Any,
    y_test: Any,
    *,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Returns the dataset of these arrays.

    Args:
        name: Name of the dataset.
        x_train: Training examples (examples, features), (examples, height, width) or (examples,
            channels, height, width), in a form of `to_array`. If both splits are uint8, they stay
            so; other numbers become float32 by `as_float32`. Images with the channels last, such as
            (examples, 32, 32, 3), become images with the channels first.
        y_train: Labels (examples,) or (examples, 1), numbers, bool or texts, or one-hot rows
            (examples, classes). The classes are the values that occur.
        x_test: Test examples, as `x_train`.
        y_test: Labels of the test examples, as `y_train`.
        notes: What was changed or left out before, one sentence each.

    Raises:
        UsageError: For other arrays; the message names the array and the rule.
    """
    key = f"dataset {name}"
    arrays = (x_train, y_train, x_test, y_test)
    refuse_other_order(key, ARRAYS, arrays)
    train, train_note = _examples(f"{key}: x_train", x_train)
    test, test_note = _examples(f"{key}: x_test", x_test)
    _refuse_unlike(key, train, test)
    train_labels = _labels(f"{key}: y_train", y_train, train)
    test_labels = _labels(f"{key}: y_test", y_test, test)
    classes = classes_of(f"{key}: y_train", train_labels)
    inputs, test_inputs = _inputs(train, test)
    return Dataset(
        name,
        inputs,
        classes.numbers(f"{key}: y_train", train_labels),
        test_inputs,
        classes.numbers(f"{key}: y_test", test_labels),
        classes.names,
        origins=tuple(f"x_train[{index}]" for index in range(len(inputs))),
        notes=(*notes, *_different([train_note, test_note, _note_on_scaling(train, test)])),
    )


def from_pair(
    name: str,
    x: Any,
    y: Any,
    *,
    test_fraction: float = TEST_FRACTION,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Returns the dataset of examples that are divided into training and test data.

    Args:
        name: Name of the dataset.
        x: Examples, as `x_train` in `from_arrays`.
        y: Labels, as `y_train` in `from_arrays`.
        test_fraction: Share of test data, > 0 and < 1; `split_by_fraction` has the rule.
        notes: What was changed or left out before, one sentence each.

    Raises:
        UsageError: As `from_arrays` and `split_by_fraction`.
    """
    key = f"dataset {name}"
    refuse_other_order(key, ("x", "y"), (x, y))
    examples, note = _examples(f"{key}: x", x)
    values = _labels(f"{key}: y", y, examples)
    classes = classes_of(f"{key}: y", values)
    labels = classes.numbers(f"{key}: y", values)
    inputs, _ = _inputs(examples, examples[:0])
    groups = groups_of(contents(inputs)).numbers
    is_test = split_by_fraction(key, labels, groups, test_fraction, classes.names)
    tests = np.count_nonzero(is_test)
    split_note = f"The data have no test split; {tests} of {len(labels)} examples are test data."
    return Dataset(
        name,
        inputs[~is_test],
        labels[~is_test],
        inputs[is_test],
        labels[is_test],
        classes.names,
        origins=tuple(f"x[{index}]" for index in np.flatnonzero(~is_test)),
        notes=(*notes, *_different([note, _note_on_scaling(examples, examples[:0])]), split_note),
    )


def from_named(
    name: str, arrays: Mapping[str, Any], test_fraction: float, notes: tuple[str, ...]
) -> Dataset:
    """Returns the dataset of arrays with the names of `from_arrays` or of `from_pair`."""
    if set(arrays) == set(ARRAYS):
        return from_arrays(name, **arrays, notes=notes)
    return from_pair(name, **arrays, test_fraction=test_fraction, notes=notes)


def _examples(key: str, values: Any) -> tuple[Array, str]:
    """Returns finite real numbers (examples, features) or (examples, channels, height, width).

    The second value is a note on what was changed, or "".

    Raises:
        UsageError: For other values; the message begins with `key`.
    """
    array = to_array(key, values, AXES[2], ONE_SHAPE)
    if array.dtype.kind not in "biuf":
        _refuse_type(key, array)
    if array.ndim not in AXES:
        way_out = "use x.reshape(-1, 1) for a single feature" if array.ndim == 1 else ""
        raise UsageError(key, SHAPES, f"shape {array.shape}", way_out)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    refuse_not_finite(key, array, AXES[array.ndim], "leave out the example, or correct the value")
    if array.ndim == 3:
        return array[:, np.newaxis], ""
    if array.ndim == 4 and array.shape[1] > max(CHANNELS) and array.shape[3] in CHANNELS:
        return _with_channels_first(key, array)
    if array.ndim == 4:
        _refuse_odd_channels(key, array)
    return array, ""


def _refuse_type(key: str, array: Array) -> NoReturn:
    """Raises UsageError for texts and complex numbers."""
    rule = "must hold real numbers"
    if array.dtype.kind == "c":
        raise UsageError(key, rule, str(array.dtype), "take the real part or the absolute value")
    value = f"the text {str(array.flat[0])!r}"
    raise UsageError(key, rule, value, "turn texts into numbers, such as x.astype(float)")


def _refuse_odd_channels(key: str, array: Array) -> None:
    """Raises UsageError for images whose last axis is the odd one, such as (100, 16, 16, 13)."""
    _, first, second, last = array.shape
    if first == second != last and first >= SMALLEST_SIDE:
        _refuse_order_of_axes(key, array)


def _refuse_order_of_axes(key: str, array: Array) -> NoReturn:
    """Raises UsageError for images whose axes can be read in two ways."""
    rule = "must have its channels first, as in (examples, channels, height, width)"
    way_out = (
        "use x.transpose(0, 3, 1, 2) if the last axis has the channels, and otherwise give a "
        "mgaudit.targets.datasets.Dataset"
    )
    raise UsageError(key, rule, f"shape {array.shape}", way_out)


def _with_channels_first(key: str, array: Array) -> tuple[Array, str]:
    """Returns images (examples, height, width, channels) with the channels first, and a note.

    Raises:
        UsageError: For images whose sides are so small or so different, or whose last two axes are
            equal, that the order of the axes is not certain.
    """
    short, long = sorted(array.shape[1:3])
    if short < SMALLEST_SIDE or long > 2 * short or array.shape[2] == array.shape[3]:
        _refuse_order_of_axes(key, array)
    note = f"Images with the shape {array.shape[1:]} were read with the channels last."
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2)), note


def _refuse_unlike(key: str, train: Array, test: Array) -> None:
    """Raises UsageError for splits with examples of different shapes or different numbers."""
    if train.shape[1:] != test.shape[1:]:
        rule = "must have examples of one shape in both splits"
        value = f"{train.shape[1:]} in x_train and {test.shape[1:]} in x_test"
        raise UsageError(key, rule, value)
    are_integers = train.dtype.kind in "biu", test.dtype.kind in "biu"
    if are_integers[0] == are_integers[1]:
        return
    floats = test if are_integers[0] else train
    if (np.floor(floats) != floats).any():
        rule = "must have the same unit in both splits"
        value = f"x_train of {train.dtype} and x_test of {test.dtype}, one of them with fractions"
        raise UsageError(key, rule, value, "prepare both splits in the same way")


def _labels(key: str, values: Any, examples: Array) -> list[Any]:
    """Returns a label for each of the examples (examples, ...).

    Raises:
        UsageError: For another number of labels, and as `class_values`; `key` begins the message.
    """
    labels = class_values(key, values)
    if len(labels) != len(examples):
        are_last = len(labels) == examples.shape[-1]
        way_out = "use numpy.moveaxis(x, -1, 0) if the last axis is that of the examples"
        rule = f"must hold a label for each of {len(examples)} examples"
        raise UsageError(key, rule, str(len(labels)), way_out if are_last else "")
    return labels


def _note_on_scaling(train: Array, test: Array) -> str:
    """Returns a note on features that `_inputs` centres and scales, or ""."""
    if train.dtype == test.dtype == np.uint8:
        return ""
    features = train.shape[1]
    scaled = sum(is_damaged(train[:, index], test[:, index]) for index in range(features))
    if not scaled:
        return ""
    of_all = f"{scaled} of {features} {'features' if train.ndim == 2 else 'channels'}"
    return f"{of_all} were centred and scaled, because float32 would round the values."


def _inputs(train: Array, test: Array) -> tuple[Inputs, Inputs]:
    """Returns both splits as uint8 if both are, otherwise as float32."""
    if train.dtype == test.dtype == np.uint8:
        return train, test
    return as_float32(train, test)


def _different(notes: list[str]) -> list[str]:
    """Returns the notes that are not empty, each once."""
    return [note for note in dict.fromkeys(notes) if note]
