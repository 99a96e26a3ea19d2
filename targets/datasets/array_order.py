"""Arrays that are given in another order than x_train, y_train, x_test and y_test."""

from collections.abc import Sequence
from typing import Any

from mgaudit.errors import UsageError

MOST_AXES = 8  # of nested lists; a list may contain itself
Shape = tuple[int, ...]


def refuse_other_order(key: str, names: Sequence[str], arrays: Sequence[Any]) -> None:
    """Raises UsageError where the shapes of arrays show that they are in another order.

    Args:
        key: Name of the data, for errors.
        names: Names of the arrays in the right order, with examples and labels in turns.
        arrays: Values of any kind; those without a shape are not judged.
    """
    shapes = [shape_of(values) for values in arrays]
    way_out = f"use the order {', '.join(names)}"
    if len(shapes) == 4 and _is_order_of_scikit_learn(shapes):
        rule = f"must have the arrays {', '.join(names)}"
        value = "the order x_train, x_test, y_train, y_test of scikit-learn's train_test_split"
        raise UsageError(key, rule, value, way_out)
    examples, labels = shapes[0], shapes[1]
    if len(examples) == 1 and len(labels) > 1 and labels[1] > 1:
        value = f"the shape {examples} for {names[0]} and {labels} for {names[1]}"
        rule = "must have the examples before their labels"
        raise UsageError(key, rule, value, way_out)


def _is_order_of_scikit_learn(shapes: Sequence[Shape]) -> bool:
    """Returns whether the shapes are those of x_train, x_test, y_train and y_test."""
    x_train, x_test, y_train, y_test = shapes
    if not all(shapes):
        return False
    fit = len(x_train) > 1 and x_train[1:] == x_test[1:] and y_train[1:] == y_test[1:]
    have_labels = x_train[0] == y_train[0] and x_test[0] == y_test[0]
    return fit and have_labels and x_train[1:] != y_train[1:]


def shape_of(values: Any, most_axes: int = MOST_AXES) -> Shape:
    """Returns the shape of an array or of nested lists; () for other values."""
    shape = getattr(values, "shape", None)
    if isinstance(shape, tuple):
        return shape
    if isinstance(values, list | tuple) and values and most_axes:
        return (len(values), *shape_of(values[0], most_axes - 1))
    return ()
