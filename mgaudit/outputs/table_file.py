"""Scores in CSV and Parquet files."""

from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.outputs.csv_table import read_csv_table
from mgaudit.outputs.outputs_file import FileKind, OutputsFile, counted, natural_order, shown
from mgaudit.outputs.parquet_table import read_parquet_table
from mgaudit.outputs.table import Column, Table

MEMBER = ("true", "yes", "1", "1.0", "in", "member")
NON_MEMBER = ("false", "no", "0", "0.0", "out")
NON_MEMBER_NAMES = (*NON_MEMBER, "non-member", "non_member", "non member", "nonmember")
MEMBERS = "write true or false, yes or no, 1 or 0, in or out, member or non-member"


def read_csv_scores(path: Path) -> OutputsFile:
    """Returns the scores in a CSV file with the columns score and member.

    Optional columns are model, example, label and group. Rows of several models need `example`, and
    every model needs a row for each example. A higher score means member.

    Raises:
        UsageError: For other tables; the message names the line and the column.
    """
    return _outputs("csv", f"CSV file {shown(path)}", read_csv_table(path))


def read_parquet_scores(path: Path) -> OutputsFile:
    """Returns the scores in a Parquet file with the columns of `read_csv_scores`.

    Raises:
        UsageError: As `read_csv_scores`, where rows are counted from 1, and where neither pyarrow
            nor fastparquet is installed.
    """
    return _outputs("parquet", f"Parquet file {shown(path)}", read_parquet_table(path))


def _outputs(kind: FileKind, file: str, table: Table) -> OutputsFile:
    membership = _membership(table)
    models, examples = _axes(table)
    cells = _cells(table, models, examples)
    shape = (len(models.texts), len(examples.texts))
    arguments: dict[str, Any] = {
        "scores": _spread(table.scores, cells, shape),
        "membership": _spread(membership, cells, shape),
    }
    _check_both(table, models, arguments["membership"])
    rows = _spread(np.arange(len(cells)), cells, shape)
    parts = [f"scores of {counted(shape[0], 'model')} for {counted(shape[1], 'example')}"]
    classes: tuple[str, ...] = ()
    if "label" in table.columns:
        arguments["labels"], classes = _labels(table, rows, models, examples)
        parts.append(f"labels of {counted(len(classes), 'class')}")
    if "group" in table.columns:
        groups = table.columns["group"]
        codes = _codes_of_examples(table, "group", rows, models, examples)
        arguments["groups"] = np.array(groups.texts)[codes]
        parts.append(f"{counted(len(groups.texts), 'group')}")
    if table.left_out:
        parts.append(f"left out the columns {', '.join(table.left_out)}")
    named = "example" in table.columns
    origins = [f"example {text}" if named else text for text in examples.texts]
    names = models.texts if "model" in table.columns else ()
    description = f"{file}: {', '.join(parts)}"
    return OutputsFile(kind, description, arguments, classes, tuple(origins), names)


def _membership(table: Table) -> NDArray[np.bool_]:
    """Returns whether each row is of a member (rows,), or raises UsageError for another text."""
    column = table.columns["member"]
    is_member = []
    for text in column.texts:
        lower = text.casefold()
        if lower not in MEMBER and lower not in NON_MEMBER_NAMES:
            row = column.first_row(text)
            assert row is not None
            table.refuse(row, "member", "must be true or false", repr(text), MEMBERS)
        is_member.append(lower in MEMBER)
    return np.array(is_member)[column.codes]


def _axes(table: Table) -> tuple[Column, Column]:
    """Returns the model, in natural order, and the example of each row."""
    rows = len(table.scores)
    models = table.columns.get("model", Column(np.zeros(rows, dtype=np.int64), ("",)))
    models = _sorted(models)
    if "example" in table.columns:
        return models, table.columns["example"]
    if len(models.texts) > 1:
        rule = "must have a column 'example' where it has several models"
        value = f"{len(models.texts)} models"
        way_out = "give each example the same name or number in the rows of all models"
        raise UsageError(table.key, rule, value, way_out)
    places = tuple(table.place(row) for row in range(rows))
    return models, Column(np.arange(rows), places)


def _sorted(column: Column) -> Column:
    texts = sorted(column.texts, key=natural_order)
    position_of = {text: position for position, text in enumerate(texts)}
    positions = np.array([position_of[text] for text in column.texts])
    return Column(positions[column.codes], tuple(texts))


