"""Datasets of image files, one folder per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.contents import contents
from mgaudit.targets.datasets.dataset import Dataset, drawn
from mgaudit.targets.datasets.duplicates import groups_of
from mgaudit.targets.datasets.images.files import FolderId, ImageFile, image_files
from mgaudit.targets.datasets.images.layout import LAYOUT, ImageLayout, find_layout
from mgaudit.targets.datasets.images.left_out import LeftOut, names_of
from mgaudit.targets.datasets.images.pixels import (
    PixelFormat,
    common_format,
    conversion_notes,
    read_image,
    read_images,
    requested_size,
)
from mgaudit.targets.datasets.images.printable_names import printable, printable_and_unique
from mgaudit.targets.datasets.split import TEST_FRACTION, split_by_fraction
from mgaudit.targets.ranges import Range


@dataclass(frozen=True)
class LabelledImages:
    """Image files, and the class number of each (images,), int64."""

    files: list[ImageFile]
    labels: NDArray[np.int64]

    def chosen(self, rows: NDArray[np.int64]) -> "LabelledImages":
        """Returns the images of these rows (chosen,), int64, in their order."""
        return LabelledImages([self.files[row] for row in rows], self.labels[rows])


def read_folder(
    path: str,
    examples: int | None,
    generator: np.random.Generator,
    *,
    size: tuple[int, ...] = (),
    test_fraction: Annotated[float, Range(0, 1, low_open=True, high_open=True)] = TEST_FRACTION,
) -> Dataset:
    """A folder of images: train/<class>/<image> and test/<class>/<image>, or only <class>/<image>.

    Every still image that Pillow reads is read, also in subfolders of the class folders; all other
    files are named in notes. The images have one channel if all are grey, otherwise all are read as
    RGB. They must have one size, or are resized to `size`, a side or HEIGHTxWIDTH. A folder without
    train and test is split: `test_fraction` of the images of each class are test data.
    """
    root = Path(path)
    key = f"dataset folder:{printable(path)}"
    target_size = requested_size(key, size)
    left_out = LeftOut(root)
    layout = find_layout(root, key, left_out)
    train, test = _list_splits(layout, key, left_out)
    files = train.files + test.files
    pixel_format = common_format(files, target_size)
    notes = [*layout.notes, *left_out.notes(), *_notes_on_paths(files, layout, root)]
    notes += conversion_notes(files, pixel_format, root)
    if layout.test is not None:
        _refuse_fraction(key, layout.test, test_fraction)
    else:
        train, test = _divided(train, layout.classes, pixel_format, test_fraction, key)
        count = f"{len(test.files)} of {len(files)} images"
        notes.append(f"{count} are test data, the same in every audit: there is no folder test")
    origins = printable_and_unique([file.path.relative_to(root).as_posix() for file in train.files])
    rows = drawn(f"folder:{path}", len(train.files), examples, generator)
    audited = train.chosen(rows)
    return Dataset(
        f"folder:{path}",
        read_images(audited.files, pixel_format),
        audited.labels,
        read_images(test.files, pixel_format),
        test.labels,
        printable_and_unique(layout.classes),
        origins=tuple(origins[row] for row in rows),
        indices=rows,
        notes=tuple(notes),
    )


def _list_splits(
    layout: ImageLayout, key: str, left_out: LeftOut
) -> tuple[LabelledImages, LabelledImages]:
    """Returns the training images and the test images; the latter are none without a test folder.

    Files that are not read are added to `left_out`.

    Raises:
        UsageError: For a class without an image (`key` begins the message), and as `image_files`.
    """
    read_folders = layout.folder_ids()
    train = _list_images(layout.train, layout.classes, key, left_out, read_folders)
    if layout.test is None:
        return train, LabelledImages([], np.zeros(0, dtype=np.int64))
    return train, _list_images(layout.test, layout.classes, key, left_out, read_folders)


def _list_images(
    split: Path,
    classes: Sequence[str],
    key: str,
    left_out: LeftOut,
    read_folders: set[FolderId],
) -> LabelledImages:
    """Returns the images in the folders of the classes below `split`, class by class."""
    files: list[ImageFile] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        images = image_files(split / name, left_out, read_folders)
        if not images:
            value = f"no image in {printable(str(split / name))}"
            raise UsageError(key, LAYOUT, value, "add images, or remove the folder")
        files += images
        labels += [label] * len(images)
    return LabelledImages(files, np.array(labels, dtype=np.int64))


def _refuse_fraction(key: str, test: Path, test_fraction: float) -> None:
    """Raises UsageError for a share of test data other than the default if there are test data."""
    if test_fraction != TEST_FRACTION:
        rule = "must have no folder of test data if test_fraction is set"
        way_out = "leave test_fraction out, or move the folder away"
        raise UsageError(key, rule, printable(test.name), way_out)


def _notes_on_paths(files: Sequence[ImageFile], layout: ImageLayout, root: Path) -> tuple[str, ...]:
    """Returns notes on images in subfolders of class folders, and on names that are escaped."""
    notes = []
    folders = set(layout.class_folders())
    nested = [file.path for file in files if file.path.parent not in folders]
    if nested:
        count = f"{len(nested)} of {len(files)} images"
        notes.append(f"{count} are in subfolders of class folders: {names_of(nested, root)}")
    names = {file.path: str(file.path.relative_to(root)) for file in files}
    escaped = [path for path, name in names.items() if printable(name) != name]
    if escaped:
        count = f"{len(escaped)} of {len(files)} images"
        names_text = names_of(escaped, root)
        notes.append(f"the names of {count} are not printable UTF-8 and are escaped: {names_text}")
    return tuple(notes)


def _divided(
    images: LabelledImages,
    classes: Sequence[str],
    pixel_format: PixelFormat,
    test_fraction: float,
    key: str,
) -> tuple[LabelledImages, LabelledImages]:
    """Returns the training and the test images of a folder without these splits.

    Images with the same pixels are on the same side.

    Raises:
        UsageError: As `split_by_fraction` and `read_image`; `key` begins the message.
    """
    pixels = (read_image(file, pixel_format)[np.newaxis] for file in images.files)
    groups = groups_of(contents(image)[0] for image in pixels).numbers
    names = [printable(name) for name in classes]
    is_test = split_by_fraction(key, images.labels, groups, test_fraction, names)
    return images.chosen(np.flatnonzero(~is_test)), images.chosen(np.flatnonzero(is_test))
