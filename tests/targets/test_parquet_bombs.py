"""Parquet files that are small and would become large, and damaged ones, are refused unread."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.parquet_file import read_parquet_frame
from mgaudit.targets.arrays.parquet_sizes import checked_texts
from mgaudit.targets.arrays.thrift_compact import CompactReader, CutOffError, ThriftError, Wanted
from mgaudit.targets.datasets.tables.table import as_texts
from tests.cases.parquet_files import (
    BYTE_ARRAY,
    DELTA_BYTE_ARRAY,
    FIXED_BYTES,
    PLAIN,
    Chunk,
    data_page,
    equal_texts,
    equal_values,
    parquet,
    thrift,
    write,
    zeros,
)

ROOT = Path(__file__).parents[2]
ZERO = bytes(8)
MANY = 10**7


def stated(values: int, sizes: list[int], kind: int = 2, encoding: int = PLAIN) -> Chunk:
    """Returns a column whose pages state these sizes, and whose footer states 100 bytes."""
    pages = b"".join(data_page(values, b"none", encoding, size) for size in sizes)
    return Chunk(pages, values * len(sizes), 100, kind)


BOMBS: dict[str, tuple[int, dict[str, Chunk], str]] = {
    "equal numbers": (10**9, {"x": equal_values(10**9, ZERO)}, "100,000,000 rows"),
    "a group with more rows than the file": (
        10,
        {"x": equal_values(10**9, ZERO)},
        "4,000,000,000 bytes, unpacked, got 8,000,000,",
    ),
    "equal numbers in many columns": (
        MANY,
        {f"c{number}": equal_values(MANY, ZERO) for number in range(60)},
        "4,000,000,000 bytes, unpacked",
    ),
    "long values of one size": (
        MANY,
        {"x": equal_values(MANY, bytes(10**4), FIXED_BYTES, 10**4)},
        "bytes, unpacked, got 100,000,0",
    ),
    "a footer that states less than the pages": (
        30,
        {"x": stated(10, [2**31 - 1] * 3)},
        "bytes, unpacked, got 6,442,45",
    ),
    "texts that repeat the one before": (
        MANY,
        {"x": stated(MANY, [10**6], BYTE_ARRAY, DELTA_BYTE_ARRAY)},
        "bytes, unpacked, got 10,000,",
    ),
}


@pytest.mark.parametrize(("rows", "columns", "words"), BOMBS.values(), ids=BOMBS)
def test_a_small_file_that_becomes_large_is_refused_with_the_limit(
    tmp_path: Path, rows: int, columns: dict[str, Chunk], words: str
) -> None:
    path = write(tmp_path / "a.parquet", rows, **columns)
    assert path.stat().st_size < 20_000
    with pytest.raises(UsageError) as refused:
        read_parquet_frame("dataset", path)
    assert words in str(refused.value)


def test_a_file_within_the_limits_is_accepted_and_texts_in_a_dictionary_are_found(
    tmp_path: Path,
) -> None:
    chunks = {"x": equal_values(9, ZERO), "text": equal_texts(9, 5), "z": zeros(9)}
    assert checked_texts("dataset", write(tmp_path / "a.parquet", 9, **chunks)) == ["text"]


def test_a_table_that_does_not_fit_into_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.parquet", MANY, x=equal_values(MANY, ZERO))
    checked_texts("dataset", path)
    monkeypatch.setattr("mgaudit.targets.free_memory.free_memory", lambda: 1e8)
    with pytest.raises(UsageError, match=r"must fit into the free memory of 100\.0 MB"):
        checked_texts("dataset", path)


# Reads a file with little memory, and prints the error and how much memory that took.
READER = """
import json, resource, sys
from pathlib import Path
import pandas
from mgaudit.errors import UsageError
from mgaudit.targets.arrays.parquet_file import read_parquet_frame

def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
before, error, shape = used(), "", ()
try:
    shape = read_parquet_frame("dataset", Path(sys.argv[1])).shape
except UsageError as refused:
    error = str(refused)
