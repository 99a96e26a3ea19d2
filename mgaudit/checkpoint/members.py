"""Members and non-members of a checkpoint, as the user gives them: indices, a mask or a file."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.limits import MEMBERS
from mgaudit.targets.arrays.array_like import first_index, to_array
from mgaudit.targets.arrays.finite import real_numbers
from mgaudit.targets.arrays.npy_array import load_npy
from mgaudit.targets.home import with_home

Indices = NDArray[np.int64]
RANGES = re.compile(r"\d+:\d+(,\d+:\d+)*")  # such as 0:600, without its end as in Python
MOST_DIGITS = 20
TEXT_FILES = (".txt", ".csv", ".tsv")
FORMS = "give indices, a mask, a range such as 0:600, or a .npy, .txt or .csv file with them"
TRUTHS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class AuditedExamples:
    """The examples that a checkpoint is audited on.

    `indices` are positions in the training split (audited,), int64, ascending. `is_member`
    (audited,), bool, says whether the checkpoint was trained on the example.
    """

    indices: Indices
    is_member: NDArray[np.bool_]


@dataclass(frozen=True)
class _Given:
    """Numbers or a mask of the user (values,), with `key` for errors and where a value is."""

    key: str
    values: NDArray[Any]
    place: Callable[[int], str]


def audited_examples(members: object, non_members: object, examples: int) -> AuditedExamples:
    """Returns the examples that are members or non-members.

    Args:
        members: Indices in 0..examples - 1, a mask (examples,), or the text of a range or of a path
            of a file with one of them.
        non_members: The same; None are all examples that are not members.
        examples: Number of examples in the training split.

    Raises:
        UsageError: For indices out of range, twice, or in both, and without members or non-members.
    """
    inside = example_indices("members", members, examples)
    if non_members is None:
        outside = np.setdiff1d(np.arange(examples), inside)
        if not len(outside):
            rule = f"must leave out some of the {examples} examples, which are the non-members"
            raise UsageError("members", rule, "all of them", "use data with other examples too")
    else:
        outside = example_indices("non_members", non_members, examples)
    both = np.intersect1d(inside, outside)
    if len(both):
        rule = "must not be members too"
        value = f"{len(both)} that are, the first is example {both[0]}"
        raise UsageError("non_members", rule, value, "leave them out of one of the two")
    indices = np.sort(np.concatenate([inside, outside]))
    return AuditedExamples(indices, np.isin(indices, inside))


def without_copies(audited: AuditedExamples, first: Indices) -> tuple[AuditedExamples, list[str]]:
    """Returns the audited examples without non-members that are exact copies of members.

    The checkpoint was trained on such an example, as its copy. The second item has a sentence about
    what was left out; it is empty if nothing was.

    Args:
        audited: Members and non-members.
        first: A number of each training example (examples,) that is equal for exact copies.

    Raises:
        UsageError: Where all non-members are copies of members.
    """
    groups = first[audited.indices]
    is_copy = ~audited.is_member & np.isin(groups, groups[audited.is_member])
    count, non_members = int(is_copy.sum()), int((~audited.is_member).sum())
    if not count:
        return audited, []
    if count == non_members:
        rule = "must be other examples than the members"
        value = f"{count} that are all exact copies of members"
        raise UsageError("non_members", rule, value, "give examples that are not among them")
    kept = AuditedExamples(audited.indices[~is_copy], audited.is_member[~is_copy])
    note = f"Non-members that are exact copies of members were left out: {count} of {non_members}."
    return kept, [note]


def example_indices(key: str, values: object, examples: int) -> Indices:
    """Returns the indices that the user gave under the name `key`, ascending, int64.

    Raises:
        UsageError: For values that are no indices or mask of the examples, and for none.
    """
    given = _given(key, values)
    if given.values.ndim != 1:
        rule = "must have one axis, of indices or of a mask"
        raise UsageError(given.key, rule, f"shape {given.values.shape}", FORMS)
    if _is_mask(given.values, examples):
        indices = np.flatnonzero(given.values)
    else:
        _check_indices(given, examples)
        indices = np.sort(given.values.astype(np.int64))
    if not len(indices):
        raise UsageError(given.key, "must have at least one example", "none", FORMS)
    return indices


def _is_mask(values: NDArray[Any], examples: int) -> bool:
    """Returns whether the values are a mask: bool, or 0 and 1 for each of more than 2 examples."""
    if len(values) != examples:
        return False
    return values.dtype == np.bool_ or (examples > 2 and bool(np.isin(values, (0, 1)).all()))


def _check_indices(given: _Given, examples: int) -> None:
    """Raises UsageError unless the values are different whole numbers in 0..examples - 1."""
    values = given.values
    if values.dtype == np.bool_:
        rule = f"must have a value for each of the {examples} training examples if it is a mask"
        raise UsageError(given.key, rule, f"{len(values)} values", FORMS)
    is_wrong = (values != np.floor(values)) | (values < 0) | (values >= examples)
    if is_wrong.any():
        (first,) = first_index(is_wrong)
        rule = f"must be indices of training examples, 0..{examples - 1}"
        raise UsageError(given.key, rule, f"{values[first]:g}{given.place(first)}", FORMS)
    numbers, counts = np.unique(values, return_counts=True)
    if (counts > 1).any():
        repeated = numbers[counts > 1][0]
        second = int(np.flatnonzero(values == repeated)[1])
        value = f"{repeated:g} twice{given.place(second)}"
        raise UsageError(given.key, "may have each example once", value, "leave one of them out")


def _given(key: str, values: object) -> _Given:
    """Returns what the user gave as an array of numbers or bool."""
    if isinstance(values, str) and RANGES.fullmatch(values):
        return _Given(key, _of_ranges(key, values), lambda _: f" in {values}")
    if isinstance(values, str | Path):
        return _of_file(key, with_home(values, key))
    if isinstance(values, range):
        values = list(values)
    array = to_array(key, values, ("value",))
    return _Given(key, _numbers(key, array), _no_place)


def _no_place(index: int) -> str:
    return f" at index {index}"


def _numbers(key: str, array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype == np.bool_ else real_numbers(key, array, ("value",))


def _of_ranges(key: str, text: str) -> NDArray[np.float64]:
    parts = []
    for part in text.split(","):
        # Python refuses to read numbers of thousands of digits.
        first, end = (int(number[:MOST_DIGITS]) for number in part.split(":"))
        if first >= end:
            raise UsageError(key, "must be a range FIRST:END with FIRST < END", part)
        MEMBERS.check(key, end)
        parts.append(np.arange(first, end, dtype=np.float64))
    return np.concatenate(parts)


def _of_file(key: str, path: Path) -> _Given:
    """Returns the numbers in a .npy file, or in a text file with one number a line."""
    file_key = f"{key} {path}"
    suffix = path.suffix.lower()
    if not path.is_file():
        raise UsageError(file_key, "must be a file or a range", "no such file", FORMS)
    try:
        if suffix == ".npy":
            array = np.array(load_npy(file_key, path))
            return _Given(file_key, _numbers(file_key, array), _no_place)
        if suffix in TEXT_FILES:
            return _of_text(file_key, path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(file_key, "must be text in UTF-8", str(error), FORMS) from error
    except csv.Error as error:
        raise UsageError(file_key, "must have one number in a line", str(error), FORMS) from error
    except OSError as error:
        rule = f"cannot be read: {error.strerror or error}"
        raise UsageError(file_key, rule, None, "check its permissions") from error
    raise UsageError(file_key, "must be a .npy, .txt or .csv file", suffix or None, FORMS)


def _of_text(key: str, text: str) -> _Given:
    """Returns the numbers of a text, one a line; the first line may be a header.

    Blank lines are skipped. `true` and `false` are those of a mask.
    """
    rows = [(line, row) for line, row in enumerate(csv.reader(text.splitlines()), 1) if any(row)]
    numbers: list[float] = []
    lines: list[int] = []
    for position, (line, row) in enumerate(rows):
        cell = row[0].strip().lower()
        if len(row) > 1 or len(cell.split()) > 1 or ";" in cell:
            rule = "must have one number in a line"
            raise UsageError(key, rule, f"{', '.join(row)!r} in line {line}", "keep one column")
        number = TRUTHS.get(cell)
        if number is None:
            number = _number(cell)
        if number is None:
            if position == 0:
                continue  # the header
            raise UsageError(key, "must have numbers", f"{row[0]!r} in line {line}", FORMS)
        numbers.append(number)
        lines.append(line)
    return _Given(key, np.array(numbers), lambda index: f" in line {lines[index]}")


def _number(text: str) -> float | None:
    """Returns the finite number that a text is; None for other texts."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
