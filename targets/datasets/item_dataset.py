"""Datasets in the manner of torch, which return one example with its label for each index."""

from typing import Any

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.array_like import ARRAY_MARKS, to_array
from mgaudit.targets.own_module import RAISED, error_line_with_place

READ_TWICE = 32  # examples; a random flip leaves all of them unchanged with probability 2**-32
WAY_OUT = "return the arrays x_train, y_train, x_test, y_test"


def is_item_dataset(values: object) -> bool:
    """Returns whether an object has items and a length, and is no array, list, mapping or text."""
    if isinstance(values, list | tuple | dict | str | bytes):
        return False
    is_array = any(hasattr(values, mark) for mark in ARRAY_MARKS if mark != "__iter__")
    has_items = hasattr(type(values), "__getitem__") and hasattr(type(values), "__len__")
    return has_items and not is_array and not hasattr(values, "keys")


def examples_and_labels(key: str, dataset: Any) -> tuple[Any, Any]:
    """Returns the examples and the labels of a dataset that returns pairs (x, y).

    Raises:
        UsageError: For other items, and where one of the first examples differs when it is read
            again, as with random augmentation.
    """
    tensors = getattr(dataset, "tensors", None)
    if isinstance(tensors, tuple) and len(tensors) == 2:
        return tensors
    try:
        items = [dataset[index] for index in range(len(dataset))]
        again = [dataset[index] for index in range(min(READ_TWICE, len(items)))]
    except RAISED as error:
        rule = f"failed: {error_line_with_place(error)}"
        raise UsageError(key, rule, None, "correct the dataset") from error
    if not items:
        raise UsageError(key, "must not be empty", "a dataset without items", WAY_OUT)
    for index, item in enumerate([*items, *again]):
        if not isinstance(item, list | tuple) or len(item) != 2:
            rule = "must return a pair (x, y) for each index"
            value = f"{type(item).__name__} for index {index}"
            raise UsageError(key, rule, value, WAY_OUT)
    examples = [x for x, _ in items]
    for index, (x, _) in enumerate(again):
        if not np.array_equal(to_array(key, examples[index]), to_array(key, x)):
            rule = "must return the same example each time that it is read"
            value = f"two values of example {index}"
            raise UsageError(key, rule, value, "leave out random augmentation")
    return examples, [y for _, y in items]
