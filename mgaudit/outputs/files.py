"""Reading of outputs from files and directories."""

from collections.abc import Callable
from pathlib import Path

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.outputs.lira_folder import read_lira_folder
from mgaudit.outputs.npz_file import EXAMPLE, read_npz
from mgaudit.outputs.outputs_file import OutputsFile, shown
from mgaudit.outputs.table_file import read_csv_scores, read_parquet_scores

__all__ = ["OutputsFile", "read_outputs"]

KINDS = "a npz, CSV or Parquet file, or a directory of experiments of LiRA code"
READERS: dict[str, Callable[[Path], OutputsFile]] = {
    ".npz": read_npz,
    ".csv": read_csv_scores,
    ".tsv": read_csv_scores,
    ".txt": read_csv_scores,
    ".parquet": read_parquet_scores,
    ".pq": read_parquet_scores,
}
COMPRESSED = (".gz", ".bz2", ".xz")
# The first bytes of a file tell its kind where the suffix does not.
FIRST_BYTES = {b"PK\x03\x04": ".npz", b"PAR1": ".parquet"}


def read_outputs(path: Path) -> OutputsFile:
    """Returns the outputs of models in a file or directory, as arguments of `mgaudit.score`.

    The kinds are npz files with named arrays, CSV and Parquet files with the columns score and
    member, and directories that LiRA code writes.

    Raises:
        UsageError: For a path that does not exist, another kind of file, and wrong content. The
            message names the file, and the row and column, array, or experiment.
    """
    try:
        if path.is_dir():
            return read_lira_folder(path)
        if not path.exists():
            _refuse_missing(path)
        if not path.is_file():  # a pipe would wait for a writer
            raise UsageError(shown(path), f"must be {KINDS}", "a device or pipe")
        return _reader(path)(path)
    except OSError as error:
        rule = f"cannot be read: {error.strerror or error}"
        raise UsageError(shown(path), rule, None, "check its permissions") from error


def _reader(path: Path) -> Callable[[Path], OutputsFile]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        del suffixes[-1]
    suffix = suffixes[-1] if suffixes else ""
    if suffix in READERS:
        return READERS[suffix]
    with path.open("rb") as file:
        start = file.read(4)
    if start in FIRST_BYTES and not suffix:
        return READERS[FIRST_BYTES[start]]
    way_out = f"write the arrays with {EXAMPLE}"
    raise UsageError(shown(path), f"must be {KINDS}", f"a file with suffix {suffix!r}", way_out)


def _refuse_missing(path: Path) -> None:
    folder = path.parent
    names = [shown(Path(entry.name)) for entry in folder.iterdir()] if folder.is_dir() else []
    way_out = did_you_mean(path.name, names) or "check the path"
    raise UsageError(shown(path), "must be a file or directory", "nothing there", way_out)
