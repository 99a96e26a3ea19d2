"""MNIST and Fashion-MNIST, from small files in the exact format."""

import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mgaudit.settings.datasets import load
from mgaudit.targets.datasets import idx
from mgaudit.targets.datasets.idx import FASHION_MNIST, MNIST, IDXDataset

EXAMPLES, TESTS, SIDE = 30, 20, 4
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def pixels() -> np.ndarray:
    """Every value says where it is: no two rows, columns or images are alike."""
    count = EXAMPLES + TESTS
    return (np.arange(count * SIDE * SIDE) * 7 % 251).astype(np.uint8).reshape(count, SIDE, SIDE)


def labels() -> np.ndarray:
    return (np.arange(EXAMPLES + TESTS) * 3 % 10).astype(np.uint8)


def idx_file(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + bytes(values.flatten().tolist())


def put(
    contents: list[bytes], dataset: IDXDataset = MNIST, sizes: tuple[int, int] = (EXAMPLES, TESTS)
) -> IDXDataset:
    """Returns a small dataset whose four files are in the cache, with the correct checksums."""
    files = tuple(
        replace(file, md5=hashlib.md5(content).hexdigest())
        for file, content in zip(dataset.published.files, contents, strict=True)
    )
    published = replace(dataset.published, files=files)
    for file, content in zip(files, contents, strict=True):
        published.path(file).parent.mkdir(parents=True, exist_ok=True)
        published.path(file).write_bytes(content)
    return replace(
        dataset, published=published, examples=sizes[0], test_examples=sizes[1], side=SIDE
    )


def plain() -> list[bytes]:
    images, classes = pixels(), labels()
    arrays = (images[:EXAMPLES], classes[:EXAMPLES], images[EXAMPLES:], classes[EXAMPLES:])
    return [idx_file(array) for array in arrays]


def packed() -> list[bytes]:
    return [gzip.compress(content) for content in plain()]


def test_bytes_become_pixels_in_their_places() -> None:
    dataset = put(packed()).read()
    assert dataset.inputs.shape == (EXAMPLES, 1, SIDE, SIDE)
    assert dataset.inputs.dtype == np.uint8
    assert np.array_equal(dataset.inputs[:, 0], pixels()[:EXAMPLES])
    assert np.array_equal(dataset.test_inputs[:, 0], pixels()[EXAMPLES:])
    assert np.array_equal(dataset.labels, labels()[:EXAMPLES])
    assert np.array_equal(dataset.test_labels, labels()[EXAMPLES:])
    flat = plain()[0][16:]
    assert dataset.inputs[2, 0, 1, 3] == flat[2 * SIDE * SIDE + 1 * SIDE + 3]


@pytest.mark.parametrize(("name", "which"), [("mnist", MNIST), ("fashion-mnist", FASHION_MNIST)])
def test_load_draws_from_the_files(
    name: str, which: IDXDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idx, name.replace("-", "_").upper(), put(packed(), which))
    dataset = load(name, 12, np.random.default_rng(0))
    assert dataset.name == name
    assert dataset.inputs.shape == (12, 1, SIDE, SIDE)
    places = [int(origin.removeprefix("training image ")) for origin in dataset.origins]
    assert np.array_equal(dataset.inputs[:, 0], pixels()[places])
    assert np.array_equal(dataset.labels, labels()[places])
    assert dataset.classes == which.classes
    assert len(set(which.classes)) == 10


def test_test_images_that_are_training_images_are_left_out() -> None:
    images, classes = pixels(), labels()
    images[EXAMPLES + 4], classes[EXAMPLES + 4] = images[2], classes[2]
    images[EXAMPLES + 5], classes[EXAMPLES + 5] = (
        images[3],
        (classes[3] + 1) % 10,
    )  # of another class: another example
    arrays = (images[:EXAMPLES], classes[:EXAMPLES], images[EXAMPLES:], classes[EXAMPLES:])
    dataset = put([gzip.compress(idx_file(array)) for array in arrays]).read()
    keep = np.arange(TESTS) != 4
    assert np.array_equal(dataset.test_inputs[:, 0], images[EXAMPLES:][keep])
    assert np.array_equal(dataset.test_labels, classes[EXAMPLES:][keep])


def spoilt(how: str) -> tuple[list[bytes], tuple[int, int]]:
    contents, whole = plain(), packed()
    if how == "cut short":
        whole[2] = whole[2][:-12]
    elif how == "no gzip":
        whole[2] = contents[2]
    elif how == "labels for images":
        whole[0], whole[1] = whole[1], whole[0]
    elif how == "wrong magic":
        whole[0] = gzip.compress(b"\0\0\x0d\x03" + contents[0][4:])
    elif how == "little endian":
        whole[0] = gzip.compress(
            contents[0][:4] + struct.pack("<3I", EXAMPLES, SIDE, SIDE) + contents[0][16:]
        )
    elif how == "empty":
        whole[3] = gzip.compress(b"")
    elif how == "one value too few":
        whole[1] = gzip.compress(contents[1][:-1])
    elif how == "one value too many":
        whole[0] = gzip.compress(contents[0] + b"\0")
    elif how == "label 10":
        whole[1] = gzip.compress(contents[1][:-2] + b"\x0a" + contents[1][-1:])
    return whole, (EXAMPLES, 21 if how == "another count" else TESTS)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut short", f"{NAMES[2]}.gz must be a complete gzip file, got .*; fetch the file again"),
        ("no gzip", f"{NAMES[2]}.gz must be a complete gzip file, got Not a gzipped file"),
        (
            "labels for images",
            f"{NAMES[0]}.gz must begin with the IDX magic number 0x00000803, got 0x00000801",
        ),
        (
            "wrong magic",
            f"{NAMES[0]}.gz must begin with the IDX magic number 0x00000803, got 0x00000d03",
        ),
        (
            "little endian",
            rf"{NAMES[0]}.gz must hold an array of shape \(30, 4, 4\), got \(503316480, ",
        ),
        ("empty", f"{NAMES[3]}.gz must begin with the IDX magic number 0x00000801, got 0x;"),
        ("one value too few", f"{NAMES[1]}.gz must hold 30 values after its header, got 29"),
        ("one value too many", f"{NAMES[0]}.gz must hold 480 values after its header, got 481"),
        ("label 10", rf"{NAMES[1]}.gz: labels must lie in 0\.\.9, got 10 for image 28"),
        (
            "another count",
            rf"{NAMES[2]}.gz must hold an array of shape \(21, 4, 4\), got \(20, 4, 4\)",
        ),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(how: str, message: str) -> None:
    contents, sizes = spoilt(how)
    dataset = put(contents, sizes=sizes)
    with pytest.raises(ValueError, match=message) as raised:
        dataset.read()
    assert "\n" not in str(raised.value)


def test_a_wrong_checksum_is_refused_before_the_file_is_read(own_cache: Path) -> None:
    dataset = put(packed())
    path = own_cache / "datasets" / "mnist" / f"{NAMES[1]}.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        ValueError, match=rf"{path} must have the published md5 [0-9a-f]{{32}}, got"
    ):
        dataset.read()
