"""The classes in the label column of a table."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.targets.arrays.label_spelling import plain_spelling
from mgaudit.targets.arrays.missing_text import MISSING
from mgaudit.targets.datasets.tables.number_text import Marks
from mgaudit.targets.datasets.tables.table import Cells

SpellingRule = Literal["refuse", "merge", "keep"]
MISSING_OR_NAME = frozenset({"None"})
FEWEST_ROWS = 3  # of a class: one of them for testing, and two that may be members
MOST_COLUMNS_SHOWN = 10
FEW_NUMBERS = 20  # so many different whole numbers are classes
ROWS_OF_CLASS = 10  # fewer rows than this for each of many numbers: they are no classes


@dataclass(frozen=True)
class ClassLabels:
    """The classes of a table.

    `names` are in the order of their numbers, and `labels` has the number of the class of each row
    (rows,), int64. `notes` say how they were read.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LabelReader:
    """Reads the classes of a table.

    Args:
        key: Name of the dataset, for errors.
        column: Name of the label column.
        rows: The number of each row in the file (rows,), int64, for errors.
        marks: The marks in numbers.
        spellings: What to do with labels that differ only in form: "refuse" them, "merge" them, or
            "keep" each label as a class, also if it is a number with a fraction.
    """

    key: str
    column: str
    rows: NDArray[np.int64]
    marks: Marks
    spellings: SpellingRule

    def read(self, cells: Cells) -> ClassLabels:
        """Returns the classes of the texts (rows,), which are None in an empty cell.

        The classes are in numerical order if all are numbers, otherwise in alphabetical order.

        Raises:
            UsageError: For a row without a class, numbers that are no classes, and classes that
                differ only in form.
        """
        texts = cells.tolist()
        self._refuse_class_as_header(texts)
        notes = self._refuse_missing(texts)
        if self.spellings != "keep":
            self._refuse_regression(texts)
            notes += self._refuse_forms(texts)
        if self.spellings == "merge":
            name_of = _most_frequent_forms(texts)
            texts = [name_of[text] for text in texts]
        names = self._ordered(set(texts))
        if len(names) < 2:
            rule = f"must have at least 2 classes in the label column {self.column!r}"
            raise UsageError(self.key, rule, str(names))
        number_of = {name: number for number, name in enumerate(names)}
        labels = np.array([number_of[text] for text in texts], dtype=np.int64)
        return ClassLabels(tuple(names), labels, tuple(notes))

    def _ordered(self, names: set[str]) -> list[str]:
        numbers = {name: self.marks.number(name) for name in names}
        values = {name: number for name, number in numbers.items() if number is not None}
        if len(values) == len(names):
            return sorted(sorted(names), key=values.__getitem__)
        return sorted(names)

    def _refuse_class_as_header(self, texts: Sequence[str | None]) -> None:
        """Raises UsageError where a class is the name of the column, as in a file without one."""
        if self.column in texts:
            row = self.rows[texts.index(self.column)]
            rule = (
                "must have a header, in which the name of the label column is none of its classes"
            )
            value = f"{self.column!r}, which is also in row {row}"
            way_out = "add a first line with the names of the columns"
            raise UsageError(self.key, rule, value, way_out)

    def _refuse_missing(self, texts: list[str | None]) -> list[str]:
        """Raises UsageError for a row without a class; returns notes about names like `None`."""
        has_empty = None in texts
        if has_empty:
            index = texts.index(None)
            value = f"none in row {self.rows[index]}, column {self.column!r}"
            way_out = "fill it in or leave the row out"
            raise UsageError(self.key, "must hold a value in every cell", value, way_out)
        counts = Counter(texts)
        others = [text for text in counts if text is not None and text not in MISSING]
        all_numbers = bool(others) and all(self.marks.number(text) is not None for text in others)
        names = []
        for text in counts:
            if text not in MISSING:
                continue
            is_name = text in MISSING_OR_NAME and counts[text] >= FEWEST_ROWS and not all_numbers
            if not is_name and self.spellings != "keep":
                value = f"{text!r} in row {self._row(texts, text)}, column {self.column!r}"
                way_out = (
                    "fill it in, leave the row out, or read it as a class with the option "
                    "labels=keep"
                )
                raise UsageError(self.key, "must hold a class in every row", value, way_out)
            names.append(text)
        return [f"{text!r} is read as a class, not as a missing value." for text in names]

    def _refuse_regression(self, texts: list[str]) -> None:
        """Raises UsageError for labels that are numbers to predict, and no classes."""
        numbers = [self.marks.number(text) for text in set(texts)]
        values = [number for number in numbers if number is not None]
        if len(values) < len(numbers):
            return
        fractions = [text for text in texts if _has_fraction(self.marks.number(text))]
        distinct = len(set(values))
        rows_of_each = len(texts) / distinct
        is_range = max(values) - min(values) + 1 == distinct
        are_many = distinct > FEW_NUMBERS and (
            rows_of_each < FEWEST_ROWS or (rows_of_each < ROWS_OF_CLASS and not is_range)
        )
        if not fractions and not are_many:
            return
        rule = f"must have classes in the label column {self.column!r}"
        value = f"{distinct} different numbers, which look like a regression target"
        if fractions:
            row = self._row(texts, fractions[0])
            value = f"{fractions[0]!r} in row {row}, which looks like a regression target"
        way_out = "divide the numbers into classes, or read each as a class with labels=keep"
        raise UsageError(self.key, rule, value, way_out)

    def _refuse_forms(self, texts: list[str]) -> list[str]:
        """Returns notes on labels that differ only in form, or raises UsageError for them."""
        spellings: dict[str, list[str]] = {}
        for text in dict.fromkeys(texts):
            spellings.setdefault(plain_spelling(text), []).append(text)
        notes = []
        for texts_of_form in spellings.values():
            if len(texts_of_form) < 2:
                continue
            if self.spellings == "refuse":
                self._refuse_two_forms(texts, texts_of_form)
            merged = ", ".join(map(repr, texts_of_form))
            notes.append(f"Labels that differ only in form are one class: {merged}.")
        return notes

    def _refuse_two_forms(self, texts: list[str], spellings: list[str]) -> None:
        first, second = spellings[:2]
        rule = f"must have one spelling of each class in column {self.column!r}"
        value = (
            f"{first!r} in row {self._row(texts, first)} and "
            f"{second!r} in row {self._row(texts, second)}"
        )
        way_out = "correct them, or use labels=merge for one class or labels=keep for several"
        raise UsageError(self.key, rule, value, way_out)

    def _row(self, texts: Sequence[str | None], text: str | None) -> int:
        return int(self.rows[texts.index(text)])


