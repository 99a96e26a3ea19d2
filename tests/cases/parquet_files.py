"""Parquet files that are written byte by byte: small ones that become large, and wrong ones.

The numbers of fields are those of the Apache Parquet format, `parquet.thrift`.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from mgaudit.targets.arrays import parquet_file

INT64, BYTE_ARRAY, FIXED_BYTES = 2, 6, 7
PLAIN, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 0, 7, 8
GZIP = 2

# Values of a structure: integers, bytes, structures, and lists of one of these.
Structure = Mapping[int, object]


class Long(int):
    """An integer of 64 bits; others have 32."""


def varint(number: int) -> bytes:
    content = bytearray()
    while number > 127:
        content.append(number & 127 | 128)
        number >>= 7
    content.append(number)
    return bytes(content)


def thrift(structure: Structure) -> bytes:
    """Returns a structure in Thrift's compact protocol."""
    content, last = b"", 0
    for number, value in sorted(structure.items()):
        kind, body = _typed(value)
        step = number - last
        header = bytes([step << 4 | kind]) if step < 16 else bytes([kind]) + varint(number << 1)
        content += header + body
        last = number
    return content + b"\0"


def _typed(value: object) -> tuple[int, bytes]:
    if isinstance(value, int):
        zigzag = value << 1 if value >= 0 else (-value << 1) - 1
        return 6 if isinstance(value, Long) else 5, varint(zigzag)
    if isinstance(value, bytes):
        return 8, varint(len(value)) + value
    if isinstance(value, Mapping):
        return 12, thrift(value)
    assert isinstance(value, list)
    items = [_typed(item) for item in value]
    kind = items[0][0] if items else 12
    return 9, bytes([0xF0 | kind]) + varint(len(items)) + b"".join(body for _, body in items)


@dataclass(frozen=True)
class Chunk:
    """The pages of a column, and what the footer states of them."""

    pages: bytes
    values: int
    uncompressed: int
    kind: int = INT64
    length: int = 0
    codec: int = 0
    dictionary_bytes: int = 0  # of the page of the dictionary, which is the first


def page(header: Structure, content: bytes, uncompressed: int | None = None) -> bytes:
    """Returns a page; its header may state another size than that of the content."""
    size = len(content) if uncompressed is None else uncompressed
    return thrift({2: size, 3: len(content), **header}) + content


def data_page(values: int, content: bytes, encoding: int, uncompressed: int | None = None) -> bytes:
    return page({1: 0, 5: {1: values, 2: encoding, 3: 3, 4: 3}}, content, uncompressed)


def dictionary_page(content: bytes) -> bytes:
    return page({1: 2, 7: {1: 1, 2: PLAIN}}, content)


def equal_values(values: int, value: bytes, kind: int = INT64, length: int = 0) -> Chunk:
    """Returns a column that holds one value many times, in few bytes."""
    dictionary = dictionary_page(value)
    run = b"\x01" + varint(values << 1) + b"\x00"  # of indices of one bit
    pages = dictionary + data_page(values, run, RLE_DICTIONARY)
    return Chunk(pages, values, len(pages), kind, length, dictionary_bytes=len(dictionary))


def equal_texts(values: int, size: int) -> Chunk:
    """Returns a column of equal texts of so many bytes."""
    return equal_values(values, size.to_bytes(4, "little") + b"a" * size, BYTE_ARRAY)


def zeros(values: int, stated: int | None = None) -> Chunk:
    """Returns a column of compressed zeros; `stated` is their size in the footer."""
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(2**20)
    content = b"".join(packer.compress(block) for _ in range(8 * values // 2**20))
    content += packer.compress(bytes(8 * values % 2**20)) + packer.flush()
    pages = data_page(values, content, PLAIN, 8 * values)
    return Chunk(pages, values, 8 * values if stated is None else stated, codec=GZIP)


def parquet(rows: int, columns: Mapping[str, Chunk]) -> bytes:
    """Returns the content of a file with one group of rows."""
    content, chunks = b"PAR1", []
    schema: list[Structure] = [{4: b"schema", 5: len(columns)}]
    for name, chunk in columns.items():
        is_text = {6: 0} if chunk.kind == BYTE_ARRAY else {}  # in UTF-8
        schema.append({1: chunk.kind, 2: chunk.length, 3: 0, 4: name.encode(), **is_text})
        first = len(content) + chunk.dictionary_bytes
        meta: dict[int, object] = {1: chunk.kind, 2: [PLAIN], 3: [name.encode()]}
        meta |= {4: chunk.codec, 5: Long(chunk.values), 6: Long(chunk.uncompressed)}
        meta |= {7: Long(len(chunk.pages)), 9: Long(first)}
        if chunk.dictionary_bytes:
            meta[11] = Long(len(content))
        chunks.append({2: Long(len(content)), 3: meta})
        content += chunk.pages
    uncompressed = sum(chunk.uncompressed for chunk in columns.values())
    groups = [{1: chunks, 2: Long(uncompressed), 3: Long(rows)}]
    footer = thrift({1: 2, 2: schema, 3: Long(rows), 4: groups})
    return content + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def replace_frame(monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame) -> None:
    """Makes the reader of Parquet files return a table, whatever the file is."""
    monkeypatch.setattr(parquet_file, "checked_texts", lambda *_: [])
    monkeypatch.setattr(parquet_file, "_frame", lambda *_: frame)


def write(path: Path, rows: int, **columns: Chunk) -> Path:
    path.write_bytes(parquet(rows, columns))
    return path