print(json.dumps({"error": error, "shape": shape, "bytes": used() - before}))
"""


def read_with_little_memory(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss")
def test_a_lying_footer_costs_no_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", 9 * MANY, x=zeros(9 * MANY, stated=1000))
    assert path.stat().st_size < 2**21  # which unpacks to 720 MB
    report = read_with_little_memory(path)
    assert "must fit into the free memory" in report["error"]
    assert report["bytes"] < 2**26


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss")
def test_equal_texts_of_a_dictionary_are_in_memory_once(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    rows = 2 * 10**6
    report = read_with_little_memory(write(tmp_path / "a.parquet", rows, x=equal_texts(rows, 1500)))
    assert (report["error"], report["shape"]) == ("", [rows, 1])  # of 3 GB, each for itself
    assert report["bytes"] < 2**29
    report = read_with_little_memory(write(tmp_path / "b.parquet", rows, x=equal_texts(rows, 2500)))
    assert "must have at most 4,000,000,000 bytes, unpacked, got 5,000,000,000" in report["error"]
    assert report["bytes"] < 2**29


def test_equal_texts_stay_one_object_without_their_blanks() -> None:
    cells = np.array([f" {letter}a " for letter in "bab"], dtype=object)
    texts = as_texts(cells)
    assert texts.tolist() == ["ba", "aa", "ba"]
    assert texts[0] is texts[2]


def test_files_by_hand_are_read_by_pyarrow(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    chunks = {"x": equal_values(9, (7).to_bytes(8, "little")), "t": equal_texts(9, 3)}
    frame = read_parquet_frame("a", write(tmp_path / "a.parquet", 9, **chunks, z=zeros(9)))
    assert frame["x"].tolist() == [7] * 9
    assert frame["t"].tolist() == ["aaa"] * 9
    assert frame["z"].tolist() == [0] * 9


def footer(*chunks: dict[int, object]) -> bytes:
    """Returns the content of a file that is nothing but a footer, with one column in the schema."""
    schema = [{4: b"schema", 5: 1}, {1: 2, 4: b"x"}]
    content = thrift({2: schema, 3: 3, 4: [{1: list(chunks), 3: 3}]})
    return b"PAR1" + content + len(content).to_bytes(4, "little") + b"PAR1"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes that do not end like one"),
        (b"PAR1", "4 bytes that do not end like one"),
        (b"PAR1\xff\xff\x00\x00PAR1", "a footer of 65,535 bytes in a file of 12"),
        (b"PAR1" + b"\x00" * 4 + b"PAR1", "the bytes end within a structure"),
        (parquet(3, {"x": equal_values(3, ZERO)})[:-1] + b"E", "that do not end like one"),
        (parquet(3, {"x": Chunk(b"", -1, 0)}), "-1 for a number that counts something"),
        (footer({3: {5: 3, 7: 999, 9: 4}}), "'x' outside of the file"),
        (footer({3: {5: 3, 7: 9, 9: 3}}), "'x' outside of the file"),
        (footer({1: b"/etc/passwd", 3: {5: 3}}), "'x' in another file, or encrypted"),
        (footer({2: 4}), "'x' in another file, or encrypted"),
        (footer({3: [{5: 3}]}), "'x' in another file, or encrypted"),
        (footer(), "0 columns in a group of rows, and 1 in all"),
        (parquet(3, {"x": Chunk(b"\x1c" * 99, 3, 99)}), "nested more than 16 deep"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="dataset must be a Parquet file") as refused:
        checked_texts("dataset", path)
    assert words in str(refused.value)


def test_changed_bytes_give_an_error_or_nothing(tmp_path: Path) -> None:
    whole = parquet(9, {"x": equal_values(9, ZERO), "t": equal_texts(9, 3), "z": zeros(9)})
    generator, path, refused = np.random.default_rng(0), tmp_path / "a.parquet", 0
    for _ in range(500):
        content = bytearray(whole)
        for place in generator.integers(len(whole), size=3):
            content[place] = generator.integers(256)
        path.write_bytes(content[: generator.integers(len(content) // 2, 2 * len(content))])
        try:
            checked_texts("dataset", path)
        except UsageError:
            refused += 1
    assert refused > 100


def test_wanted_fields_of_a_structure_are_read_and_others_skipped() -> None:
    inner = {1: 5, 40: -3}
    content = thrift({1: -1, 2: b"text", 3: [inner, {}], 7: inner, 9: [b"a", b"b"], 200: 2**40})
    reader = CompactReader(content + b"rest")
    wanted: Wanted = {1: int, 2: bytes, 3: ({40: int},), 200: int}
    assert reader.structure(wanted) == {1: -1, 2: b"text", 3: [{40: -3}, {}], 200: 2**40}
    assert reader.position == len(content)
    others: Wanted = {1: bytes, 2: int, 3: {40: int}, 7: ({40: int},), 9: ({},), 200: {}}
    assert CompactReader(content).structure(others) == dict.fromkeys(others)
    for end in range(len(content)):
        with pytest.raises(CutOffError):
            CompactReader(content[:end]).structure(wanted)


def test_other_types_are_skipped_or_refused() -> None:
    # A truth value, a byte, a float, a map of a text to a truth value, and an empty map.
    content = (
        b"\x11\x13\x07\x17" + bytes(8) + b"\x1b\x01\x81\x01a\x01" + b"\x1b\x00" + b"\x15\x06\x00"
    )
    assert CompactReader(content).structure({6: int, 1: bytes}) == {1: None, 6: 3}
    for wrong in (b"\x1d\x00", b"\x15" + b"\xff" * 11, b"\x19\xf0\x01\x00"):
        with pytest.raises(ThriftError):
            CompactReader(wrong).structure({})
