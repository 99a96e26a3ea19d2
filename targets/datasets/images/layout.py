"""The folders of a dataset of images: training and test data, and a folder for each class."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.images.files import FolderId, entries, folder_id, is_hidden
from mgaudit.targets.datasets.images.left_out import LeftOut, Reason
from mgaudit.targets.datasets.images.printable_names import comparable, printable

LAYOUT = "must have the layout train/<class>/<image> and test/<class>/<image>, or <class>/<image>"
TRAIN = ("train", "training")
TEST = ("test", "testing")
VALIDATION = ("val", "valid", "validation")


@dataclass(frozen=True)
class ImageLayout:
    """Where the classes of a dataset are.

    Args:
        train: The folder with the classes of the training data.
        test: The folder with the classes of the test data; None where `train` is to be split.
        classes: The names of the class folders, in the order of their bytes.
        notes: Decisions on the folders, one sentence each.
    """

    train: Path
    test: Path | None
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def class_folders(self) -> list[Path]:
        """Returns the folders of the classes, those of the training data first."""
        splits = [split for split in (self.train, self.test) if split is not None]
        return [split / name for split in splits for name in self.classes]

    def folder_ids(self) -> set[FolderId]:
        """Returns the class folders and all folders around them."""
        ids = set()
        for folder in self.class_folders():
            ids |= {folder_id(path) for path in (folder, *folder.resolve().parents)}
        return ids


def find_layout(root: Path, key: str, left_out: LeftOut) -> ImageLayout:
    """Returns where the classes are below `root`.

    Files and folders beside the class folders are added to `left_out`.

    Raises:
        UsageError: For folders that are not a dataset of images; `key` begins the message.
    """
    layout = _layout(root, key, left_out)
    for split in (layout.train, layout.test):
        if split is not None:
            _refuse_shared(split, layout.classes, key)
    return layout


def _layout(root: Path, key: str, left_out: LeftOut) -> ImageLayout:
    """Returns the layout as `find_layout`, without a check of links between the class folders."""
    if not os.path.isdir(root):
        value = "a file" if os.path.isfile(root) else f"no folder {printable(str(root / 'train'))}"
        raise UsageError(key, LAYOUT, value, "give the folder that contains the images")
    folders = _folders(root)
    train = _split_folder(folders, TRAIN, key)
    test = _split_folder(folders, TEST, key)
    if train is None and test is None:
        return _without_split(root, folders, key, left_out)
    notes: tuple[str, ...] = ()
    if test is None:
        test = _split_folder(folders, VALIDATION, key)
        if test is not None:
            notes = (f"the test split is the folder {test.name}, because there is no folder test",)
    if train is None or test is None:
        raise _one_split_error(root, train, key)
    for path in entries(root):
        if path not in (train, test):
            is_folder = os.path.isdir(path)
            _leave_out(path, left_out, Reason.OTHER_FOLDER if is_folder else Reason.OUTSIDE)
    classes = _class_folders(train, left_out)
    _refuse_few(train, classes, key)
    test_classes = _class_folders(test, left_out)
    extra = sorted({*test_classes} - {*classes}, key=os.fsencode)
    _refuse_alike([*classes, *extra], key)
    if extra:
        rule = "must have no class in test that train lacks"
        raise UsageError(key, rule, ", ".join(map(printable, extra)))
    missing = sorted({*classes} - {*test_classes}, key=os.fsencode)
    if missing:
        value = f"no folder {printable(str(test / missing[0]))}"
        raise UsageError(key, LAYOUT, value, "every class needs test images")
    return ImageLayout(train, test, classes, notes)


def _without_split(root: Path, folders: Sequence[Path], key: str, left_out: LeftOut) -> ImageLayout:
    """Returns the layout of a folder with only class folders."""
    inner = [folder for folder in folders if _split_folder(_folders(folder), TRAIN, key)]
    if len(inner) == 1:
        value = f"no folder {printable(str(root / 'train'))}"
        raise UsageError(key, LAYOUT, value, f"use folder:{printable(str(inner[0]))}")
    if inner:
        value = "train folders in " + ", ".join(printable(folder.name) for folder in inner)
        way_out = "make one folder train with a folder for each class, and one folder test"
        raise UsageError(key, LAYOUT, value, way_out)
    if len(folders) == 1 and len(_folders(folders[0])) > 1:
        value = f"only the folder {printable(folders[0].name)}"
        raise UsageError(key, LAYOUT, value, f"use folder:{printable(str(folders[0]))}")
    if len(folders) == 1 and len(_folders(folders[0])) == 1:
        return _without_split(folders[0], _folders(folders[0]), key, left_out)
    if not folders:
        raise UsageError(key, LAYOUT, f"no folder {printable(str(root / 'train'))}")
    classes = _class_folders(root, left_out)
    _refuse_few(root, classes, key)
    _refuse_alike(classes, key)
    return ImageLayout(root, None, classes)


def _folders(folder: Path) -> list[Path]:
    """Returns the visible folders in a folder, in the order of the bytes of their names."""
    paths = [path for path in entries(folder) if not is_hidden(path.name)]
    return [path for path in paths if os.path.isdir(path)]


def _split_folder(folders: Sequence[Path], names: Sequence[str], key: str) -> Path | None:
    """Returns the folder of a split: the one with the first name, otherwise with one of the names.

    Case is ignored where no folder has exactly the first name.

    Raises:
        UsageError: Where several folders may be meant.
    """
    exact = [folder for folder in folders if folder.name == names[0]]
    if exact:
        return exact[0]
    similar = [folder for folder in folders if folder.name.lower() in names]
    if len(similar) > 1:
        value = " and ".join(printable(folder.name) for folder in similar)
        rule = f"must have one folder {names[0]}"
        raise UsageError(key, rule, value, f"name the one to use {names[0]}")
    return similar[0] if similar else None


def _one_split_error(root: Path, train: Path | None, key: str) -> UsageError:
    """Returns the error for training data without test data; `train` is None for the reverse."""
    missing = "train" if train is None else "test"
    way_out = f"add the folder {missing}"
    if train is not None:
        path = printable(str(train))
        way_out += f", or use folder:{path}, of which a part becomes test data"
    return UsageError(key, LAYOUT, f"no folder {printable(str(root / missing))}", way_out)


def _leave_out(path: Path, left_out: LeftOut, reason: Reason) -> None:
    left_out.add(Reason.HIDDEN if is_hidden(path.name) else reason, path)


def _class_folders(split: Path, left_out: LeftOut) -> tuple[str, ...]:
    """Returns the names of the class folders; hidden folders and files are added to `left_out`."""
    folders = _folders(split)
    others = {*entries(split)} - {*folders}
    for path in sorted(others, key=os.fsencode):
        _leave_out(path, left_out, Reason.OUTSIDE)
    return tuple(folder.name for folder in folders)


def _refuse_shared(split: Path, classes: Sequence[str], key: str) -> None:
    """Raises UsageError where the folders of two classes are links to one folder."""
    names: dict[FolderId, str] = {}
    for name in classes:
        other = names.setdefault(folder_id(split / name), name)
        if other != name:
            rule = "must have a folder for each class"
            value = f"one folder for {printable(other)} and {printable(name)}"
            raise UsageError(key, rule, value, "remove one of the links")


def _refuse_few(split: Path, classes: Sequence[str], key: str) -> None:
    """Raises UsageError for fewer than 2 class folders."""
    if len(classes) >= 2:
        return
    way_out = "make a folder for each class"
    if len(classes) == 1 and _folders(split / classes[0]):
        inner = printable(str(split / classes[0]))
        way_out = f"if the classes are in {inner}, move them one folder up"
    rule = f"must have at least 2 classes in {printable(str(split))}"
    raise UsageError(key, rule, str(len(classes)), way_out)


def _refuse_alike(names: Sequence[str], key: str) -> None:
    """Raises UsageError for names of classes that differ only in case, blanks or Unicode form."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[comparable(name)].append(name)
    for group in alike.values():
        if len(group) > 1:
            rule = "must not have classes whose names differ only in case, blanks or Unicode form"
            value = " and ".join(ascii(printable(name)) for name in group)
            raise UsageError(key, rule, value, "rename or merge the folders")
