"""Messages of workers: outcomes arrive as they were, and large arrays are not copied."""

import errno
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgaudit.compute.messages import LARGE_BYTES, ArrayFiles, packed, packed_outcome, unpacked
from mgaudit.compute.worker import read_message, write_message

LARGE = np.arange(LARGE_BYTES // 4, dtype=np.float32).reshape(8, -1)


def received(outcome: object) -> Any:
    """Returns an outcome after its way through a pipe's streams."""
    stream = io.BytesIO()
    write_message(stream, packed_outcome(outcome))
    stream.seek(0)
    message = read_message(stream)
    assert message is not None
    return unpacked(message)


@pytest.mark.parametrize(
    "array",
    [
        LARGE,
        np.asfortranarray(LARGE),
        LARGE[:, ::2],
        LARGE[:0],
        LARGE[:1, :3].astype(np.float16),
        np.array(["a", None], dtype=object),
        np.array(3.5),
    ],
    ids=["large", "columns first", "strided", "empty", "small", "objects", "no axis"],
)
def test_an_array_arrives_as_it_was_and_can_be_written_to(array: np.ndarray[Any, Any]) -> None:
    (arrived,) = received([array])
    np.testing.assert_array_equal(arrived, array, strict=True)
    assert arrived.dtype == array.dtype
    assert arrived.flags.writeable


def test_large_arrays_alone_are_parts_that_share_their_memory() -> None:
    small = LARGE[0].copy()
    parts = packed_outcome({"large": LARGE, "twice": LARGE, "small": small})
    assert [len(part) for part in parts[1:]] == [LARGE.nbytes]
    assert len(parts[0]) < 2 * small.nbytes
    assert np.shares_memory(np.frombuffer(parts[1], np.float32), LARGE)
    arrived = unpacked([parts[0], bytearray(parts[1])])
    assert arrived["large"] is arrived["twice"]


def test_an_array_that_finds_the_disk_full_says_so(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open
    full = Path("/dev/full")  # a device that has no space
    if not full.exists():
        pytest.skip("there is no /dev/full")
    monkeypatch.setattr(Path, "open", lambda path, mode: opened(full, mode))
    files = ArrayFiles()
    try:
        with pytest.raises(OSError, match="No space left") as error:
            packed(LARGE, files)
    finally:
        files.close()
    assert error.value.errno == errno.ENOSPC


def test_a_stream_that_ends_within_a_message_has_none() -> None:
    stream = io.BytesIO()
    write_message(stream, [b"value", b"array"])
    content = stream.getvalue()
    for length in range(len(content)):
        assert read_message(io.BytesIO(content[:length])) is None
    assert read_message(io.BytesIO(content)) == [b"value", b"array"]


def test_a_pipe_that_fills_slowly_is_read_whole(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    parts = packed_outcome(LARGE)
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "wb") as stream:
            write_message(stream, parts)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        message = read_message(stream)
        assert message is not None
        np.testing.assert_array_equal(unpacked(message), LARGE)
        assert read_message(stream) is None
    os.waitpid(child, 0)