def _most_frequent_forms(texts: list[str]) -> dict[str, str]:
    """Returns the name of the class of each label: its most frequent form, then the first one."""
    counts = Counter(sorted(texts))
    name_of_form: dict[str, str] = {}
    for text, _ in counts.most_common():
        name_of_form.setdefault(plain_spelling(text), text)
    return {text: name_of_form[plain_spelling(text)] for text in counts}


def _has_fraction(number: float | None) -> bool:
    return isinstance(number, float) and not number.is_integer()


def refuse_missing_label(key: str, column: str, names: Iterable[str]) -> None:
    """Raises UsageError if no column has the name of the label column; it lists the columns."""
    names = list(names)
    if column in names:
        return
    known = ", ".join(names[:MOST_COLUMNS_SHOWN])
    if len(names) > MOST_COLUMNS_SHOWN:
        known += ", …"
    rule = f"must have the label column {column!r}"
    way_out = "name the label column after the path, as in PATH#COLUMN"
    nearest = did_you_mean(column, names)
    raise UsageError(key, rule, f"the columns {known}", f"{nearest} {way_out}".strip())


def refuse_rare_classes(key: str, column: str, classes: ClassLabels, rows: Cells) -> None:
    """Raises UsageError for a class with fewer than `FEWEST_ROWS` rows.

    `rows` has the number of each row in the file.
    """
    counts = np.bincount(classes.labels, minlength=len(classes.names))
    rarest = int(counts.argmin())
    if counts[rarest] >= FEWEST_ROWS:
        return
    first = rows[int((classes.labels == rarest).argmax())]
    raise UsageError(
        key,
        f"must have at least {FEWEST_ROWS} rows of each class in column {column!r}, "
        "one of them for testing",
        f"{counts[rarest]} of {classes.names[rarest]!r}, in row {first}",
        "add rows, or leave the class out",
    )
