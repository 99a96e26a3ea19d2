"""CIFAR-10 and CIFAR-100, from small archives in the exact format."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mgaudit.settings.datasets import load
from mgaudit.targets.datasets import cifar
from mgaudit.targets.datasets.cifar import CIFAR, CIFAR10, CIFAR100

EACH = 20  # records a file
TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
Members = dict[str, bytes]


def records(seed: int, label_bytes: int, classes: int, first: int | None = None) -> np.ndarray:
    """Records (EACH, label_bytes + 3072) of random pixels; the first label is `first` or seed."""
    draw = np.random.default_rng(seed)
    labels = (np.arange(EACH) * 3 + (seed if first is None else first)) % classes
    coarse = (labels + 1) % 20
    heads = labels[:, np.newaxis] if label_bytes == 1 else np.stack([coarse, labels], axis=1)
    return np.concatenate([heads, draw.integers(0, 256, (EACH, 3072))], axis=1).astype(np.uint8)


def cifar10_members() -> Members:
    batches = {
        f"cifar-10-batches-bin/data_batch_{batch}.bin": records(batch, 1, 10).tobytes()
        for batch in range(1, 6)
    }
    return {
        "cifar-10-batches-bin/batches.meta.txt": ("\n".join(TEN) + "\n\n").encode(),
        **batches,
        "cifar-10-batches-bin/readme.html": b"<html></html>",
        "cifar-10-batches-bin/test_batch.bin": records(6, 1, 10).tobytes(),
    }


def cifar100_members() -> Members:
    return {
        "cifar-100-binary/coarse_label_names.txt": "\n".join(
            f"coarse{name}" for name in range(20)
        ).encode(),
        "cifar-100-binary/fine_label_names.txt": "\n".join(
            f"fine{name}" for name in range(100)
        ).encode()
        + b"\n",
        "cifar-100-binary/test.bin": records(1, 2, 100).tobytes(),
        "cifar-100-binary/train.bin": records(7, 2, 100, first=1).tobytes(),
    }


def packed(members: Members) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        folder = tarfile.TarInfo(next(iter(members)).partition("/")[0])
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def put(content: bytes, which: CIFAR) -> CIFAR:
    """Returns a small version whose archive is in the cache, with the correct checksum."""
    file = replace(which.published.files[0], md5=hashlib.md5(content).hexdigest())
    published = replace(which.published, files=(file,))
    published.path(file).parent.mkdir(parents=True, exist_ok=True)
    published.path(file).write_bytes(content)
    return replace(
        which,
        published=published,
        train=dict.fromkeys(which.train, EACH),
        test=dict.fromkeys(which.test, EACH),
    )


def test_cifar10_bytes_become_pixels_in_their_places() -> None:
    dataset = put(packed(cifar10_members()), CIFAR10).read()
    assert dataset.inputs.shape == (5 * EACH, 3, 32, 32)
    assert dataset.inputs.dtype == np.uint8
    assert dataset.classes == TEN
    for batch in range(1, 6):
        for row, record in enumerate(records(batch, 1, 10)):
            example = (batch - 1) * EACH + row
            assert dataset.labels[example] == record[0]
            assert dataset.origins[example] == f"data_batch_{batch}.bin, record {row}"
            assert dataset.inputs[example].tobytes() == record[1:].tobytes()
    third = records(6, 1, 10)[2]
    # The format: 1,024 red bytes, 1,024 green, 1,024 blue, each colour row by row.
    assert dataset.test_inputs[2, 0, 0, 5] == third[1 + 5]
    assert dataset.test_inputs[2, 0, 7, 0] == third[1 + 7 * 32]
    assert dataset.test_inputs[2, 1, 7, 5] == third[1 + 1024 + 7 * 32 + 5]
    assert dataset.test_inputs[2, 2, 31, 31] == third[-1]
    assert np.array_equal(dataset.test_labels, records(6, 1, 10)[:, 0])


def test_cifar100_has_the_fine_labels() -> None:
    dataset = put(packed(cifar100_members()), CIFAR100).read()
    train = records(7, 2, 100, first=1)
    assert np.array_equal(dataset.labels, train[:, 1])
    assert not np.array_equal(dataset.labels, train[:, 0])
    assert dataset.classes[7] == "fine7"
    assert len(dataset.classes) == 100
    assert dataset.inputs[3].tobytes() == train[3, 2:].tobytes()


def test_load_draws_from_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "CIFAR10", put(packed(cifar10_members()), CIFAR10))
    dataset = load("cifar10", 50, np.random.default_rng(0))
    assert dataset.inputs.shape == (50, 3, 32, 32)
    assert dataset.test_inputs.shape == (EACH, 3, 32, 32)
    file, _, record = dataset.origins[0].partition(", record ")
    batch = int(file.removeprefix("data_batch_").removesuffix(".bin"))
    assert dataset.inputs[0].tobytes() == records(batch, 1, 10)[int(record), 1:].tobytes()


def test_test_images_that_are_training_images_are_left_out() -> None:
    members = cifar10_members()
    test = records(6, 1, 10)
    test[4] = records(3, 1, 10)[9]
    members["cifar-10-batches-bin/test_batch.bin"] = test.tobytes()
    dataset = put(packed(members), CIFAR10).read()
    assert np.array_equal(dataset.test_labels, np.delete(test[:, 0], 4))


def shorter(members: Members) -> bytes:
    return packed(
        {**members, "cifar-10-batches-bin/data_batch_3.bin": records(3, 1, 10).tobytes()[:-1]}
    )


def with_coarse_labels(members: Members) -> bytes:
    return packed({**members, "cifar-10-batches-bin/data_batch_3.bin": records(3, 2, 10).tobytes()})


def with_label_12(members: Members) -> bytes:
    spoilt = records(3, 1, 10)
    spoilt[17, 0] = 12
    return packed({**members, "cifar-10-batches-bin/data_batch_3.bin": spoilt.tobytes()})


def with_nine_names(members: Members) -> bytes:
    return packed({**members, "cifar-10-batches-bin/batches.meta.txt": "\n".join(TEN[:9]).encode()})


def without_a_batch(members: Members) -> bytes:
    return packed({name: content for name, content in members.items() if "batch_4" not in name})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            shorter,
            (
                r"cifar-10-binary.tar.gz: data_batch_3.bin must hold 20 records of 3073 bytes, "
                r"got 61459 bytes"
            ),
        ),
        (
            with_coarse_labels,
            r"data_batch_3.bin must hold 20 records of 3073 bytes, got 61480 bytes",
        ),
        (
            with_label_12,
            (
                r"data_batch_3.bin: labels must lie in 0\.\.9, got 12 in record 17; fetch the "
                r"archive again"
            ),
        ),
        (with_nine_names, r"batches.meta.txt must name 10 classes, got 9"),
        (
            without_a_batch,
            r"missing cifar-10-batches-bin/data_batch_4.bin; fetch the right archive",
        ),
        (lambda _: packed(cifar100_members()), r"missing cifar-10-batches-bin/data_batch_1.bin, "),
        (
            lambda members: packed(members)[:-40_000],
            r"cifar-10-binary.tar.gz must be a complete tar.gz archive, got",
        ),
        (
            lambda members: packed(members)[:100],
            r"cifar-10-binary.tar.gz must be a complete tar.gz archive, got",
        ),
        (
            lambda _: b"<html>moved</html>",
            r"cifar-10-binary.tar.gz must be a complete tar.gz archive, got",
        ),
        (lambda _: b"", r"cifar-10-binary.tar.gz must be a complete tar.gz archive, got"),
    ],
)
def test_an_archive_that_is_not_as_it_should_be_is_refused(
    spoil: Callable[[Members], bytes], message: str
) -> None:
    archive = put(spoil(cifar10_members()), CIFAR10)
    with pytest.raises(ValueError, match=message) as raised:
        archive.read()
    assert "\n" not in str(raised.value)


def test_a_wrong_checksum_is_refused() -> None:
    put(packed(cifar10_members()), CIFAR10)
    with pytest.raises(
        ValueError, match="must have the published md5 c32a1d4ab5d03f1284b67883e8d87530, got"
    ):
        CIFAR10.read()
