"""Class numbers of examples."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.array_like import Array, describe_index, first_index, to_array
from mgaudit.targets.arrays.finite import real_numbers
from mgaudit.targets.limits import CLASSES

NUMBERED = "number the classes with numpy.unique(labels, return_inverse=True)[1]"
EXAMPLE = ("example",)


def as_labels(key: str, values: object, classes: int | None) -> NDArray[np.int64]:
    """Returns the class numbers (examples,) of the examples, int64 in 0..classes - 1.

    Args:
        key: Name of the argument, for errors.
        values: Whole class numbers (examples,), also as float or, for two classes, as bool; one-hot
            rows (examples, classes); or either with an axis of models in front, if all models have
            the same labels.
        classes: Number of classes, or None where it is not known.

    Raises:
        UsageError: For other values, and where the labels of two models differ.

    >>> as_labels("labels", [[0, 1], [1, 0], [1, 0]], classes=2)
    array([1, 0, 0])
    """
    array = to_array(key, values, EXAMPLE)
    if array.dtype.kind in "US":
        _refuse_text(key, array)
    numbers = real_numbers(key, array, EXAMPLE)
    many_classes = classes is not None and classes > 2
    if array.dtype.kind == "b" and many_classes and not _is_one_hot(numbers, classes):
        rule = f"must be class numbers of {classes} classes"
        way_out = "exchange labels and membership if these are the members"
        raise UsageError(key, rule, "an array of bool", way_out)
    numbers = _vector(key, numbers, classes)
    _check_whole(key, numbers)
    _check_range(key, numbers, classes)
    return numbers.astype(np.int64)


def _vector(key: str, numbers: NDArray[np.floating], classes: int | None) -> NDArray[np.floating]:
    """Returns one number for each example (examples,)."""
    if numbers.ndim == 2 and numbers.shape[1] == 1:
        numbers = numbers[:, 0]
    if _is_one_hot(numbers, classes):
        numbers = numbers.argmax(axis=-1).astype(np.float64)
    if numbers.ndim == 2:
        numbers = _row_of_all_models(key, numbers, classes)
    if numbers.ndim != 1:
        rule = "must have the shape (examples,)"
        raise UsageError(key, rule, f"shape {numbers.shape}", "give one class number per example")
    return numbers


def _is_one_hot(numbers: NDArray[np.floating], classes: int | None) -> bool:
    """Returns whether the rows are one-hot, not (models, examples) of the labels 0 and 1."""
    if numbers.ndim not in (2, 3) or classes not in (None, numbers.shape[-1]):
        return False
    is_binary = ((numbers == 0) | (numbers == 1)).all()
    if not is_binary or not (numbers.sum(axis=-1) == 1).all():
        return False
    are_rows_equal = numbers.ndim == 2 and bool((numbers == numbers[0]).all())
    return classes is not None or not are_rows_equal


def _row_of_all_models(
    key: str, numbers: NDArray[np.floating], classes: int | None
) -> NDArray[np.floating]:
    """Returns the row that is the same for all models, of numbers (models, examples)."""
    differs = (numbers != numbers[0]) & ~(np.isnan(numbers) & np.isnan(numbers[0]))
    if not differs.any():
        return np.asarray(numbers[0])
    if classes == numbers.shape[1] and ((numbers >= 0) & (numbers <= 1)).all():
        _refuse_soft(key, numbers)
    model, example = first_index(differs)
    value = (
        f"{numbers[model, example]:g} for model {model}, example {example}, "
        f"and {numbers[0, example]:g} for model 0"
    )
    way_out = "order the examples of all models in the same way"
    raise UsageError(key, "must be the same for all models", value, way_out)


def _refuse_soft(key: str, numbers: NDArray[np.floating]) -> None:
    """Raises UsageError for rows (examples, classes) in [0, 1] that are not one-hot."""
    is_binary = (numbers == 0) | (numbers == 1)
    is_wrong = ~is_binary.all(axis=1) | (numbers.sum(axis=1) != 1)
    (example,) = first_index(is_wrong)
    row = ", ".join(f"{value:.3g}" for value in numbers[example, :10])
    rule = "must be class numbers or one-hot rows"
    way_out = "give the class numbers, such as labels.argmax(axis=1)"
    raise UsageError(key, rule, f"({row}) for example {example}", way_out)


def _refuse_text(key: str, array: Array) -> None:
    texts = array.ravel().astype(str)
    is_number = np.array([_is_whole_text(text) for text in texts])
    way_out = "convert them with numpy.asarray(labels, dtype=int)" if is_number.all() else NUMBERED
    first = describe_index((0,) * array.ndim, EXAMPLE)
    value = f"the text {str(texts[0])!r} for {first}"
    raise UsageError(key, "must be whole class numbers from 0", value, way_out)


def _is_whole_text(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _check_whole(key: str, numbers: NDArray[np.floating]) -> None:
    is_wrong = ~(np.floor(numbers) == numbers) | np.isinf(numbers)  # NaN equals nothing
    if not is_wrong.any():
        return
    (example,) = first_index(is_wrong)
    value = numbers[example]
    way_out = NUMBERED if np.isfinite(value) else "leave out the examples without a label"
    got = f"{value:g} for example {example}"
    raise UsageError(key, "must be whole class numbers from 0", got, way_out)


def _check_range(key: str, numbers: NDArray[np.floating], classes: int | None) -> None:
    limit = CLASSES.most if classes is None else classes
    is_wrong = (numbers < 0) | (numbers >= limit)
    if not is_wrong.any():
        return
    (example,) = first_index(is_wrong)
    lowest, highest = float(numbers.min()), float(numbers.max())
    way_out = NUMBERED
    if lowest == 1 and highest == limit:
        way_out = "number the classes from 0: subtract 1"
    elif lowest == -1 and set(np.unique(numbers)) <= {-1.0, 1.0}:
        way_out = "number the classes from 0: use (labels + 1) // 2"
    elif lowest < 0:
        way_out = "leave out the examples without a label"
    elif classes is not None:
        way_out = f"the outputs have {classes} classes; leave out other examples"
    got = f"{numbers[example]:.15g} for example {example}"
    raise UsageError(key, f"must be class numbers in 0..{limit - 1}", got, way_out)
