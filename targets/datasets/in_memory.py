"""Datasets of the objects that users have: arrays, pairs, mappings and datasets of torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.array_names import array_names, left_out_notes
from mgaudit.targets.datasets.array_order import shape_of
from mgaudit.targets.datasets.arrays import ARRAYS, from_arrays, from_named, from_pair
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.item_dataset import examples_and_labels, is_item_dataset
from mgaudit.targets.datasets.split import TEST_FRACTION

SPLITS = ("train", "test")
FORMS = (
    "must be a mgaudit.targets.datasets.Dataset, the arrays "
    f"({', '.join(ARRAYS)}), the pairs ((x_train, y_train), (x_test, y_test)), or (x, y)"
)


def from_object(name: str, value: Any, test_fraction: float = TEST_FRACTION) -> Dataset:
    """Returns the dataset of an object in memory.

    Args:
        name: Name of the dataset.
        value: A `Dataset`; the four arrays (x_train, y_train, x_test, y_test); the pairs
            ((x_train, y_train), (x_test, y_test)); examples and labels (x, y), which are divided by
            `split_by_fraction`; a mapping of such arrays by name; or a dataset in the manner of
            torch, or two of them.
        test_fraction: Share of test data where there is no test split, > 0 and < 1.

    Raises:
        UsageError: For other objects, and for arrays that break a rule of `from_arrays`.
    """
    key = f"dataset {name}"
    if isinstance(value, Dataset):
        return value
    fields = getattr(value, "_fields", None)  # a named tuple
    if isinstance(value, tuple) and fields is not None:
        value = _of_named_tuple(value, fields)
    if isinstance(value, Mapping):
        return _from_mapping(name, value, test_fraction)
    if is_item_dataset(value):
        x, y = examples_and_labels(key, value)
        return from_pair(name, x, y, test_fraction=test_fraction)
    if isinstance(value, list | tuple) and len(value) == len(ARRAYS):
        return from_arrays(name, *value)
    if isinstance(value, list | tuple) and len(value) == 2:
        return _from_two(name, value, test_fraction)
    raise UsageError(key, FORMS, _describe(value), _way_out(value))


def _of_named_tuple(value: tuple[Any, ...], fields: tuple[str, ...]) -> Any:
    """Returns a mapping of the fields if they have names of arrays, otherwise the tuple."""
    try:
        array_names("", dict.fromkeys(fields, ()))
    except UsageError:
        return tuple(value)
    return dict(zip(fields, value, strict=True))


def _from_mapping(name: str, values: Mapping[Any, Any], test_fraction: float) -> Dataset:
    """Returns the dataset of arrays by name, or of the splits `train` and `test` by name."""
    key = f"dataset {name}"
    arrays = _with_texts(values)
    splits = {split.lower(): value for split, value in arrays.items()}
    if all(split in splits for split in SPLITS):
        pairs = [_pair(f"{key}: {split}", splits[split]) for split in SPLITS]
        others = [split for split in splits if split not in SPLITS]
        return from_arrays(name, *pairs[0], *pairs[1], notes=left_out_notes(others))
    shapes = {array_name: shape_of(value) for array_name, value in arrays.items()}
    chosen = array_names(key, shapes)
    named = {role: arrays[array_name] for role, array_name in chosen.names.items()}
    notes = left_out_notes([other for other in chosen.left_out if shapes[other]])
    return from_named(name, named, test_fraction, notes)


def _with_texts(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Returns a mapping with its keys as texts; files of Python 2 have bytes."""
    return {
        key.decode(errors="replace") if isinstance(key, bytes) else str(key): value
        for key, value in values.items()
    }


def _from_two(name: str, values: Sequence[Any], test_fraction: float) -> Dataset:
    """Returns the dataset of two splits, or of examples and labels."""
    key = f"dataset {name}"
    if all(_is_split(value) for value in values):
        (x_train, y_train), (x_test, y_test) = (
            _pair(f"{key}: {split}", value) for split, value in zip(SPLITS, values, strict=True)
        )
        return from_arrays(name, x_train, y_train, x_test, y_test)
    x, y = values
    return from_pair(name, x, y, test_fraction=test_fraction)


def _is_split(value: Any) -> bool:
    """Returns whether a value has examples and their labels: a pair, a mapping or a dataset."""
    if isinstance(value, Mapping) or is_item_dataset(value):
        return True
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    examples, labels = shape_of(value[0]), shape_of(value[1])
    return len(examples) > 1 and len(labels) > 0 and examples[0] == labels[0]


def _pair(key: str, value: Any) -> tuple[Any, Any]:
    """Returns examples and labels of one split, in a form of `_is_split`."""
    if isinstance(value, Mapping):
        arrays = _with_texts(value)
        shapes = {array_name: shape_of(array) for array_name, array in arrays.items()}
        chosen = array_names(key, shapes)
        if len(chosen.names) == 2:
            return arrays[chosen.names["x"]], arrays[chosen.names["y"]]
    elif is_item_dataset(value):
        return examples_and_labels(key, value)
    elif isinstance(value, list | tuple) and len(value) == 2:
        return value[0], value[1]
    raise UsageError(key, "must have examples and labels (x, y)", _describe(value))


def _describe(value: object) -> str:
    """Returns the name of the object's type, and for a tuple or list those of its items."""
    kind = type(value).__name__
    if isinstance(value, list | tuple):
        types = ", ".join(type(item).__name__ for item in value[:10])
        return f"a {kind} of {types or 'nothing'}"
    return kind


def _way_out(value: object) -> str:
    """Returns what to do instead of some frequent mistakes."""
    if value is None:
        return "end the function with return x_train, y_train, x_test, y_test"
    if isinstance(value, list | tuple) and len(value) in (3, 6):
        return "leave the validation data out"
    if hasattr(value, "columns"):
        return "give the columns of the features and the column of the labels, as (x, y)"
    if hasattr(value, "shape"):
        return "give the labels of the examples too, as (x, y)"
    if hasattr(value, "dataset"):
        return "return the dataset of the loader"
    if hasattr(value, "__next__"):
        return "return arrays instead of a generator"
    return ""
