"""The text of a table in a file, which may be compressed and in one of several encodings."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from mgaudit.errors import UsageError
from mgaudit.targets.free_memory import check_memory
from mgaudit.targets.limits import TABLE_BYTES
from mgaudit.targets.own_module import one_line

AUTO = "auto"
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is its beginning
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
OPENERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b\x08": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
CHUNK_BYTES = 2**24
MEMORY_OF_A_BYTE = 8  # bytes of memory for each byte of a table, with its cells and features
ZIP, PARQUET, ZSTANDARD = b"PK\x03\x04", b"PAR1", b"\x28\xb5\x2f\xfd"
TAR, TAR_OFFSET = b"ustar", 257
BINARY = re.compile(r"[\x00-\x08\x0e-\x1f]")
EXPORT = "save the table as a text file with one row per example"


def read_text(key: str, file: Path, encoding: str) -> tuple[str, list[str]]:
    """Returns the text of a file with line breaks `\\n`, and notes about how it was read.

    Args:
        key: Name of the dataset, for errors.
        file: The file. It may be compressed (gzip, bz2, xz, or a zip or tar archive of one file).
        encoding: A name that Python knows, or "auto": the encoding of the byte order mark, else
            UTF-8, else Windows-1252.

    Raises:
        UsageError: For a file that is no text or cannot be read.
    """
    try:
        _check_size(key, file.stat().st_size)
        stored = file.read_bytes()
    except OSError as error:
        raise UsageError(key, "must be a file that can be read", one_line(error)) from error
    content = _decompressed(key, stored)
    text, name = _decoded(key, content, encoding)
    if BINARY.search(text):
        raise UsageError(key, "must be a table in a text file", "binary data", EXPORT)
    notes = []
    if name not in ("utf-8", "utf-8-sig") and encoding == AUTO:
        notes.append(f"The file is read in the encoding {name}, because it is not in UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def _decompressed(key: str, content: bytes) -> bytes:
    """Returns the content of the compressed file, or the content itself."""
    if content.startswith(PARQUET):
        rule = "must be a table in a text file"
        raise UsageError(key, rule, "a Parquet file", "use --dataset parquet:PATH")
    if content.startswith(ZSTANDARD):
        rule = "must be a table in a text file"
        raise UsageError(key, rule, "a file compressed by zstd", "decompress it")
    try:
        for magic, opener in OPENERS.items():
            if content.startswith(magic):
                with opener(io.BytesIO(content)) as file:
                    content = _unpacked(key, file)
                break
        if content.startswith(ZIP):
            content = _single_file_of_zip(key, content)
        if content[TAR_OFFSET:].startswith(TAR):
            content = _single_file_of_tar(key, content)
    except UsageError:
        raise
    except Exception as error:  # the libraries raise many kinds of errors for damaged files
        rule = f"must be a compressed file that can be read: {one_line(error)}"
        raise UsageError(key, rule, None, "compress it again") from error
    return content


def _unpacked(key: str, file: IO[bytes]) -> bytes:
    """Returns the content of a compressed file, of which no more is unpacked than is accepted."""
    chunks = []
    size = 0
    while chunk := file.read(CHUNK_BYTES):
        size += len(chunk)
        _check_size(key, size)
        chunks.append(chunk)
    return b"".join(chunks)


def _check_size(key: str, size: int) -> None:
    """Raises UsageError for a text that is too large, or does not fit into the memory."""
    TABLE_BYTES.check(key, size)
    what = f"a table of {size:,} bytes or more"
    check_memory(key, MEMORY_OF_A_BYTE * size, what, TABLE_BYTES.way_out)


def _single_file_of_zip(key: str, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [
            info.filename
            for info in archive.infolist()
            if not info.is_dir() and not info.filename.startswith("__MACOSX/")
        ]
        _refuse_several_files(key, names)
        with archive.open(names[0]) as file:
            return _unpacked(key, file)


def _single_file_of_tar(key: str, content: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = [member for member in archive.getmembers() if member.isfile()]
        _refuse_several_files(key, [member.name for member in files])
        extracted = archive.extractfile(files[0])
        return b"" if extracted is None else _unpacked(key, extracted)


def _refuse_several_files(key: str, names: list[str]) -> None:
    if len(names) == 1:
        return
    rule = "must be an archive of one table"
    value = f"{len(names)} files" + (f", {names[0]!r} and others" if names else "")
    way_out = EXPORT if "[Content_Types].xml" in names else "extract the table"
    raise UsageError(key, rule, value, way_out)


def _decoded(key: str, content: bytes, encoding: str) -> tuple[str, str]:
    """Returns the text and the name of its encoding."""
    if encoding != AUTO:
        return _decoded_as(key, content, encoding), encoding
    for mark, name in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return _decoded_as(key, content, name), name
    if b"\x00" in content[:1000]:
        rule = "must be a table in a text file"
        way_out = f"{EXPORT}, or name its encoding, as in csv:PATH,encoding=utf-16-le"
        raise UsageError(key, rule, "binary data", way_out)
    for name in ("utf-8", "cp1252"):
        try:
            return content.decode(name), name
        except UnicodeDecodeError:
            continue
    return content.decode("latin-1"), "latin-1"


def _decoded_as(key: str, content: bytes, encoding: str) -> str:
    """Returns the text, without a byte order mark."""
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        rule = "must be the name of an encoding, such as utf-8, utf-16, latin-1 or cp1252"
        raise UsageError(f"{key}: encoding", rule, repr(encoding)) from error
    except ValueError as error:
        rule = f"must be in the encoding {encoding}"
        way_out = "name its encoding, as in csv:PATH,encoding=latin-1"
        raise UsageError(key, rule, one_line(error), way_out) from error
