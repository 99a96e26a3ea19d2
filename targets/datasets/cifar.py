"""CIFAR-10 and CIFAR-100 in their binary versions, read without unpacking the archive to disk."""

import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.dataset import Dataset
from mgaudit.targets.datasets.overlap import without_overlap
from mgaudit.targets.datasets.published import PublishedDataset, PublishedFile

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32
FETCH_AGAIN = "fetch the archive again"


@dataclass(frozen=True)
class CIFAR:
    """A binary version of CIFAR: an archive with files of records, one record per image.

    A record has `label_bytes` labels of one byte, the last of which is the class, and 3,072 bytes
    of pixels: red, green, blue, each row by row. `train` and `test` are the numbers of records of
    each file in the archive's `folder`, by file name. `names` is the file with the names of the
    classes, one per line, and `classes` is their number.
    """

    published: PublishedDataset
    folder: str
    train: Mapping[str, int]
    test: Mapping[str, int]
    names: str
    classes: int
    label_bytes: int

    def read(self) -> Dataset:
        """Returns the whole dataset, without test images that are also training images.

        Raises:
            UsageError: Where the archive is missing or damaged; the message names the file.
        """
        (path,) = self.published.verified()
        files = (*self.train, *self.test, self.names)
        members = read_members(path, [f"{self.folder}/{name}" for name in files])
        inputs, labels = self._split(path, members, self.train)
        test_inputs, test_labels = self._split(path, members, self.test)
        classes = self._class_names(path, members)
        origins: list[str] = []
        for file, count in self.train.items():
            origins += [f"{file}, record {record}" for record in range(count)]
        name = self.published.name
        whole = Dataset(name, inputs, labels, test_inputs, test_labels, classes, tuple(origins))
        return without_overlap(whole)

    def _split(
        self, path: Path, members: dict[str, bytes], files: Mapping[str, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Returns images (records, 3, 32, 32) and labels (records,) of several files, in order.

        `members` are the contents of the archive's files by path, and `files` the numbers of
        records by file name. `path` names the archive in errors.
        """
        images, labels = [], []
        for name, count in files.items():
            content = members[f"{self.folder}/{name}"]
            images_of_file, labels_of_file = self._records(f"{path}: {name}", content, count)
            images.append(images_of_file)
            labels.append(labels_of_file)
        return np.concatenate(images), np.concatenate(labels)

    def _records(
        self, key: str, content: bytes, count: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Returns images (count, 3, 32, 32) and labels (count,) from the `content` of one file.

        Raises:
            UsageError: For content of another size, and for a label that is not a class.
        """
        size = self.label_bytes + PIXELS
        if len(content) != count * size:
            rule = f"must hold {count} records of {size} bytes"
            raise UsageError(key, rule, f"{len(content)} bytes", FETCH_AGAIN)
        values = np.frombuffer(content, dtype=np.uint8)
        records = values.reshape(count, size)
        labels = records[:, self.label_bytes - 1].astype(np.int64)
        outside = np.flatnonzero(labels >= self.classes)
        if outside.size:
            value = f"{labels[outside[0]]} in record {outside[0]}"
            rule = f"must lie in 0..{self.classes - 1}"
            raise UsageError(f"{key}: labels", rule, value, FETCH_AGAIN)
        pixels = records[:, self.label_bytes :]
        return pixels.reshape(count, *SHAPE), labels

    def _class_names(self, path: Path, members: dict[str, bytes]) -> tuple[str, ...]:
        """Returns the names of the classes, or raises UsageError if their number is wrong."""
        text = members[f"{self.folder}/{self.names}"].decode("ascii", errors="replace")
        names = tuple(text.split())
        if len(names) != self.classes:
            rule = f"must name {self.classes} classes"
            raise UsageError(f"{path}: {self.names}", rule, str(len(names)), FETCH_AGAIN)
        return names


def read_members(path: Path, names: list[str]) -> dict[str, bytes]:
    """Returns the contents of the named files in a tar.gz archive, by name.

    Raises:
        UsageError: Where the archive lacks one of them or is damaged.
    """
    members = {}
    try:
        # A single pass: seeking backwards in a gzip stream means reading it again.
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in names else None
                if file is not None:
                    members[member.name] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UsageError(
            str(path), "must be a complete tar.gz archive", str(error), FETCH_AGAIN
        ) from error
    missing = [name for name in names if name not in members]
    if missing:
        rule = f"must hold {', '.join(names)}; missing {', '.join(missing)}"
        raise UsageError(str(path), rule, None, "fetch the right archive")
    return members


# URLs and checksums: https://www.cs.toronto.edu/~kriz/cifar.html
CIFAR10 = CIFAR(
    PublishedDataset(
        "cifar10",
        "www.cs.toronto.edu/~kriz/cifar.html",
        (
            PublishedFile(
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                "c32a1d4ab5d03f1284b67883e8d87530",
                170_052_171,
            ),
        ),
    ),
    folder="cifar-10-batches-bin",
    train={f"data_batch_{batch}.bin": 10_000 for batch in range(1, 6)},
    test={"test_batch.bin": 10_000},
    names="batches.meta.txt",
    classes=10,
    label_bytes=1,
)
CIFAR100 = CIFAR(
    PublishedDataset(
        "cifar100",
        "www.cs.toronto.edu/~kriz/cifar.html",
        (
            PublishedFile(
                "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
                "03b5dce01913d631647c71ecec9e9cb8",
                168_513_733,
            ),
        ),
    ),
    folder="cifar-100-binary",
    train={"train.bin": 50_000},
    test={"test.bin": 10_000},
    names="fine_label_names.txt",
    classes=100,
    label_bytes=2,
)


def read_cifar10(examples: int | None, generator: np.random.Generator) -> Dataset:
    """60,000 images of 32x32 pixels in 10 classes (Krizhevsky 2009); fetched on request.

    10,000 of them are test data. The files are downloaded only by `mgaudit data fetch`.
    """
    return CIFAR10.read().drawn(examples, generator)


def read_cifar100(examples: int | None, generator: np.random.Generator) -> Dataset:
    """60,000 images of 32x32 pixels in 100 classes (Krizhevsky 2009); fetched on request.

    10,000 of them are test data. The files are downloaded only by `mgaudit data fetch`.
    """
    return CIFAR100.read().drawn(examples, generator)
