"""Conversion of what users pass as an array: tensors, lists, tables and sparse matrices.

Other libraries are recognised by the module of their classes, so that none is imported here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError

Array = NDArray[Any]

ARRAYS = "use a NumPy array, a tensor, a DataFrame or nested lists of numbers"
TIMES = "turn times into numbers, such as the days since the first one"
RAGGED = "use the same examples, queries and classes for all models"
LARGEST_WHOLE = 2**53  # float64 has all whole numbers up to this one
INDEX_COLUMN = "Unnamed: 0"  # how pandas names an index that it wrote to a file and read back
ARRAY_MARKS = ("__array__", "__array_interface__", "__iter__", "shape")
SCALARS = (bool, int, float, complex, str, bytes, np.generic, type(None))


def to_array(
    key: str, values: object, axes: Sequence[str] = (), ragged_way_out: str = RAGGED
) -> Array:
    """Returns `values` as an array of numbers, bool or text that is not empty.

    Tensors are detached and copied to the CPU; bfloat16 becomes float32. Objects that are numbers
    become float64, and missing values become NaN.

    Args:
        key: Name of the argument, for errors.
        values: NumPy array, tensor of PyTorch, JAX, TensorFlow or CuPy, table or column of pandas
            or polars, sparse matrix, or lists and tuples of these or of numbers.
        axes: Names of the axes in the singular, such as "model", for errors.
        ragged_way_out: What to do about lists of different lengths.

    Raises:
        UsageError: For anything else; the message names the first wrong element.
    """
    try:
        array = _converted(_Reading(key, tuple(axes), ragged_way_out), values, ())
    except UsageError:
        raise
    except Exception as error:  # other libraries raise many kinds of errors
        value = f"{_kind(values)} ({type(error).__name__}: {error})"
        raise UsageError(key, "must be an array", value, ARRAYS) from error
    if array.dtype.kind not in "biufcUS":
        way_out = TIMES if array.dtype.kind in "mM" else ARRAYS
        raise UsageError(key, "must be an array of numbers", f"dtype {array.dtype}", way_out)
    if array.size == 0:
        raise UsageError(key, "must not be empty", f"shape {array.shape}")
    return array


def describe_index(index: Sequence[int], axes: Sequence[str]) -> str:
    """Returns an index in words, such as "model 3, example 7"; axes without a name are counted.

    >>> describe_index((3, 7), ("model", "example")), describe_index((3,), ())
    ('model 3, example 7', 'index 3')
    """
    if len(index) == 0:
        return "the only value"
    if len(index) > len(axes):
        return f"index {', '.join(map(str, index))}"
    names = list(axes)[: len(index)]
    return ", ".join(f"{name} {number}" for name, number in zip(names, index, strict=True))


def first_index(chosen: NDArray[np.bool_]) -> tuple[int, ...]:
    """Returns the index of the first True value; there must be one."""
    position = np.unravel_index(int(chosen.argmax()), chosen.shape)
    return tuple(int(number) for number in position)


@dataclass(frozen=True)
class _Reading:
    """The arguments of `to_array` that errors need."""

    key: str
    axes: tuple[str, ...]
    ragged_way_out: str

    def place(self, index: Sequence[int]) -> str:
        return describe_index(index, self.axes)


def _converted(reading: _Reading, values: object, parents: tuple[int, ...]) -> Array:
    """Returns the array of `values`, which lists contain at the index `parents`."""
    if isinstance(values, list | tuple):
        return _from_sequence(reading, values, parents)
    array = library_array(reading.key, values)
    if array.dtype.kind == "O":
        return _from_objects(reading, array, parents)
    # NumPy has no bfloat16 and float8; packages define them as types of kind V.
    if array.dtype.kind == "V" and "float" in array.dtype.name:
        return array.astype(np.float32)
    return np.array(array.tolist()) if array.dtype.kind == "T" else array


def library_array(key: str, values: object) -> Array:
    """Returns an array, a tensor, a table, a sparse matrix or an image as an array of any dtype.

    Raises:
        UsageError: For other objects, such as lists, and for masked values.
    """
    if isinstance(values, np.ma.MaskedArray):
        return _from_masked(key, values)
    if isinstance(values, np.ndarray | np.generic):
        return np.asarray(values)
    libraries = {base.__module__.partition(".")[0] for base in type(values).__mro__}
    if "torch" in libraries and hasattr(values, "detach"):
        return _from_torch(values)
    if "PIL" in libraries and hasattr(values, "convert"):
        return _from_image(values)
    if "cupy" in libraries and hasattr(values, "get"):
        return np.asarray(values.get())
    if "scipy" in libraries and hasattr(values, "toarray"):
        return np.asarray(values.toarray())
    if hasattr(values, "columns") and hasattr(values, "to_numpy"):
        return _from_table(key, values)
    if hasattr(values, "to_numpy") and "pyarrow" not in libraries:  # it refuses missing values
        return np.asarray(values.to_numpy())
    if isinstance(values, Real) or hasattr(values, "__array__"):
        return np.asarray(values)
    way_out = ARRAYS
    if isinstance(values, Mapping):
        way_out = "use list(values.values())"
    elif hasattr(values, "__iter__") and not isinstance(values, str | bytes):
        way_out = "use list(values)"
    raise UsageError(key, "must be an array", _kind(values), way_out)


def _from_torch(tensor: Any) -> Array:
    """Returns a tensor of any device, layout and type; types that NumPy lacks become float32."""
    dense = tensor.detach().cpu()
    if str(dense.layout) != "torch.strided":
        dense = dense.to_dense()
    if dense.is_quantized:
        dense = dense.dequantize()
    if str(dense.dtype).startswith(("torch.bfloat16", "torch.float8")):
        dense = dense.float()
    return np.asarray(dense.resolve_conj().resolve_neg().numpy())


def _from_image(image: Any) -> Array:
    """Returns an image of Pillow, uint8 (height, width) if grey, otherwise (height, width, 3).

    The numbers of other modes are not colours of pixels; those of palettes are numbers of colours.
    """
    has_high_depth = image.mode.startswith(("I", "F"))
    if has_high_depth or image.mode in ("L", "RGB"):
        return np.asarray(image)
    return np.asarray(image.convert("L" if image.mode in ("1", "LA") else "RGB"))


def _from_masked(key: str, values: "np.ma.MaskedArray[Any, Any]") -> Array:
    mask = np.ma.getmaskarray(values)
    if mask.any():
        rule = f"must have no masked values, but {int(mask.sum())} of {mask.size} are masked"
        index = describe_index(first_index(mask), ())
        raise UsageError(key, f"{rule}, the first at {index}", None, "leave out these examples")
    return np.asarray(values.data)


def _from_table(key: str, table: Any) -> Array:
    """Returns a table of pandas or polars; its columns must be numbers, or all of one type."""
    names = [str(name) for name in table.columns]
    if INDEX_COLUMN in names:
        rule = f"must not have the column {INDEX_COLUMN!r}, which is the index of a table"
        raise UsageError(key, rule, None, "use pandas.read_csv(path, index_col=0)")
    array = np.asarray(table.to_numpy())
    if array.dtype.kind in "fO":
        _refuse_rounded_column(key, table, names)
    if array.dtype.kind != "O":
        return array
    for number, name in enumerate(names):
        for row, value in enumerate(array[:, number]):
            if not _is_number(value):
                got = f"{value!r} in row {row}, column {name!r}"
                rule = "must have numbers in every column"
                raise UsageError(key, rule, got, "leave the column out, or turn it into numbers")
    return array


def _refuse_rounded_column(key: str, table: Any, names: list[str]) -> None:
    """Raises UsageError for whole numbers that the common type of all columns would round."""
    for number, name in enumerate(names):
        types = getattr(table, "dtypes", None)
        dtype = list(types)[number] if types is not None else None
        if getattr(dtype, "kind", "") not in ("i", "u"):
            continue
        column = np.asarray(table.iloc[:, number].dropna().to_numpy())
        is_large = (column > LARGEST_WHOLE) | (column < -LARGEST_WHOLE)
        if is_large.any():
            rule = "must have whole numbers up to 2**53 in a table that has other columns of floats"
            value = f"{column[is_large][0]} in column {name!r}"
            raise UsageError(key, rule, value, "subtract the smallest number of the column")


def _from_sequence(reading: _Reading, values: Sequence[object], parents: tuple[int, ...]) -> Array:
    """Returns lists and tuples, which may contain arrays, as one array.

    Raises:
        UsageError: Where the shapes of two items differ, or numbers and texts are mixed.
    """
    if not any(_is_nested(value) for value in values):
        return _from_scalars(reading, values, parents)
    items = [_converted(reading, value, (*parents, number)) for number, value in enumerate(values)]
    for number, item in enumerate(items):
        if item.shape != items[0].shape:
            where = reading.place((*parents, number))
            first = reading.place((*parents, 0))
            value = f"{item.shape} for {where}, and {items[0].shape} for {first}"
            rule = "must have items of the same shape"
            raise UsageError(reading.key, rule, value, reading.ragged_way_out)
    are_texts = [item.dtype.kind in "US" for item in items]
    if any(are_texts) and not all(are_texts):
        where = reading.place((*parents, are_texts.index(True)))
        raise UsageError(reading.key, "must be only numbers or only texts", f"a text for {where}")
    return np.stack(items)


def _from_scalars(reading: _Reading, values: Sequence[object], parents: tuple[int, ...]) -> Array:
    are_texts = [isinstance(value, str | bytes) for value in values]
    mixed = any(are_texts) and not all(are_texts)
    array = np.array(values, dtype=object) if mixed else np.array(values)
    return _from_objects(reading, array, parents) if array.dtype.kind == "O" else array


def _from_objects(reading: _Reading, values: Array, parents: tuple[int, ...]) -> Array:
    """Returns an array of objects as float64 or as text.

    Missing values of pandas become NaN.

    Raises:
        UsageError: For an object that is neither; the message names the first one.
    """
    flat = values.ravel().tolist()
    if flat and all(isinstance(value, str) for value in flat):
        return values.astype(str)
    if values.ndim == 1 and any(_is_nested(value) for value in flat):
        return _from_sequence(reading, flat, parents)
    if flat and all(_is_whole(value) for value in flat):
        exact = np.array([int(value) for value in flat])  # float64 would round large numbers
        return exact.reshape(values.shape) if exact.dtype.kind in "iu" else exact.astype(np.float64)
    for number, value in enumerate(flat):
        if not _is_number(value):
            index = [int(axis) for axis in np.unravel_index(number, values.shape)]
            where = reading.place((*parents, *index))
            got = f"{value!r} of type {type(value).__name__} for {where}"
            raise UsageError(reading.key, "must be an array of numbers", got, ARRAYS)
    numbers = [np.nan if _is_missing(value) else float(value) for value in flat]
    return np.array(numbers, dtype=np.float64).reshape(values.shape)


def _is_nested(value: object) -> bool:
    """Returns whether an item of a list is a list or an array."""
    if isinstance(value, SCALARS):
        return False
    return any(hasattr(value, name) for name in ARRAY_MARKS)


def _is_whole(value: object) -> bool:
    """Returns whether a value is an integer of Python or NumPy, without bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_missing(value: object) -> bool:
    """Returns whether a value is the missing value of pandas."""
    return type(value).__name__ == "NAType"


def _is_number(value: object) -> bool:
    """Returns whether `float` converts the object, which may be a tensor of one number."""
    if isinstance(value, str | bytes | complex | np.complexfloating | None) or hasattr(
        value, "__len__"
    ):
        return False
    return _is_missing(value) or hasattr(value, "__float__")


def _kind(values: object) -> str:
    """Returns the type of an object, and a text itself."""
    if isinstance(values, str | bytes):
        return f"the text {values!r}"
    return "None" if values is None else f"an object of type {type(values).__name__}"
