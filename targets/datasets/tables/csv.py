"""Tables in text files, such as CSV."""

from pathlib import Path
from typing import Literal

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.missing_text import MISSING
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.regular_file import check_regular_file
from mgaudit.targets.datasets.split import TEST_FRACTION
from mgaudit.targets.datasets.tables.cells import read_cells
from mgaudit.targets.datasets.tables.dataset_of_table import (
    IndexRule,
    MissingRule,
    MostCategories,
    TableOptions,
    TestFraction,
    dataset_of_table,
)
from mgaudit.targets.datasets.tables.labels import SpellingRule, refuse_missing_label
from mgaudit.targets.datasets.tables.layout import Layout, find_layout
from mgaudit.targets.datasets.tables.number_text import Marks, has_decimal_commas
from mgaudit.targets.datasets.tables.table import Table
from mgaudit.targets.datasets.tables.text_file import read_text

DecimalMark = Literal["auto", ".", ","]
ThousandsMark = Literal["none", ",", ".", "'", "space"]
THOUSANDS = {"none": "", "space": " "}


def read_csv(
    path: str,
    examples: int | None,
    generator: np.random.Generator,
    *,
    label: str = "label",
    drop: str = "",
    categorical: str = "",
    missing: MissingRule = "fill",
    index: IndexRule = "drop",
    labels: SpellingRule = "refuse",
    test_fraction: TestFraction = TEST_FRACTION,
    most_categories: MostCategories = None,
    separator: str = "auto",
    decimal: DecimalMark = "auto",
    thousands: ThousandsMark = "none",
    encoding: str = "auto",
) -> Dataset:
    """A table in a text file, such as CSV; its classes are in `label` or COLUMN of csv:PATH#COLUMN.

    The file has a header, and may be compressed. The separator, the encoding and the decimal comma
    are recognised. Numbers are features, and texts are categories, which become features of zeros
    and ones. Missing numbers become the median of the training rows, with a feature that marks
    them. Columns that identify rows are left out. A column `split` says which rows are test data;
    otherwise every third row of each class is. In messages, rows are numbered from 1, without the
    header.
    """
    file = Path(path)
    name = f"csv:{path}"
    key = f"dataset {name}"
    check_regular_file(key, file, "use --dataset csv:PATH or csv:PATH#COLUMN")
    text, notes = read_text(key, file, encoding)
    layout = find_layout(key, text, label, separator)
    refuse_missing_label(key, label, layout.columns)
    # Numbers of categories keep their leading zeros only as texts.
    text_columns = {label, categorical, *(name.strip() for name in categorical.split("|"))}
    table, marks, number_notes = _read_table(key, layout, text_columns, decimal, thousands)
    options = TableOptions(
        label=label,
        drop=drop,
        categorical=categorical,
        index=index,
        missing=missing,
        most_categories=most_categories,
        labels=labels,
        test_fraction=test_fraction,
    )
    whole = dataset_of_table(name, table, options, marks, [*notes, *layout.notes, *number_notes])
    return whole.drawn(examples, generator)


def _read_table(
    key: str,
    layout: Layout,
    text_columns: set[str],
    decimal: DecimalMark,
    thousands: ThousandsMark,
) -> tuple[Table, Marks, list[str]]:
    """Returns the table, the marks in its numbers, and notes about them."""
    thousands_mark = THOUSANDS.get(thousands, thousands)
    if decimal == thousands_mark:
        rule = "must differ from the decimal mark"
        raise UsageError(f"{key}: thousands", rule, repr(thousands), "name both marks")
    if decimal == "auto" and thousands_mark == ".":
        decimal = ","
    if decimal == ",":
        table = read_cells(key, layout, all_text=True)
        return table, Marks(",", thousands_mark), []
    table = read_cells(key, layout, text_columns)
    marks = Marks(".", thousands_mark)
    may_have_commas = decimal == "auto" and layout.separator != "," and thousands_mark != ","
    if may_have_commas and _has_decimal_commas(table, text_columns):
        table = read_cells(key, layout, all_text=True)
        return table, Marks(",", thousands_mark), ["The decimal mark is a comma."]
    return table, marks, []


def _has_decimal_commas(table: Table, text_columns: set[str]) -> bool:
    """Returns whether a column of features has numbers with a decimal comma."""
    for name, cells in table.columns.items():
        if name in text_columns or cells.dtype.kind != "O":
            continue
        texts = {cell for cell in cells.tolist() if cell is not None and cell not in MISSING}
        if has_decimal_commas(texts):
            return True
    return False
