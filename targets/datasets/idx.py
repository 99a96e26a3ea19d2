"""MNIST and Fashion-MNIST, which are published as gzipped IDX files."""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.overlap import without_overlap
from mgaudit.targets.datasets.published import PublishedDataset, PublishedFile

# An IDX file begins with two zero bytes, the type of its values (8 is uint8) and the number of its
# dimensions.
LABELS_MAGIC, IMAGES_MAGIC = b"\0\0\x08\x01", b"\0\0\x08\x03"
FETCH_AGAIN = "fetch the file again"


@dataclass(frozen=True)
class IDXDataset:
    """A dataset of `examples` training and `test_examples` test images in four IDX files.

    Images are grey squares of `side` pixels, and `classes` are the names of the classes.
    """

    published: PublishedDataset
    classes: tuple[str, ...]
    examples: int = 60_000
    test_examples: int = 10_000
    side: int = 28

    def read(self) -> Dataset:
        """Returns the whole dataset, without test images that are also training images.

        Raises:
            UsageError: Where a file is missing or damaged; the message names the file.
        """
        train, train_labels, test, test_labels = self.published.verified()
        whole = Dataset(
            self.published.name,
            self._images(train, self.examples),
            self._labels(train_labels, self.examples),
            self._images(test, self.test_examples),
            self._labels(test_labels, self.test_examples),
            self.classes,
            origins=tuple(f"training image {index}" for index in range(self.examples)),
        )
        return without_overlap(whole)

    def _images(self, path: Path, count: int) -> NDArray[np.uint8]:
        """Returns the images (count, 1, side, side) in a file."""
        images = read_idx(path, IMAGES_MAGIC, (count, self.side, self.side))
        return images[:, np.newaxis]

    def _labels(self, path: Path, count: int) -> NDArray[np.int64]:
        """Returns the labels (count,) in a file, or raises UsageError for one that is no class."""
        labels = read_idx(path, LABELS_MAGIC, (count,))
        outside = np.flatnonzero(labels >= len(self.classes))
        if outside.size:
            value = f"{labels[outside[0]]} for image {outside[0]}"
            rule = f"must lie in 0..{len(self.classes) - 1}"
            raise UsageError(f"{path}: labels", rule, value, FETCH_AGAIN)
        return labels.astype(np.int64)


def read_idx(path: Path, magic: bytes, shape: Sequence[int]) -> NDArray[np.uint8]:
    """Returns the values of a gzipped IDX file as an array of `shape`, in row-major order.

    `magic` are the first four bytes that the file must have (LABELS_MAGIC or IMAGES_MAGIC).

    Raises:
        UsageError: Where the file is damaged, or of another kind or shape.
    """
    begin = 4 + 4 * len(shape)
    try:
        with gzip.open(path) as file:
            content = file.read(begin + int(np.prod(shape)) + 1)  # a byte more shows a longer file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(
            str(path), "must be a complete gzip file", str(error), FETCH_AGAIN
        ) from error
    if content[:4] != magic:
        rule = f"must begin with the IDX magic number 0x{magic.hex()}"
        way_out = "fetch the right file, this is another kind of file"
        raise UsageError(str(path), rule, f"0x{content[:4].hex()}", way_out)
    sizes = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, begin, 4))
    if sizes != tuple(shape):
        rule = f"must hold an array of shape {tuple(shape)}"
        raise UsageError(str(path), rule, str(sizes), "fetch the right file")
    count = len(content) - begin
    if count != np.prod(shape):
        rule = f"must hold {np.prod(shape)} values after its header"
        raise UsageError(str(path), rule, str(count), FETCH_AGAIN)
    values = np.frombuffer(content, dtype=np.uint8, offset=begin)
    return values.reshape(shape)


# LeCun's page, http://yann.lecun.com/exdb/mnist/, no longer provides the files and publishes no
# checksums. URLs and checksums are from torchvision/datasets/mnist.py.
MNIST = IDXDataset(
    PublishedDataset(
        "mnist",
        "yann.lecun.com/exdb/mnist",
        tuple(
            PublishedFile(f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}", md5, size)
            for name, md5, size in (
                ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
                ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", 28_881),
                ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", 1_648_877),
                ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", 4_542),
            )
        ),
    ),
    classes=tuple(str(digit) for digit in range(10)),
)

# Checksums and class names: https://github.com/zalandoresearch/fashion-mnist/blob/master/README.md
REPOSITORY = "zalandoresearch/fashion-mnist"
FASHION_MNIST = IDXDataset(
    PublishedDataset(
        "fashion-mnist",
        "github.com/zalandoresearch/fashion-mnist",
        tuple(
            PublishedFile(
                f"https://raw.githubusercontent.com/{REPOSITORY}/master/data/fashion/{name}",
                md5,
                size,
            )
            for name, md5, size in (
                ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
                ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", 29_515),
                ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", 4_422_102),
                ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", 5_148),
            )
        ),
    ),
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)


def read_mnist(examples: int | None, generator: np.random.Generator) -> Dataset:
    """70,000 images of 28x28 handwritten digits (LeCun et al. 1998); fetched on request.

    10,000 of them are test data. The files are downloaded only by `mgaudit data fetch`.
    """
    return MNIST.read().drawn(examples, generator)


def read_fashion_mnist(examples: int | None, generator: np.random.Generator) -> Dataset:
    """70,000 images of 28x28 clothes (Xiao et al. 2017); fetched on request.

    10,000 of them are test data. The files are downloaded only by `mgaudit data fetch`.
    """
    return FASHION_MNIST.read().drawn(examples, generator)
