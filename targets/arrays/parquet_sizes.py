"""What a Parquet file becomes in memory, by its footer and the headers of its pages.

A file of some kilobytes can hold a billion equal values, and a footer can state less than the pages
hold. Libraries allocate what the headers of the pages state, so that these are compared with the
limits, too, before a library reads the file.

The numbers of fields, types and encodings are those of the Apache Parquet format, `parquet.thrift`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from mgaudit.errors import UsageError
from mgaudit.targets.arrays.thrift_compact import CompactReader, CutOffError, ThriftError, Wanted
from mgaudit.targets.free_memory import check_memory
from mgaudit.targets.limits import COLUMNS, FOOTER_BYTES, PAGES, TABLE_BYTES, TABLE_ROWS

MAGIC, TAIL_BYTES = b"PAR1", 8  # the end of a file: the length of the footer and MAGIC
MEMORY_OF_A_BYTE = 4  # bytes of memory for each byte of a table, with its cells and features
VALUE_BYTES = 8  # of a number, and of a reference to a text

# Fields of the footer and of the headers of pages.
SCHEMA, ROWS, GROUPS = 2, 3, 4
TYPE, TYPE_LENGTH, REPETITION, NAME, CHILDREN = 1, 2, 3, 4, 5  # of a column in the schema
CHUNKS, GROUP_ROWS = 1, 3  # of a group of rows
FILE, META = 1, 3  # of the chunk of a column in a group
VALUES, UNCOMPRESSED, COMPRESSED, FIRST_PAGE, DICTIONARY = 5, 6, 7, 9, 11  # of META
PAGE_UNCOMPRESSED, PAGE_COMPRESSED = 2, 3
DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_V2 = 5, 7, 8
PAGE_VALUES = 1
ENCODING = {DATA_PAGE: 2, DATA_PAGE_V2: 4}
OF_CHUNK = (VALUES, UNCOMPRESSED, COMPRESSED, FIRST_PAGE, DICTIONARY)
BYTE_ARRAY, FIXED_BYTES = 6, 7  # types of columns
REPEATED = 2  # of REPETITION
DELTA_BYTE_ARRAY = 7  # an encoding, in which each text may repeat the one before

COLUMN: Wanted = {TYPE: int, TYPE_LENGTH: int, REPETITION: int, NAME: bytes, CHILDREN: int}
CHUNK: Wanted = {FILE: bytes, META: dict.fromkeys(OF_CHUNK, int)}
FOOTER: Wanted = {SCHEMA: (COLUMN,), ROWS: int, GROUPS: ({CHUNKS: (CHUNK,), GROUP_ROWS: int},)}
PAGE: Wanted = {
    PAGE_UNCOMPRESSED: int,
    PAGE_COMPRESSED: int,
    DATA_PAGE: {PAGE_VALUES: int, ENCODING[DATA_PAGE]: int},
    DICTIONARY_PAGE: {PAGE_VALUES: int},
    DATA_PAGE_V2: {PAGE_VALUES: int, ENCODING[DATA_PAGE_V2]: int},
}
# Of the header of a page, in which there are statistics: as many as are needed.
HEADER_BYTES = (2**8, 2**14, 2**20, 2**24)
BYTES_OF_A_STEP = 2**14  # that take as long to read as the header of a page

RULE, WAY_OUT = "must be a Parquet file", "write it again"


@dataclass(frozen=True)
class _Column:
    """A column that holds values; in a flat one, a row has at most one value."""

    name: str
    kind: int | None
    length: int
    is_flat: bool


@dataclass
class _Pages:
    """What the headers of the pages of a chunk state, added up; `dictionary` are bytes."""

    values: int = 0
    uncompressed: int = 0
    dictionary: int = 0
    repeats_texts: bool = False


def checked_texts(key: str, path: Path) -> list[str]:
    """Returns the columns of texts that must be read as categories, so that equal texts are one.

    Raises:
        UsageError: For another file, and for one that has too many rows or columns or becomes too
            large. `key` begins the message. Nothing that the file holds is unpacked.
    """
    with path.open("rb") as file:
        try:
            return _Check(key, file).texts()
        except ThriftError as error:
            raise UsageError(key, RULE, str(error), WAY_OUT) from error


class _Check:
    """The check of one open file."""

    def __init__(self, key: str, file: IO[bytes]) -> None:
        self._key = key
        self._file = file
        self._size = file.seek(0, 2)
        self._steps = 0

    def texts(self) -> list[str]:
        """Returns the columns of texts with dictionaries; raises as `checked_texts`."""
        footer = CompactReader(self._footer()).structure(FOOTER)
        columns = self._columns(footer.get(SCHEMA) or [])
        groups = footer.get(GROUPS) or []
        rows = _count(footer.get(ROWS))
        rows_of_groups = sum(_count(group.get(GROUP_ROWS)) for group in groups)
        TABLE_ROWS.check(self._key, max(rows, rows_of_groups))
        decoded = 0
        with_dictionary = set()
        for group in groups:
            chunks = group.get(CHUNKS) or []
            if len(chunks) != len(columns):
                _refuse(f"{len(chunks)} columns in a group of rows, and {len(columns)} in all")
            for column, chunk in zip(columns, chunks, strict=True):
                meta = self._meta(column, chunk)
                pages = self._walk(meta)
                values = max(pages.values, meta[VALUES], _count(group.get(GROUP_ROWS)))
                decoded += _decoded_bytes(column, values, meta[UNCOMPRESSED], pages)
                TABLE_BYTES.check(self._key, decoded)
                if pages.dictionary and column.kind == BYTE_ARRAY and column.is_flat:
                    with_dictionary.add(column.name)
        what = f"a table of {decoded:,} bytes"
        check_memory(self._key, MEMORY_OF_A_BYTE * decoded, what, TABLE_BYTES.way_out)
        return [column.name for column in columns if column.name in with_dictionary]

    def _footer(self) -> bytes:
        """Returns the bytes of the footer, of which there are not too many."""
        start = max(self._size - TAIL_BYTES, 0)
        tail = self._read(start, TAIL_BYTES)
        if len(tail) < TAIL_BYTES or not tail.endswith(MAGIC):
            _refuse(f"{self._size:,} bytes that do not end like one")
        length = int.from_bytes(tail[:4], "little")
        if length > start:
            _refuse(f"a footer of {length:,} bytes in a file of {self._size:,}")
        FOOTER_BYTES.check(self._key, length)
        return self._read(start - length, length)

    def _columns(self, schema: Sequence[dict[int, Any]]) -> list[_Column]:
        """Returns the columns that hold values, in the order of the file."""
        columns = []
        below: list[int] = []  # how many columns are still to come on each level
        for element in schema[1:]:
            while below and not below[-1]:
                below.pop()
            is_at_top = not below
            if below:
                below[-1] -= 1
            if TYPE not in element:
                below.append(_count(element.get(CHILDREN)))
                continue
            name = bytes(element.get(NAME) or b"").decode(errors="replace")
            is_flat = is_at_top and element.get(REPETITION) != REPEATED
            length = _count(element.get(TYPE_LENGTH))
            columns.append(_Column(name, element[TYPE], length, is_flat))
        COLUMNS.check(self._key, len(columns))
        return columns

    def _meta(self, column: _Column, chunk: dict[int, Any]) -> dict[int, int]:
        """Returns where a chunk is and what the footer states of it, checked against the file."""
        meta = chunk.get(META)
        if chunk.get(FILE) or not meta:
            _refuse(f"column {column.name!r} in another file, or encrypted")
        numbers = {field: _count(meta.get(field)) for field in OF_CHUNK}
        start = _start(numbers)
        is_inside = len(MAGIC) <= start <= start + numbers[COMPRESSED] <= self._size
        if numbers[VALUES] and not is_inside:
            _refuse(f"column {column.name!r} outside of the file")
        return numbers

    def _walk(self, meta: dict[int, int]) -> _Pages:
        """Returns the sums over the pages of a chunk, as far as a library reads them."""
        pages = _Pages()
        position = _start(meta)
        end = position + meta[COMPRESSED]
        while position < end and pages.values < meta[VALUES]:
            header, length = self._page_header(position)
            size = _count(header.get(PAGE_UNCOMPRESSED))
            pages.uncompressed += length + size
            position += length + _count(header.get(PAGE_COMPRESSED))
            for kind in (DATA_PAGE, DATA_PAGE_V2):
                if kind in header:
                    pages.values += _count((header[kind] or {}).get(PAGE_VALUES))
                    encoding = (header[kind] or {}).get(ENCODING[kind])
                    pages.repeats_texts |= encoding == DELTA_BYTE_ARRAY
            if DICTIONARY_PAGE in header:
                pages.dictionary += size
        return pages

    def _page_header(self, position: int) -> tuple[dict[int, Any], int]:
        """Returns the header of the page at a position, and its length."""
        for size in HEADER_BYTES:
            self._steps += max(size // BYTES_OF_A_STEP, 1)
            PAGES.check(self._key, self._steps)
            reader = CompactReader(self._read(position, size))
            try:
                return reader.structure(PAGE), reader.position
            except CutOffError:
                continue
        raise ThriftError("a page whose header has no end")

    def _read(self, position: int, size: int) -> bytes:
        self._file.seek(position)
        return self._file.read(size)


def _refuse(value: str) -> NoReturn:
    raise ThriftError(value)


def _count(number: Any) -> int:
    """Returns a number of the file that counts something; 0 where it is not there.

    Raises ThriftError for one below 0.
    """
    if number is None:
        return 0
    if number < 0:
        _refuse(f"{number} for a number that counts something")
    return int(number)


def _start(meta: dict[int, int]) -> int:
    """Returns the position of the first page of a chunk, which may be that of its dictionary."""
    dictionary = meta[DICTIONARY]
    return min(dictionary, meta[FIRST_PAGE]) if dictionary else meta[FIRST_PAGE]


def _decoded_bytes(column: _Column, values: int, stated: int, pages: _Pages) -> int:
    """Returns the bytes that the values of a chunk take at most.

    `stated` is their number in the footer, before they are compressed. The texts of a flat column
    are read as categories if they are in a dictionary, so that equal texts are in memory once.
    """
    uncompressed = max(stated, pages.uncompressed)
    width = VALUE_BYTES
    if column.kind == FIXED_BYTES:
        width = max(width, column.length)
    elif column.kind == BYTE_ARRAY and pages.repeats_texts:
        width = max(width, uncompressed)
    elif column.kind == BYTE_ARRAY and not column.is_flat:
        width = max(width, pages.dictionary)
    return values * width + uncompressed
