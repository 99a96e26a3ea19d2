"""Reading of tables in Parquet files."""

from pathlib import Path
from typing import TYPE_CHECKING

from mgaudit.errors import UsageError
from mgaudit.targets.own_module import one_line

if TYPE_CHECKING:
    from pandas import DataFrame


def read_parquet_frame(key: str, path: Path) -> "DataFrame":
    """Returns the table in a Parquet file, with the index as columns if it has names.

    Raises:
        UsageError: For another file, and where neither pyarrow nor fastparquet is installed; `key`
            begins the message.
    """
    import pandas as pd  # takes half a second, and no other kind of file needs it

    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        rule = "needs pyarrow or fastparquet to be read"
        way_out = "run pip install 'mgaudit[parquet]', or write a CSV file"
        raise UsageError(key, rule, None, way_out) from error
    except Exception as error:  # the libraries raise many kinds of errors
        rule = "must be a Parquet file"
        raise UsageError(key, rule, one_line(error), "write it again") from error
    has_names = any(name is not None for name in frame.index.names)
    return frame.reset_index() if has_names else frame
