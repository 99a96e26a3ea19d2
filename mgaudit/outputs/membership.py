"""Which model trained on which example."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.array_like import describe_index, first_index, to_array
from mgaudit.targets.arrays.finite import real_numbers

AXES = ("model", "example")
BOOL = "must be True or False, or only 1 and 0"
INDICES = (
    "if these are the indices of members, use numpy.isin(numpy.arange(examples), indices) "
    "for each model"
)


def as_membership(key: str, values: object, models: int, examples: int) -> NDArray[np.bool_]:
    """Returns the membership (models, examples), bool, True where the model trained on the example.

    Args:
        key: Name of the argument, for errors.
        values: Membership (models, examples) of bool or of 0 and 1; (examples,) for one model.
        models: Number of models.
        examples: Number of examples.

    Raises:
        UsageError: For other values and shapes, and for a model without members or non-members.

    >>> as_membership("membership", [1, 0, 0], models=1, examples=3)
    array([[ True, False, False]])
    """
    array = to_array(key, values, AXES, INDICES)
    if array.dtype.kind in "US":
        where = describe_index((0,) * array.ndim, AXES[-array.ndim :])
        value = f"the text {str(array.ravel()[0])!r} for {where}"
        raise UsageError(key, BOOL, value, "compare the texts, as in membership == 'member'")
    numbers = real_numbers(key, array, AXES)
    _refuse_indices(key, numbers, examples)
    _check_shape(key, numbers.shape, models, examples)
    numbers = numbers.reshape(models, examples)
    _check_values(key, numbers)
    membership: NDArray[np.bool_] = numbers == 1
    _check_both(key, membership)
    return membership


def _refuse_indices(key: str, numbers: NDArray[np.floating], examples: int) -> None:
    """Raises UsageError for rows of different whole numbers that can be indices of examples."""
    rows = np.atleast_2d(numbers)
    if rows.ndim != 2 or not (rows > 1).any() or not (np.floor(rows) == rows).all():
        return
    ordered = np.sort(rows, axis=1)
    are_distinct = bool((np.diff(ordered, axis=1) > 0).all())
    if are_distinct and rows.min() >= 0 and rows.max() < examples:
        index = first_index(numbers > 1)
        value = f"{numbers[index]:g} for {describe_index(index, AXES[-numbers.ndim :])}"
        raise UsageError(key, BOOL, value, INDICES)


def _check_shape(key: str, shape: tuple[int, ...], models: int, examples: int) -> None:
    if shape == (models, examples) or (models == 1 and shape == (examples,)):
        return
    rule = f"must have the shape (models, examples) = ({models}, {examples})"
    way_out = "give a row for each model and a column for each example"
    if shape == (examples, models):
        way_out = "exchange the axes: use membership.T"
    elif shape == (examples,):
        way_out = "give a row for each model, not one for all"
    elif shape == (models,):
        way_out = "give a value for each example of each model"
    raise UsageError(key, rule, f"shape {shape}", way_out)


def _check_values(key: str, numbers: NDArray[np.floating]) -> None:
    is_wrong = (numbers != 0) & (numbers != 1)
    if not is_wrong.any():
        return
    index = first_index(is_wrong)
    way_out = "give True where the model trained on the example, and False elsewhere"
    if np.isin(numbers, (-1, 1)).all():
        way_out = "use membership > 0"
    elif np.isnan(numbers[index]):
        way_out = "leave out the examples whose membership is not known"
    elif ((numbers >= 0) & (numbers <= 1)).all():
        way_out = "give the true membership; scores of an attack belong into scores"
    value = f"{numbers[index]:g} for {describe_index(index, AXES)}"
    raise UsageError(key, BOOL, value, way_out)


def _check_both(key: str, membership: NDArray[np.bool_]) -> None:
    examples = membership.shape[1]
    for model, members in enumerate(membership.sum(axis=1).tolist()):
        if members in (0, examples):
            missing = "members" if members == 0 else "non-members"
            rule = "must have members and non-members for each model"
            value = f"{members} of {examples} examples as members of model {model}"
            way_out = f"add examples that are {missing} of model {model}, or leave the model out"
            raise UsageError(key, rule, value, way_out)
