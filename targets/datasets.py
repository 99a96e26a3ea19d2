"""Datasets: examples that may be trained on, and a test split that no model ever trains on."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from sklearn.datasets import load_digits

Inputs = NDArray[Any]  # uint8 or float32

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Dataset:
    """Examples and a test split.

    `inputs` (examples, *input_shape) and `test_inputs` (test examples, *input_shape) are uint8 or float32,
    images with channels first; `labels` and `test_labels` are int64 class numbers; `classes` names the classes.
    `origins` (examples,) says where each came from, a file or a row, for who wants to look at it; by default it is the
    place in `inputs`.
    """

    name: str
    inputs: Inputs
    labels: NDArray[np.int64]
    test_inputs: Inputs
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origins:
            object.__setattr__(self, "origins", tuple(f"example {place}" for place in range(len(self.inputs))))
        if len(self.origins) != len(self.inputs):
            raise ValueError(
                f"dataset {self.name}: origins must name each of {len(self.inputs)} examples, got {len(self.origins)}"
            )
        if len(self.classes) < 2:
            raise ValueError(f"dataset {self.name}: there must be at least 2 classes, got {len(self.classes)}")
        for split, inputs, labels in (
            ("train", self.inputs, self.labels),
            ("test", self.test_inputs, self.test_labels),
        ):
            if len(inputs) != len(labels) or len(labels) == 0:
                raise ValueError(
                    f"dataset {self.name}: the {split} split must hold as many labels as examples and at least one, "
                    f"got {len(inputs)} examples and {len(labels)} labels"
                )
            if inputs.shape[1:] != self.input_shape:
                raise ValueError(
                    f"dataset {self.name}: all examples must have one shape, "
                    f"got {self.input_shape} in train and {inputs.shape[1:]} in {split}"
                )
            if not np.isfinite(inputs).all():
                bad = int(np.flatnonzero(~np.isfinite(inputs.reshape(len(inputs), -1)).all(axis=1))[0])
                raise ValueError(f"dataset {self.name}: {split} example {bad} holds NaN or infinity")
            if labels.min() < 0 or labels.max() >= len(self.classes):
                raise ValueError(
                    f"dataset {self.name}: {split} labels must lie in 0..{len(self.classes) - 1}, "
                    f"got {labels.min()}..{labels.max()}"
                )
        missing = np.setdiff1d(self.labels, self.test_labels)
        if missing.size:
            raise ValueError(f"dataset {self.name}: class {self.classes[missing[0]]!r} is missing from the test split")

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.inputs.shape[1:]

    def standardised(self) -> "Dataset":
        """Returns the dataset as float32 with mean 0 and sd 1: per channel for images, per feature for vectors.

        The statistics are those of `inputs` as a whole, members and non-members alike, so that they are the same
        for every model and carry nothing about membership.
        """
        axes = (0, *range(2, self.inputs.ndim))
        mean = self.inputs.mean(axis=axes, dtype=np.float64, keepdims=True).astype(np.float32)
        sd = self.inputs.std(axis=axes, dtype=np.float64, keepdims=True).astype(np.float32)
        sd[sd == 0] = 1.0
        return replace(self, inputs=(self.inputs - mean) / sd, test_inputs=(self.test_inputs - mean) / sd)

    def digest(self) -> str:
        """Returns the SHA-256 of the content: every value, shape and class name, and not the dataset's name."""
        sha = hashlib.sha256(repr(self.classes).encode())
        for array in (self.inputs, self.labels, self.test_inputs, self.test_labels):
            sha.update(f"{array.dtype}{array.shape}".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()


def _chosen(name: str, available: int, examples: int | None, generator: np.random.Generator) -> NDArray[np.int64]:
    """Returns the indices of the examples to audit, drawn without replacement; all of them for None."""
    if examples is not None and not 1 <= examples <= available:
        raise ValueError(f"examples must be between 1 and {available}, all that {name} holds, got {examples}")
    return generator.permutation(available)[:examples].astype(np.int64)


def digits(argument: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """The 1,797 images of 8x8 handwritten digits that ship with scikit-learn; every third one is test data."""
    images, labels = load_digits(return_X_y=True)
    inputs = images.reshape(-1, 1, 8, 8).astype(np.float32)
    labels = labels.astype(np.int64)
    test = np.arange(len(labels)) % 3 == 0
    chosen = np.flatnonzero(~test)[_chosen("digits", int((~test).sum()), examples, generator)]
    names = tuple(str(digit) for digit in range(10))
    origins = tuple(f"load_digits()[{index}]" for index in chosen)
    return Dataset("digits", inputs[chosen], labels[chosen], inputs[test], labels[test], names, origins)


def npz(argument: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """A .npz file with x_train, y_train, x_test, y_test.

    x is (examples, features), (examples, height, width) or (examples, channels, height, width), uint8 or float; y holds
    whole class numbers from 0. Python objects in the file are refused, never unpickled.
    """
    path = Path(argument)
    if not path.is_file():
        raise FileNotFoundError(f"dataset npz:{argument}: no file at {argument!r}; use --dataset npz:PATH")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, NpzFile):
                raise ValueError("it is no npz archive")
            missing = [name for name in NPZ_ARRAYS if name not in archive]
            if missing:
                raise ValueError(f"it must hold the arrays {', '.join(NPZ_ARRAYS)}; missing {', '.join(missing)}")
            x_train, y_train, x_test, y_test = (archive[name] for name in NPZ_ARRAYS)
        inputs, labels = _npz_split(x_train, y_train, "train")
        test_inputs, test_labels = _npz_split(x_test, y_test, "test")
    except (ValueError, OSError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"dataset npz:{argument}: {error}") from error
    chosen = _chosen(f"npz:{argument}", len(labels), examples, generator)
    names = tuple(str(label) for label in range(int(labels.max(initial=0)) + 1))
    origins = tuple(f"x_train[{index}]" for index in chosen)
    return Dataset(f"npz:{argument}", inputs[chosen], labels[chosen], test_inputs, test_labels, names, origins)


def _npz_split(x: NDArray[np.generic], y: NDArray[np.generic], split: str) -> tuple[Inputs, NDArray[np.int64]]:
    if x.ndim not in (2, 3, 4):
        raise ValueError(
            f"x_{split} must be (examples, features), (examples, height, width) or "
            f"(examples, channels, height, width), got shape {x.shape}"
        )
    if x.ndim == 4 and x.shape[1] > 4 and x.shape[3] in (1, 3, 4):
        raise ValueError(f"x_{split} must have its channels first, got shape {x.shape}; use x.transpose(0, 3, 1, 2)")
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(f"y_{split} must be a vector of whole class numbers, got {y.dtype} of shape {y.shape}")
    if not (np.issubdtype(x.dtype, np.number) or x.dtype == bool):
        raise ValueError(f"x_{split} must hold numbers, got {x.dtype}")
    if len(x) != len(y):
        raise ValueError(f"x_{split} and y_{split} must hold as many labels as examples, got {len(y)} and {len(x)}")
    if x.ndim == 3:
        x = x[:, np.newaxis]
    return (x if x.dtype == np.uint8 else x.astype(np.float32)), y.astype(np.int64)


def folder(argument: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """A folder of images: train/<class>/*.png|jpg and test/<class>/*.png|jpg, all of one size.

    Only the chosen training images are read. Images are grey where the first one is, and colour otherwise.
    """
    root = Path(argument)
    layout = f"dataset folder:{argument}: expected {argument}/train/<class>/*.png|jpg and {argument}/test/<class>/…"
    for split in ("train", "test"):
        if not (root / split).is_dir():
            raise FileNotFoundError(f"{layout}; there is no folder {root / split}")
    names = _class_names(root / "train")
    if len(names) < 2:
        raise ValueError(f"{layout}; {root / 'train'} must hold at least 2 classes, got {len(names)}")
    extra = set(_class_names(root / "test")) - set(names)
    if extra:
        raise ValueError(f"{layout}; test has a class that train lacks: {', '.join(sorted(extra))}")
    train, labels = _listed(root / "train", names, layout)
    test, test_labels = _listed(root / "test", names, layout)
    chosen = _chosen(f"folder:{argument}", len(train), examples, generator)
    first = _read_image(train[0], None, None)
    mode = "L" if first.ndim == 2 else "RGB"
    inputs = _read_images([train[index] for index in chosen], mode, first.shape[:2])
    test_inputs = _read_images(test, mode, first.shape[:2])
    origins = tuple(train[index].relative_to(root).as_posix() for index in chosen)
    return Dataset(f"folder:{argument}", inputs, labels[chosen], test_inputs, test_labels, names, origins)


def _class_names(split: Path) -> tuple[str, ...]:
    """Returns the names of the class folders, sorted; hidden folders are none."""
    return tuple(sorted(path.name for path in split.iterdir() if path.is_dir() and not path.name.startswith(".")))


def _listed(split: Path, names: tuple[str, ...], layout: str) -> tuple[list[Path], NDArray[np.int64]]:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        if not (split / name).is_dir():
            raise ValueError(f"{layout}; class {name!r} is missing from {split}")
        images = sorted(path for path in (split / name).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        if not images:
            raise ValueError(f"{layout}; there is no image in {split / name}")
        paths += images
        labels += [label] * len(images)
    return paths, np.array(labels, dtype=np.int64)


def _read_images(paths: list[Path], mode: str, size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Returns the images as uint8 (images, channels, height, width)."""
    images = np.empty((len(paths), 1 if mode == "L" else 3, *size), dtype=np.uint8)
    for row, path in zip(images, paths, strict=True):
        image = _read_image(path, mode, size)
        row[:] = image if mode == "L" else image.transpose(2, 0, 1)
    return images


def _read_image(path: Path, mode: str | None, size: tuple[int, ...] | None) -> NDArray[np.uint8]:
    """Returns one image as uint8 (height, width) or (height, width, 3); `mode` None keeps grey images grey."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"it must have 8 bits a channel, and its mode is {image.mode}")
            pixels = np.asarray(image.convert(mode or ("L" if image.mode in ("1", "L") else "RGB")))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"cannot read the image {path}: {error}") from error
    if size is not None and pixels.shape[:2] != size:
        raise ValueError(
            f"all images must have one size, {size[0]}x{size[1]} as the first, "
            f"got {pixels.shape[0]}x{pixels.shape[1]} in {path}"
        )
    return pixels


Loader = Callable[[str, int | None, np.random.Generator], Dataset]
DATASETS: dict[str, Loader] = {"digits": digits, "folder": folder, "npz": npz}
TAKES_PATH = frozenset({"folder", "npz"})


def load(spec: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """Returns the dataset that `spec` names ("digits", "folder:PATH", "npz:PATH"), its inputs as stored.

    `examples` of its training examples are drawn by `generator`, all of them for None; the test split is whole.
    Raises ValueError or FileNotFoundError, naming the place, where the data are missing or malformed, or where a test
    example is among the examples to audit.
    """
    name, _, argument = spec.partition(":")
    known = [f"{key}:PATH" if key in TAKES_PATH else key for key in DATASETS]
    if name not in DATASETS or (name in TAKES_PATH) != bool(argument):
        raise ValueError(f"dataset must be one of {', '.join(known)}, got {spec!r}")
    dataset = DATASETS[name](argument, examples, generator)
    _refuse_overlap(dataset)
    return dataset


def _refuse_overlap(dataset: Dataset) -> None:
    """Raises ValueError where a test example is among the examples to audit: no model may train on the population."""
    kind = np.result_type(dataset.inputs, dataset.test_inputs)

    def contents(inputs: Inputs, labels: NDArray[np.int64]) -> list[tuple[bytes, int]]:
        return [(row.astype(kind).tobytes(), int(label)) for row, label in zip(inputs, labels, strict=True)]

    places = {content: place for place, content in enumerate(contents(dataset.inputs, dataset.labels))}
    both = [
        (test, places[content])
        for test, content in enumerate(contents(dataset.test_inputs, dataset.test_labels))
        if content in places
    ]
    if both:
        raise ValueError(
            f"dataset {dataset.name}: the test split must not overlap the examples to audit, got {len(both)} of its "
            f"{len(dataset.test_labels)} examples that are among them (test example {both[0][0]} is "
            f"{dataset.origins[both[0][1]]}); take them out of one of the two"
        )
