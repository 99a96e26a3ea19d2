"""Logits of models, also from probabilities and from confidences."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.targets.arrays.array_like import describe_index, first_index, to_array
from mgaudit.targets.arrays.finite import NOT_FINITE, blocks, real_numbers, refuse_not_finite

Floats: TypeAlias = NDArray[np.floating]
OutputsKind: TypeAlias = Literal["logits", "probabilities", "auto"]

AXES = ("model", "example", "query", "class")
# bfloat16 rounds a probability by up to 1/512, and a row is a sum of such errors.
FLOAT_ERROR = 1 / 256
ROUNDED = 0.0005  # error of a probability with three decimals
MOST_ERROR = 0.1
MOSTLY = 0.5  # share of rows whose sum shows that an array contains probabilities


def as_logits(
    key: str,
    values: object,
    outputs: OutputsKind,
    clip: float,
    axes: Sequence[str] | None = None,
) -> Floats:
    """Returns finite logits (..., classes), float32 or float64, in the shape of `values`.

    A probability p becomes log(max(p, clip)) in float64. The logit of the label's probability is
    then log p_y - log sum_{j != y} p_j, which loses no digits where p_y is close to 1.

    Args:
        key: Name of the argument, for errors.
        values: Logits or probabilities with the classes on the last axis, such as (models,
            examples, queries, classes).
        outputs: What the values are. "auto" recognises probabilities by their row sums.
        clip: Smallest probability, greater than 0.
        axes: Names of the axes in the singular; None for the names that the number of axes implies.

    Raises:
        UsageError: For values that are not finite, for probabilities that are given as logits, for
            probabilities outside [0, 1] or whose rows do not sum to one, for a single column, and
            for other `outputs` or `clip`. The message names the model, the example and the value.

    >>> as_logits("logits", [[0.5, 0.5], [1.0, 0.0]], "probabilities", clip=0.01).round(3)
    array([[-0.693, -0.693],
           [ 0.   , -4.605]])
    """
    _check_settings(outputs, clip)
    names = AXES if axes is None else tuple(axes)
    array = real_numbers(key, to_array(key, values, names), names)
    names = _names_of_axes(names, array.ndim)
    _check_columns(key, array.shape, outputs)
    way_out = NOT_FINITE
    if array.min() == -np.inf and array.max() <= 0:  # logarithms of probabilities
        way_out = 'give the probabilities with outputs="probabilities"; they are clipped'
    refuse_not_finite(key, array, names, way_out)
    if outputs != "probabilities" and _are_probabilities(array):
        if outputs == "logits":
            rule = (
                "must be logits, but all values are in [0, 1] and the rows sum to one, "
                "as probabilities do"
            )
            raise UsageError(key, rule, None, 'give outputs="probabilities"')
        outputs = "probabilities"
    if outputs == "logits":
        return array
    if outputs == "auto":
        return _refuse_unclear(key, array, names)
    _check_probabilities(key, array, names)
    return np.asarray(np.log(np.maximum(array.astype(np.float64), clip)))


def confidence_logits(phi: Floats) -> Floats:
    """Returns two-class logits (..., 2) with the logit confidence phi (...) for the label 0.

    phi = log(p_y / (1 - p_y)) in nats. The logits are (phi, 0). Everything that depends only on
    the probability of the label is exact; the other classes are one.

    >>> confidence_logits(np.array([3.0, -1.0])).tolist()
    [[3.0, 0.0], [-1.0, 0.0]]
    """
    return np.stack([phi, np.zeros_like(phi)], axis=-1)


def _check_settings(outputs: str, clip: float) -> None:
    kinds = get_args(OutputsKind)
    if outputs not in kinds:
        rule = f"must be one of {', '.join(kinds)}"
        raise UsageError("outputs", rule, repr(outputs), did_you_mean(outputs, kinds))
    if not 0 < clip < 0.5:
        raise UsageError("clip", "must be > 0 and < 0.5", f"{clip}", "use a value such as 1e-6")


def _names_of_axes(names: Sequence[str], axes: int) -> tuple[str, ...]:
    """Returns a name for each axis, or none if their number is not known.

    Without queries, the axes are (models, examples, classes), and of one model (examples, classes).
    """
    if len(names) == axes:
        return tuple(names)
    known = {3: ("model", "example", "class"), 2: ("example", "class")}
    return known.get(axes, ())


def _check_columns(key: str, shape: tuple[int, ...], outputs: str) -> None:
    if len(shape) >= 2 and shape[-1] >= 2:
        return
    rule = "must have at least 2 classes on the last axis"
    join = "concatenate" if shape[-1:] == (1,) else "stack"
    way_out = f"for the logits z of class 1, give numpy.{join}([0 * z, z], axis=-1)"
    if outputs == "probabilities":
        way_out = f"for the probabilities p of class 1, give numpy.{join}([1 - p, p], axis=-1)"
    raise UsageError(key, rule, f"shape {shape}", way_out)


def _row_sum_error(classes: int) -> float:
    """Returns how far the sum of a row of probabilities may be from one."""
    return FLOAT_ERROR + min(MOST_ERROR, ROUNDED * classes)


def _are_probabilities(array: Floats) -> bool:
    """Returns whether all values are in [0, 1], and most rows sum to one.

    Not all rows must, so that a few damaged rows do not turn probabilities into logits.
    """
    if _first_outside(array) is not None:
        return False
    error = _row_sum_error(array.shape[-1])
    rows_in_total = array.size // array.shape[-1]
    sums_to_one = 0
    for _, block in blocks(array):
        sums = block.sum(axis=-1, dtype=np.float64)
        sums_to_one += int((np.abs(sums - 1) <= error).sum())
    return bool(sums_to_one > MOSTLY * rows_in_total)


def _first_outside(array: Floats) -> tuple[int, ...] | None:
    """Returns the index of the first value outside [0, 1], up to float error, or None."""
    for start, block in blocks(array):
        outside = (block < -1e-6) | (block > 1 + FLOAT_ERROR)
        if outside.any():
            first, *others = first_index(outside)
            return (start + first, *others)
    return None


def _check_probabilities(key: str, array: Floats, names: Sequence[str]) -> None:
    index = _first_outside(array)
    if index is not None:
        value = f"{array[index]:g} for {describe_index(index, names)}"
        way_out = 'give logits with outputs="logits"'
        total = float(array[index[:-1]].sum())
        if array.min() >= 0 and abs(total - 100) < 1:
            way_out = "divide percentages by 100"
        raise UsageError(key, "must be probabilities in [0, 1]", value, way_out)
    error = _row_sum_error(array.shape[-1])
    for start, block in blocks(array):
        sums = block.sum(axis=-1, dtype=np.float64)
        is_wrong = np.abs(sums - 1) > error
        if is_wrong.any():
            first, *others = inside = first_index(is_wrong)
            row = (start + first, *others)
            value = f"a sum of {sums[inside]:.6g} for {describe_index(row, names)}"
            way_out = 'divide each row by its sum, or give logits with outputs="logits"'
            raise UsageError(key, "must be probabilities that sum to one", value, way_out)


def _refuse_unclear(key: str, array: Floats, names: Sequence[str]) -> Floats:
    """Returns logits, or raises UsageError where they may be probabilities of separate classes."""
    if _first_outside(array) is not None:
        return array
    row = (0,) * (array.ndim - 1)
    rule = "must be logits, or probabilities that sum to one"
    value = (
        f"values in [0, 1] with a sum of {float(array[row].sum()):.6g} "
        f"for {describe_index(row, names)}"
    )
    raise UsageError(key, rule, value, 'give outputs="logits" or outputs="probabilities"')
