"""Names of arrays in files and mappings, such as `train_images`, and what they mean."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mgaudit.errors import UsageError

SPLIT_WORDS = {
    "train": ("train", "training", "tr"),
    "test": ("test", "testing", "te"),
    "validation": ("validation", "valid", "val", "dev"),
}
EXAMPLE_WORDS = (
    "x",
    "data",
    "image",
    "images",
    "input",
    "inputs",
    "feature",
    "features",
    "sample",
    "samples",
    "example",
    "examples",
)
LABEL_WORDS = ("y", "label", "labels", "target", "targets")
WORDS_WITHOUT_MEANING = ("set", "split", "orig", "array", "arr")
FOUR = ("x_train", "y_train", "x_test", "y_test")
TWO = ("x", "y")
# Names of one role in this order win over all others.
FIRST: dict[str, tuple[str, ...]] = {"x": ("x", "data"), "y": ("y", "target")}
RENAME = f"name the arrays {', '.join(FOUR)}, or {' and '.join(TWO)} if there is no test split"


@dataclass(frozen=True)
class ArrayNames:
    """The names of the arrays of a dataset, and the other names.

    `names` has the names of x_train, y_train, x_test and y_test, or those of x and y.
    """

    names: dict[str, str]
    left_out: tuple[str, ...]


def array_names(key: str, shapes: Mapping[str, Sequence[int]]) -> ArrayNames:
    """Returns which arrays are examples and labels, by their names.

    Args:
        key: Name of the data, for errors.
        shapes: Shape of each array by name; () if it is not known. Case, underscores and the order
            of words in a name do not matter.

    Raises:
        UsageError: Where arrays are missing, or two arrays have the same role.

    >>> array_names("data", {"Features": (3, 2), "labels": (3,), "names": (3,)})
    ArrayNames(names={'x': 'Features', 'y': 'labels'}, left_out=('names',))
    """
    candidates: dict[str, list[str]] = {}
    for name in shapes:
        candidates.setdefault(_role(name), []).append(name)
    roles = _roles(key, shapes, candidates)
    names = {role: _only(key, role, candidates[source]) for role, source in roles.items()}
    left_out = [name for name in shapes if name not in names.values()]
    return ArrayNames(names, tuple(left_out))


def left_out_notes(names: Sequence[str]) -> tuple[str, ...]:
    """Returns a sentence on the arrays or splits that are left out, if there are any."""
    return (f"These data were left out: {', '.join(names)}.",) if names else ()


def _role(name: str) -> str:
    """Returns "x_train" and its like, "x" or "y" without a split, or "" for other names."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    text = "".join(word for word in words if word not in WORDS_WITHOUT_MEANING)
    if text in EXAMPLE_WORDS or text in LABEL_WORDS:
        return "x" if text in EXAMPLE_WORDS else "y"
    for split, split_words in SPLIT_WORDS.items():
        for word in split_words:
            for rest in (text.removeprefix(word), text.removesuffix(word)):
                is_part = rest != text
                if is_part and rest in EXAMPLE_WORDS:
                    return f"x_{split}"
                if is_part and rest in LABEL_WORDS:
                    return f"y_{split}"
    return ""


def _roles(
    key: str, shapes: Mapping[str, Sequence[int]], candidates: Mapping[str, list[str]]
) -> dict[str, str]:
    """Returns the roles of the dataset, each with the role of the names that it is chosen from."""
    has_training_names = "x_train" in candidates or "y_train" in candidates
    has_test_names = "x_test" in candidates or "y_test" in candidates
    is_divided = has_training_names or has_test_names
    sources = {role: role for role in (FOUR if is_divided else TWO)}
    if not has_training_names and has_test_names:  # x and y beside x_test and y_test
        sources |= {"x_train": "x", "y_train": "y"}
    missing = [role for role, source in sources.items() if source not in candidates]
    if not missing:
        return sources
    content = ", ".join(_with_shape(name, shape) for name, shape in shapes.items()) or "no arrays"
    lacking = missing if is_divided else FOUR
    rule = f"must hold the arrays {', '.join(FOUR)}; missing {', '.join(lacking)}"
    raise UsageError(key, rule, content, _way_out(candidates))


def _with_shape(name: str, shape: Sequence[int]) -> str:
    return f"{name} {tuple(shape)}" if shape else name


def _way_out(candidates: Mapping[str, list[str]]) -> str:
    has_no_test_split = "x_train" in candidates and "x_test" not in candidates
    if has_no_test_split and "x_validation" in candidates:
        return "name the validation arrays x_test and y_test to use them as test data"
    if has_no_test_split and "y_train" in candidates:
        return "name the arrays x and y if a part of them is to become test data"
    return RENAME


def _only(key: str, role: str, names: list[str]) -> str:
    """Returns the name of the array for a role. Raises UsageError where it is not certain."""
    by_lower_case = {name.lower(): name for name in names}
    for preferred in (role, *FIRST.get(role, ())):
        if preferred.lower() in by_lower_case:
            return by_lower_case[preferred.lower()]
    if len(names) > 1:
        rule = f"must have one array for {role}"
        raise UsageError(key, rule, " and ".join(names), f"name the right one {role}")
    return names[0]
