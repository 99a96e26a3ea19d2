"""Tables in Parquet files. Most tests replace the reader, which needs another package."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgaudit.targets.arrays import parquet_file
from tests.cases.parquet_files import replace_frame, zeros
from tests.cases.parquet_files import write as write_parquet
from tests.cases.table_files import ab, read, refusal, write


def frame(rows: int = 24) -> pd.DataFrame:
    number = np.arange(rows)
    return pd.DataFrame(
        {
            "x": number * 0.5,
            "g": np.array(["red", "Blue", "green"], dtype=object)[number % 3],
            "flag": number % 5 == 0,
            "count": number % 7,
            "label": [ab(n) for n in range(rows)],
        }
    )


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")

    def put_frame(table: pd.DataFrame) -> Path:
        replace_frame(monkeypatch, table)
        return path

    return put_frame


def test_a_table_is_read_as_from_csv(tmp_path: Path, put) -> None:  # type: ignore[no-untyped-def]
    frame().to_csv(tmp_path / "a.csv", index=False)
    csv = read(tmp_path / "a.csv")
    parquet = read(put(frame()), kind="parquet")
    assert parquet.digest() == csv.digest()
    assert parquet.origins == csv.origins
    assert parquet.notes == csv.notes


@pytest.mark.parametrize(
    "types",
    [
        {"x": "Float64", "count": "Int64", "flag": "boolean"},
        {"x": "float32", "count": "uint8", "g": "category", "label": "category"},
        {"g": "string", "label": "string", "count": "int16"},
        {"x": str, "count": str},
    ],
)
def test_the_types_of_columns_make_no_difference(put, types: dict[str, str]) -> None:  # type: ignore[no-untyped-def]
    plain = read(put(frame()), kind="parquet").digest()
    assert read(put(frame().astype(types)), kind="parquet").digest() == plain


@pytest.mark.parametrize("types", [{}, {"x": "Float64", "count": "Int64", "flag": "boolean"}])
def test_gaps_of_every_type_are_filled(put, types: dict[str, str]) -> None:  # type: ignore[no-untyped-def]
    table = frame().astype({"count": object, "flag": object} | types)
    table.loc[3, ["x", "g", "flag", "count"]] = None
    dataset = read(put(table), kind="parquet")
    row = dataset.inputs[dataset.origins.index("row 4")]
    known = [int(origin[4:]) - 1 for origin in dataset.origins if origin != "row 4"]
    median, count = np.median(np.array(known) / 2), np.median(np.array(known) % 7)
    assert row.tolist() == [median, 1, 0, 0, 0, 1, 0, 0, 1, count, 1]
    table.loc[5, "label"] = None
    assert "none in row 6, column 'label'" in refusal(put(table), kind="parquet")


@pytest.mark.parametrize("labels", [np.arange(24) % 2, np.arange(24) % 2 == 1, np.arange(24) % 2.0])
def test_labels_have_every_type(put, labels: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    dataset = read(put(frame().assign(label=labels)), kind="parquet")
    expected = {"i": ("0", "1"), "b": ("False", "True"), "f": ("0.0", "1.0")}
    assert dataset.classes == expected[labels.dtype.kind]


def test_whole_numbers_of_64_bits_are_exact(put) -> None:  # type: ignore[no-untyped-def]
    big = 2**60 + np.arange(24) ** 2
    for values in (big, pd.array([*big[:-1], None], dtype="Int64"), [Decimal(int(v)) for v in big]):
        dataset = read(put(frame()[["label"]].assign(x=values)), kind="parquet")
        assert len(np.unique(dataset.inputs[:, 0])) == 16


def test_categories_that_are_numbers_are_categories(put) -> None:  # type: ignore[no-untyped-def]
    table = frame()[["x", "count", "label"]].astype({"count": "category"})
    assert read(put(table), kind="parquet").inputs.shape == (16, 8)


@pytest.mark.parametrize(
    "cell", [[1, 2], {"a": 1}, np.zeros(2), b"bytes", pd.Timedelta("1 day"), 1 + 2j]
)
def test_cells_of_other_types_are_refused(put, cell: object) -> None:  # type: ignore[no-untyped-def]
    cells = np.empty(24, dtype=object)
    cells[:] = [cell] * 24
    assert "must have one number or one text in each cell" in refusal(
        put(frame().assign(x=cells)), kind="parquet"
    )


@pytest.mark.parametrize(
    "dates", [pd.date_range("2024-01-01", periods=24), [date(2024, 1, 1)] * 24]
)
def test_dates_are_refused(put, dates: object) -> None:  # type: ignore[no-untyped-def]
    assert "not dates or times" in refusal(put(frame().assign(x=dates)), kind="parquet")


def test_an_index_with_a_name_is_a_column_and_an_index_without_one_is_left_out(put) -> None:  # type: ignore[no-untyped-def]
    plain = read(put(frame()), kind="parquet").digest()
    assert read(put(frame().set_index("x", drop=True)), kind="parquet").digest() == plain
    shuffled = frame().set_index(np.arange(24)[::-1])
    assert read(put(shuffled), kind="parquet").digest() == plain


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_none(*_: object) -> pd.DataFrame:
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(parquet_file, "_frame", read_none)
    write_parquet(tmp_path / "a.parquet", 3, x=zeros(3))
    message = refusal(tmp_path / "a.parquet", kind="parquet")
    assert "needs pyarrow or fastparquet" in message
    assert "mgaudit[parquet]" in message


def test_a_file_of_pyarrow_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame().to_parquet(tmp_path / "a.parquet")
    frame().to_csv(tmp_path / "a.csv", index=False)
    parquet = read(tmp_path / "a.parquet", kind="parquet")
    assert parquet.digest() == read(tmp_path / "a.csv").digest()
    assert "use --dataset parquet:PATH" in refusal(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-9])
    assert "must be a Parquet file" in refusal(tmp_path / "b.parquet", kind="parquet")
    path = write(tmp_path / "c.csv", "x,label", lambda n: f"{n},{ab(n)}")
    assert "must be a Parquet file" in refusal(path, kind="parquet")
