"""Reading of structures in Thrift's compact protocol, such as the footer of a Parquet file.

Only wanted fields are kept, and nothing is allocated that the bytes do not hold.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

# The types of values in the protocol.
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
INTEGERS = (4, 5, 6)  # of 16, 32 and 64 bits
DEEPEST = 16  # structures, lists and maps in each other; the footer of Parquet has 6
LONGEST_NUMBER = 10  # bytes
MOST_STRUCTURES = 10**6  # that are kept, each of which takes some hundred bytes

# The wanted fields of a structure, by their number: int, bytes, the wanted fields of a structure,
# or those of each structure in a list.
Wanted = Mapping[int, "WantedValue"]
WantedValue: TypeAlias = "type[int] | type[bytes] | Wanted | tuple[Wanted]"


class ThriftError(ValueError):
    """Raised for bytes that are not of the protocol."""


class CutOffError(ThriftError):
    """Raised where the bytes end within a structure."""


class CompactReader:
    """Reads values from bytes, beginning at `position`, which moves on."""

    def __init__(self, content: bytes, position: int = 0) -> None:
        self._content = content
        self._structures = 0
        self.position = position

    def structure(self, wanted: Wanted, depth: int = 0) -> dict[int, Any]:
        """Returns the wanted fields of a structure: integers, bytes, structures and lists of them.

        Raises:
            CutOffError: The bytes end within the structure.
            ThriftError: They are no structure, or its values are too many or nested too deeply.
        """
        _check_depth(depth)
        self._structures += 1
        if self._structures > MOST_STRUCTURES:
            raise ThriftError(f"more than {MOST_STRUCTURES:,} structures")
        fields: dict[int, Any] = {}
        number = 0
        while header := self._byte():
            step, kind = header >> 4, header & 15
            number = number + step if step else self._signed()
            if number in wanted:
                fields[number] = self._value(kind, wanted[number], depth + 1)
            else:
                self._skip(kind, depth + 1)
        return fields

    def _value(self, kind: int, wanted: WantedValue, depth: int) -> Any:
        """Returns a value; None for one of another type than is wanted."""
        if kind in INTEGERS and wanted is int:
            return self._signed()
        if kind == BINARY and wanted is bytes:
            return self._bytes(self._unsigned())
        if kind == STRUCT and isinstance(wanted, Mapping):
            return self.structure(wanted, depth)
        if kind == LIST and isinstance(wanted, tuple):
            size, items = self._list_header()
            if items == STRUCT:
                return [self.structure(wanted[0], depth + 1) for _ in range(size)]
            self._skip_items(size, items, depth)
            return None
        self._skip(kind, depth)
        return None

    def _skip(self, kind: int, depth: int) -> None:
        _check_depth(depth)
        if kind in (TRUE, FALSE):
            return
        if kind in INTEGERS:
            self._unsigned()
        elif kind == BYTE:
            self._bytes(1)
        elif kind == DOUBLE:
            self._bytes(8)
        elif kind == BINARY:
            self._bytes(self._unsigned())
        elif kind in (LIST, SET):
            self._skip_items(*self._list_header(), depth)
        elif kind == MAP:
            self._skip_map(depth)
        elif kind == STRUCT:
            self.structure({}, depth)
        else:
            raise ThriftError(f"a value of type {kind}")

    def _skip_items(self, size: int, kind: int, depth: int) -> None:
        if kind in INTEGERS:
            for _ in range(size):
                self._unsigned()
            return
        for _ in range(size):
            self._skip_item(kind, depth + 1)

    def _skip_item(self, kind: int, depth: int) -> None:
        """Skips an item of a list or map, in which truth values take a byte."""
        if kind in (TRUE, FALSE):
            self._bytes(1)
        else:
            self._skip(kind, depth)

    def _skip_map(self, depth: int) -> None:
        size = self._unsigned()
        if not size:
            return
        kinds = self._byte()
        for _ in range(size):
            self._skip_item(kinds >> 4, depth + 1)
            self._skip_item(kinds & 15, depth + 1)

    def _list_header(self) -> tuple[int, int]:
        header = self._byte()
        size = header >> 4
        return (self._unsigned() if size == 15 else size), header & 15

    def _signed(self) -> int:
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)

    def _unsigned(self) -> int:
        number = self._byte()
        if number < 128:
            return number
        number &= 127
        for place in range(1, LONGEST_NUMBER):
            byte = self._byte()
            number |= (byte & 127) << (7 * place)
            if byte < 128:
                return number
        raise ThriftError("a number of more than 64 bits")

    def _byte(self) -> int:
        if self.position >= len(self._content):
            raise CutOffError("the bytes end within a structure")
        byte = self._content[self.position]
        self.position += 1
        return byte

    def _bytes(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._content):
            raise CutOffError("the bytes end within a structure")
        start, self.position = self.position, end
        return self._content[start:end]


def _check_depth(depth: int) -> None:
    if depth > DEEPEST:
        raise ThriftError(f"values that are nested more than {DEEPEST} deep")