def _cells(table: Table, models: Column, examples: Column) -> NDArray[np.int64]:
    """Returns the position (rows,) of each row in arrays (models, examples) without axes.

    Raises:
        UsageError: Where a model has an example twice or lacks one.
    """
    cells = models.codes * len(examples.texts) + examples.codes
    order = np.argsort(cells, kind="stable")
    is_repeated = np.diff(cells[order]) == 0
    if is_repeated.any():
        second = int(order[1:][is_repeated].min())
        first = int((cells == cells[second]).argmax())
        what = _pair(models, examples, *divmod(int(cells[second]), len(examples.texts)))
        value = f"two for {what}, in {table.place(first)} and {table.place(second)}"
        rule = "must have one row for each model and example"
        raise UsageError(table.key, rule, value, "leave one of them out")
    if len(cells) < len(models.texts) * len(examples.texts):
        _refuse_gap(table, models, examples)
    return cells


def _refuse_gap(table: Table, models: Column, examples: Column) -> NoReturn:
    counts = np.bincount(models.codes, minlength=len(models.texts))
    model = int((counts < len(examples.texts)).argmax())
    has_row = np.zeros(len(examples.texts), dtype=np.bool_)
    has_row[examples.codes[models.codes == model]] = True
    what = _pair(models, examples, model, int((~has_row).argmax()))
    rule = "must have one row for each model and example"
    way_out = "add the rows, or leave the example out for all models"
    raise UsageError(table.key, rule, f"none for {what}", way_out)


def _pair(models: Column, examples: Column, model: int, example: int) -> str:
    of_example = f"example {examples.texts[example]!r}"
    if models.texts == ("",):
        return of_example
    return f"model {models.texts[model]!r}, {of_example}"


def _spread(values: NDArray[Any], cells: NDArray[np.int64], shape: tuple[int, int]) -> NDArray[Any]:
    spread = np.empty(len(values), dtype=values.dtype)
    spread[cells] = values
    return spread.reshape(shape)


def _check_both(table: Table, models: Column, membership: NDArray[np.bool_]) -> None:
    examples = membership.shape[1]
    for model, members in zip(models.texts, membership.sum(axis=1).tolist(), strict=True):
        if members in (0, examples):
            value = f"{members} members of {counted(examples, 'example')}"
            value += f" for model {model!r}" if model else ""
            rule = "must have members and non-members for each model"
            raise UsageError(table.key, rule, value, "add rows of the other kind")


def _codes_of_examples(
    table: Table, name: str, rows: NDArray[np.int64], models: Column, examples: Column
) -> NDArray[np.int64]:
    """Returns the code of each example (examples,) in a column that is equal for all models.

    `rows` is the row of each model and example (models, examples).
    """
    column = table.columns[name]
    codes = column.codes[rows]
    differs = codes != codes[0]
    if differs.any():
        row = int(rows[differs].min())
        example = int(examples.codes[row])
        first = int(rows[0, example])
        rule = f"must be the same for all models of example {examples.texts[example]!r}"
        value = f"{column.texts[column.codes[row]]!r}, and {column.texts[codes[0, example]]!r} in "
        table.refuse(row, name, rule, f"{value}{table.place(first)}")
    return np.asarray(codes[0])


def _labels(
    table: Table, rows: NDArray[np.int64], models: Column, examples: Column
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Returns the class numbers (examples,) and the names of the classes in natural order.

    Raises:
        UsageError: Where two names differ only in case, or as numbers are equal.
    """
    column = table.columns["label"]
    seen: dict[object, str] = {}
    for text in column.texts:
        other = seen.setdefault(_same(text), text)
        if other != text:
            row, first = column.first_row(text), column.first_row(other)
            assert row is not None
            assert first is not None
            value = f"{text!r}, and {other!r} in {table.place(first)}"
            rule = "must be written in one way for each class"
            table.refuse(row, "label", rule, value, "write both in the same way")
    labels = _sorted(column)
    codes = _codes_of_examples(table, "label", rows, models, examples)
    position_of = {text: position for position, text in enumerate(labels.texts)}
    positions = np.array([position_of[text] for text in column.texts])
    return positions[codes], labels.texts


def _same(text: str) -> object:
    """Returns what is equal for texts that are probably meant as the same class."""
    try:
        return float(text)
    except ValueError:
        return text.casefold()
