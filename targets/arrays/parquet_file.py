"""Reading of tables in Parquet files."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.parquet_sizes import RULE, WAY_OUT, checked_texts
from mgaudit.targets.limits import TABLE_BYTES
from mgaudit.targets.own_module import one_line

if TYPE_CHECKING:
    from pandas import DataFrame

UNNAMED_INDEX = re.compile(r"__index_level_\d+__")  # the column of an index without a name


def read_parquet_frame(key: str, path: Path) -> "DataFrame":
    """Returns the table in a Parquet file, with the index as columns if it has names.

    What the file becomes in memory is compared with the limits before it is unpacked.

    Raises:
        UsageError: For another file, for one that is too large, and where neither pyarrow nor
            fastparquet is installed; `key` begins the message.
    """
    try:
        texts = checked_texts(key, path)
    except OSError as error:
        raise UsageError(key, "must be a file that can be read", one_line(error)) from error
    try:
        frame = _frame(key, path, texts)
    except UsageError:
        raise
    except ImportError as error:
        rule = "needs pyarrow or fastparquet to be read"
        way_out = "run pip install 'mgaudit[parquet]', or write a CSV file"
        raise UsageError(key, rule, None, way_out) from error
    except Exception as error:  # the libraries raise many kinds of errors
        raise UsageError(key, RULE, one_line(error), WAY_OUT) from error
    return _with_index(frame)


def _with_index(frame: "DataFrame") -> "DataFrame":
    """Returns the table with its index as columns, if that has names."""
    has_names = any(name is not None for name in frame.index.names)
    return frame.reset_index() if has_names else frame


def _frame(key: str, path: Path, texts: Sequence[str]) -> "DataFrame":
    """Returns the table in a file, in which equal texts of the columns `texts` are one object.

    Without pyarrow, pandas reads the file by fastparquet, which does that for all columns. Raises
    UsageError where the texts, each for itself, are too large.
    """
    import pandas as pd  # takes half a second, and no other kind of file needs it

    try:
        from pyarrow import parquet
    except ImportError:
        return pd.read_parquet(path)
    with parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        is_category = {field.name for field in file.schema_arrow if _is_dictionary(field.type)}
    if len(set(names)) < len(names):
        raise ValueError("two columns with the same name")
    asked = [name for name in texts if name not in is_category]
    with parquet.ParquetFile(path, read_dictionary=asked) as file:
        table = file.read()
    encoded = [name for name in asked if _is_dictionary(table.schema.field(name).type)]
    TABLE_BYTES.check(key, sum(map(_bytes_of_texts, table.columns)))
    rest = _with_index(table.drop_columns(encoded).to_pandas())
    index = rest.index if rest.columns.size else pd.RangeIndex(len(table))
    # As objects, because the texts of pandas are copies.
    columns = {name: pd.Series(_texts(table.column(name)), index, dtype=object) for name in encoded}
    return _in_order(pd.concat([rest, pd.DataFrame(columns, index)], axis=1), table)


def _is_dictionary(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_dictionary(kind))


def _bytes_of_texts(column: Any) -> int:
    """Returns the bytes of the texts of a column of categories, each for itself; 0 for others."""
    from pyarrow import compute, types

    if not _is_dictionary(column.type):
        return 0
    kind = column.type.value_type
    checks = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    if not any(is_kind(kind) for is_kind in checks):
        return 0
    size = 0
    for chunk in column.chunks:
        lengths = compute.binary_length(chunk.dictionary).to_numpy(zero_copy_only=False)
        positions = chunk.indices.drop_null().to_numpy(zero_copy_only=False)
        size += int(lengths[positions].sum(dtype=np.int64))
    return size


def _texts(column: Any) -> "np.ndarray[Any, np.dtype[np.object_]]":
    """Returns the texts of a column of categories (rows,), objects; None for a missing one."""
    parts = [np.empty(0, dtype=object)]
    for chunk in column.chunks:
        texts = np.array([*chunk.dictionary.to_pylist(), None], dtype=object)
        positions = chunk.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)
        parts.append(texts[positions])
    return np.concatenate(parts)


def _in_order(frame: "DataFrame", table: Any) -> "DataFrame":
    """Returns the table with its columns in the order of the file, those of its index first."""
    index = _index_columns(table)
    names = [name for name in table.column_names if name in frame.columns]
    order = [name for name in index if name in names]
    order += [name for name in names if name not in index]
    return frame[[name for name in order if not UNNAMED_INDEX.fullmatch(name)]]


def _index_columns(table: Any) -> list[str]:
    """Returns the columns that pandas wrote as the index of the table."""
    metadata = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
    return [name for name in metadata.get("index_columns", []) if isinstance(name, str)]
