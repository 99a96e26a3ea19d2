"""Arrays that are mapped from the copy of a file: which memory they are in, and for how long."""

import gc
import sys
from pathlib import Path

import numpy as np
import pytest

from mgaudit.compute.mapped_copy import array_at, mapped_copy, place_of
from mgaudit.compute.messages import LARGE_BYTES, ArrayFiles, memory_of, packed, packed_apart
from mgaudit.compute.processes import Processes
from mgaudit.compute.run_files import FOLDER

NUMBERS = np.arange(2 * LARGE_BYTES // 4, dtype=np.float32).reshape(2, -1)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A file with 8 other bytes and then the numbers."""
    path = tmp_path / "stored"
    path.write_bytes(b"8 others" + NUMBERS.tobytes())
    return path


def mapped_numbers(path: Path) -> np.ndarray:
    return mapped_copy(path)[8:].view(np.float32).view(np.ndarray).reshape(NUMBERS.shape)


def files(cache: Path) -> list[Path]:
    return [path for path in (cache / FOLDER).rglob("*") if path.is_file()]


def read_only_view(array: np.ndarray) -> np.ndarray:
    """Returns a view as observations make it."""
    return np.asarray(array.data.toreadonly())


def mapped_files(array: np.ndarray) -> list[str]:
    """Returns the files of the memory of this process in which the array is."""
    address, names = array.__array_interface__["data"][0], []
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(number, 16) for number in line.split()[0].split("-"))
        if first <= address < last:
            names.append(line.split(maxsplit=5)[-1])
    return names


def file_and_sum(array: np.ndarray) -> tuple[list[str], float]:
    """Returns the files in which an array is in a worker, and its sum."""
    return mapped_files(array), float(array.sum())


def test_a_place_is_found_through_views_and_has_the_same_numbers(stored: Path) -> None:
    array = mapped_numbers(stored)
    for view in (array, array[1:], read_only_view(array), read_only_view(array[1:])[:, :7]):
        place = place_of(view)
        if not view.flags.c_contiguous:
            assert place is None
            continue
        assert place is not None
        assert np.array_equal(array_at(*place), view)
        assert array_at(*place).dtype == view.dtype
    assert place_of(array[:, ::2]) is None
    assert place_of(array.copy()) is None
    assert not array.flags.writeable


def test_a_copy_stays_when_the_file_is_changed_and_goes_with_its_last_array(
    stored: Path, own_cache: Path
) -> None:
    array = mapped_numbers(stored)
    stored.write_bytes(b"")
    assert np.array_equal(array, NUMBERS)
    view = read_only_view(array)
    del array
    gc.collect()
    assert any(path.name == "stored" for path in files(own_cache))
    assert np.array_equal(view, NUMBERS)
    del view
    gc.collect()
    assert files(own_cache) == []


def test_a_mapped_array_is_sent_by_its_place_without_another_file(
    stored: Path, own_cache: Path
) -> None:
    array = mapped_numbers(stored)
    before, arrays = files(own_cache), ArrayFiles()
    message, large = packed(read_only_view(array), arrays)
    assert files(own_cache) == before
    assert len(message) < 1000
    assert len(large) == 1
    arrays.release(large)
    arrays.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the list of mapped files")
def test_workers_map_the_file_that_this_process_maps(stored: Path) -> None:
    array = mapped_numbers(stored)
    pool = Processes(1)
    with pool:
        pool.submit(file_and_sum, pool.share(read_only_view(array)))
        (future,) = pool.completed()
    pool.close()
    names, total = future.result()
    assert names == mapped_files(array)
    assert names[0].endswith("/stored")
    assert total == float(array.sum())


def test_views_of_the_same_memory_are_sent_once(own_cache: Path) -> None:
    array = NUMBERS.copy()
    views = [read_only_view(array) for _ in range(3)]
    assert len({id(view) for view in views}) == 3
    arrays = ArrayFiles()
    _, large = packed(views, arrays)
    numbers = [path for path in files(own_cache) if path.suffix == ".npy"]
    assert len(numbers) == 1
    arrays.release(large)
    assert not numbers[0].exists()
    arrays.close()
    _, apart = packed_apart(views)
    assert len(apart) == 1
    assert memory_of(array[:1]) != memory_of(array)
    assert memory_of(array.T) != memory_of(array)
