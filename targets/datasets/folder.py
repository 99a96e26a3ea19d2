"""Datasets of image files, one folder per class."""

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

    Only training images that are drawn are read, and all test images. If the first training image
    is grey, all images are read as grey images, otherwise as colour images.
    """
    root = Path(path)
    key = f"dataset folder:{path}"
    for split in ("train", "test"):
        if not (root / split).is_dir():
            raise UsageError(key, LAYOUT, f"no folder {root / split}")
    names = _class_names(root / "train")
    if len(names) < 2:
        rule = f"must have at least 2 classes in {root / 'train'}"
        raise UsageError(key, rule, str(len(names)))
    extra = set(_class_names(root / "test")) - set(names)
    if extra:
        rule = "must have no class in test that train lacks"
        raise UsageError(key, rule, ", ".join(sorted(extra)))
    train_paths, train_labels = _list_images(root / "train", names, key)
    test_paths, test_labels = _list_images(root / "test", names, key)
    chosen = drawn(f"folder:{path}", len(train_paths), examples, generator)
    chosen_paths = [train_paths[index] for index in chosen]
    first = _read_image(train_paths[0], None, None)
    mode = "L" if first.ndim == 2 else "RGB"
    size = first.shape[:2]
    return Dataset(
        f"folder:{path}",
        _read_images(chosen_paths, mode, size),
        train_labels[chosen],
        _read_images(test_paths, mode, size),
        test_labels,
        names,
        origins=tuple(image.relative_to(root).as_posix() for image in chosen_paths),
        indices=chosen,
    )


def _class_names(split: Path) -> tuple[str, ...]:
    """Returns the sorted names of the class folders, without hidden folders."""
    folders = [path.name for path in split.iterdir() if path.is_dir()]
    return tuple(sorted(name for name in folders if not name.startswith(".")))


def _list_images(
    split: Path, names: tuple[str, ...], key: str
) -> tuple[list[Path], NDArray[np.int64]]:
    """Returns the paths of the images, class by class, and their labels (images,), int64.

    `split` is the directory with a folder for each of the classes `names`.

    Raises:
        UsageError: For a class without a folder or without an image; `key` begins the message.
    """
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        folder = split / name
        if not folder.is_dir():
            raise UsageError(key, LAYOUT, f"no folder {folder}")
        images = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
        if not images:
            raise UsageError(key, LAYOUT, f"no image in {folder}")
        paths += images
        labels += [label] * len(images)
    return paths, np.array(labels, dtype=np.int64)


def _read_images(paths: list[Path], mode: str, size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Returns the images as uint8 (images, channels, height, width).

    `mode` is "L" (grey, 1 channel) or "RGB" (3 channels), and `size` is (height, width).
    """
    channels = 1 if mode == "L" else 3
    images = np.empty((len(paths), channels, *size), dtype=np.uint8)
    for row, path in zip(images, paths, strict=True):
        image = _read_image(path, mode, size)
        row[:] = image if mode == "L" else image.transpose(2, 0, 1)
    return images


def _read_image(path: Path, mode: str | None, size: tuple[int, ...] | None) -> NDArray[np.uint8]:
    """Returns an image as uint8, (height, width) if grey or (height, width, 3) in colour.

    `mode` is "L" (grey) or "RGB"; None means grey for grey images and colour for others. `size`
    None allows every size.

    Raises:
        UsageError: For an image that cannot be read, or of another (height, width) than `size`.
    """
    try:
        # Warnings would be printed. The one for an extremely large image, possibly an attack, is an
        # error.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            pixels = _pixels(path, mode)
    except UsageError:
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        rule = f"cannot be read: {one_line(error)}"
        way_out = "repair the image or leave it out"
        raise UsageError(f"the image {path}", rule, None, way_out) from error
    if size is not None and pixels.shape[:2] != size:
        height, width = pixels.shape[:2]
        rule = f"must have the size of the first image, {size[0]}x{size[1]}"
        raise UsageError(
            f"the image {path}", rule, f"{height}x{width}", "bring all images to one size"
        )
    return pixels


def _pixels(path: Path, mode: str | None) -> NDArray[np.uint8]:
    """Returns the image as for `_read_image`, without a check of its size."""
    with Image.open(path) as image:
        if image.mode.startswith(("I", "F")):
            rule = "must have 8 bits per channel"
            raise UsageError(f"the image {path}", rule, f"mode {image.mode}")
        if mode is None:
            mode = "L" if image.mode in ("1", "L") else "RGB"
        return np.asarray(image.convert(mode))
