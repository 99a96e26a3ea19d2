"""Images in folders."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.dataset import Dataset, drawn
from mgaudit.targets.own_module import one_line

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
LAYOUT = "must have the layout train/<class>/*.png|jpg and test/<class>/*.png|jpg"


def read_folder(path: str, examples: int | None, generator: np.random.Generator) -> Dataset:
    """A folder of images: train/<class>/*.png|jpg and test/<class>/*.png|jpg, all of one size.

    Only the chosen training images are read. Images are grey where the first one is, and colour otherwise.
    """
    root = Path(path)
    key = f"dataset folder:{path}"
    for split in ("train", "test"):
        if not (root / split).is_dir():
            raise UsageError(key, LAYOUT, f"no folder {root / split}")
    names = _class_names(root / "train")
    if len(names) < 2:
        raise UsageError(key, f"must have at least 2 classes in {root / 'train'}", str(len(names)))
    extra = set(_class_names(root / "test")) - set(names)
    if extra:
        raise UsageError(
            key, "must have no class in test that train lacks", ", ".join(sorted(extra))
        )
    train, labels = _listed(root / "train", names, key)
    test, test_labels = _listed(root / "test", names, key)
    chosen = drawn(f"folder:{path}", len(train), examples, generator)
    first = _read_image(train[0], None, None)
    mode = "L" if first.ndim == 2 else "RGB"
    inputs = _read_images([train[index] for index in chosen], mode, first.shape[:2])
    test_inputs = _read_images(test, mode, first.shape[:2])
    origins = tuple(train[index].relative_to(root).as_posix() for index in chosen)
    return Dataset(
        f"folder:{path}", inputs, labels[chosen], test_inputs, test_labels, names, origins
    )


def _class_names(split: Path) -> tuple[str, ...]:
    """Returns the names of the class folders, sorted; hidden folders are none."""
    return tuple(
        sorted(
            path.name for path in split.iterdir() if path.is_dir() and not path.name.startswith(".")
        )
    )


def _listed(split: Path, names: tuple[str, ...], key: str) -> tuple[list[Path], NDArray[np.int64]]:
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        if not (split / name).is_dir():
            raise UsageError(key, LAYOUT, f"no folder {split / name}")
        images = sorted(
            path for path in (split / name).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES
        )
        if not images:
            raise UsageError(key, LAYOUT, f"no image in {split / name}")
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
        # A warning is a line on the terminal, and one says that an image is so large that it may be an attack.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            pixels = _pixels(path, mode)
    except UsageError:
        raise
    except Exception as error:  # decoders raise a dozen kinds for damaged files
        way_out = "repair the image or leave it out"
        raise UsageError(
            f"the image {path}", f"cannot be read: {one_line(error)}", None, way_out
        ) from error
    if size is not None and pixels.shape[:2] != size:
        rule = f"must have the size of the first image, {size[0]}x{size[1]}"
        value = f"{pixels.shape[0]}x{pixels.shape[1]}"
        raise UsageError(f"the image {path}", rule, value, "bring all images to one size")
    return pixels


def _pixels(path: Path, mode: str | None) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        if image.mode.startswith(("I", "F")):
            raise UsageError(
                f"the image {path}", "must have 8 bits a channel", f"mode {image.mode}"
            )
        return np.asarray(image.convert(mode or ("L" if image.mode in ("1", "L") else "RGB")))
