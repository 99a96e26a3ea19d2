"""Which folders are training data, test data and classes."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from mgaudit.errors import UsageError
from tests.image_folders import channels_first, picture, pixels_of, read, write_split


def rename(root: Path, **names: str) -> Path:
    for name, new_name in names.items():
        (root / name).rename(root / new_name)
    return root


@pytest.mark.parametrize(
    ("train", "test"), [("Train", "Test"), ("training", "testing"), ("TRAINING", "test")]
)
def test_names_of_splits_in_other_spellings_are_accepted(
    tmp_path: Path, train: str, test: str
) -> None:
    before = read(write_split(tmp_path / "a"))
    dataset = read(rename(write_split(tmp_path / "b"), train=train, test=test))
    assert dataset.digest() == before.digest()
    assert dataset.origins[0].startswith(f"{train}/")
    assert not dataset.notes


def test_the_exact_names_win_and_other_folders_are_named(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    before = read(root)
    for name in ("Train", "val", "testing", "masks"):
        shutil.copytree(root / "train", root / name)
    (root / "README.md").write_text("")
    dataset = read(root)
    assert dataset.digest() == before.digest()
    assert dataset.notes == (
        "left out 1 file outside of the class folders: README.md",
        "left out 4 folders beside train and test: Train, masks, testing, val",
    )


def test_two_folders_that_may_be_meant_are_refused(tmp_path: Path) -> None:
    root = rename(write_split(tmp_path), train="Train")
    shutil.copytree(root / "Train", root / "training")
    with pytest.raises(UsageError, match="must have one folder train, got Train and training"):
        read(root)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_validation_data_are_test_data_where_there_are_no_others(tmp_path: Path, name: str) -> None:
    before = read(write_split(tmp_path / "a"))
    dataset = read(rename(write_split(tmp_path / "b"), test=name))
    assert dataset.digest() == before.digest()
    assert dataset.notes == (
        f"the test split is the folder {name}, because there is no folder test",
    )


def test_training_data_without_test_data_are_refused_with_the_way_out(tmp_path: Path) -> None:
    root = write_split(tmp_path, each=6)
    shutil.rmtree(root / "test")
    with pytest.raises(UsageError, match=f"got no folder {root}/test; ") as error:
        read(root)
    assert f"use folder:{root}/train" in error.value.way_out
    assert len(read(root / "train").inputs) == 8


def test_test_data_without_training_data_are_refused(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    shutil.rmtree(root / "train")
    with pytest.raises(UsageError, match=f"got no folder {root}/train; add the folder train"):
        read(root)


@pytest.mark.parametrize("splits", [("train", "test"), ("train",), ("training", "val")])
def test_a_folder_around_the_dataset_is_refused_with_its_name(
    tmp_path: Path, splits: tuple[str, ...]
) -> None:
    root = tmp_path / "data" / "data"
    write_split(root, splits=splits)
    (tmp_path / "data" / "__MACOSX").mkdir()
    (tmp_path / "data" / "README").write_text("")
    for path in (tmp_path / "data", tmp_path):
        with pytest.raises(UsageError, match=f"; use folder:{root}$"):
            read(path)


def test_a_folder_around_class_folders_is_refused_with_its_name(tmp_path: Path) -> None:
    write_split(tmp_path, splits=("archive/pets",))
    with pytest.raises(UsageError, match=f"; use folder:{tmp_path}/archive/pets$"):
        read(tmp_path)


def test_splits_inside_of_classes_are_refused(tmp_path: Path) -> None:
    write_split(tmp_path, ("train", "test"), splits=("cat", "dog"))
    with pytest.raises(UsageError, match="got train folders in cat, dog; make one folder train"):
        read(tmp_path)


def test_a_folder_around_the_classes_of_a_split_is_named(tmp_path: Path) -> None:
    write_split(tmp_path, splits=("train/train", "test"))
    with pytest.raises(UsageError, match=f"if the classes are in {tmp_path}/train/train, move"):
        read(tmp_path)


@pytest.mark.parametrize("kind", ["file", "nothing", "loop", "empty"])
def test_what_is_no_folder_of_images_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "data"
    if kind == "file":
        path.write_bytes(b"PK")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "empty":
        path.mkdir()
    message = "got a file" if kind == "file" else f"got no folder {path}/train"
    with pytest.raises(UsageError, match=message):
        read(path)


@pytest.mark.parametrize(
    "pair",
    [
        *(("Cat", "cat"), ("cat", "cat "), ("ice cream", "icecream"), ("Straße", "STRASSE")),
        *(("\u00e9", "e\u0301"), ("a\u00a0b", "a b"), ("cat", "cat\u200b"), ("ﬁsh", "fish")),
    ],
)
def test_classes_that_differ_only_in_case_blanks_or_unicode_form_are_refused(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    both = write_split(tmp_path / "both", (*pair, "dog"))
    mixed = write_split(tmp_path / "mixed", (pair[0], "dog"))
    rename(mixed / "test", **{pair[0]: pair[1]})
    alone = write_split(tmp_path / "alone", (*pair, "dog"), splits=["all"]) / "all"
    for root in (both, mixed, alone):
        with pytest.raises(UsageError, match="must not have classes whose names differ") as error:
            read(root)
        assert set(str(error.value.value).split(" and ")) == {ascii(name) for name in pair}


@pytest.mark.parametrize("pair", [("cat", "cats"), ("c-at", "cat"), ("1", "10"), ("é", "e")])
def test_classes_that_differ_otherwise_are_read(tmp_path: Path, pair: tuple[str, str]) -> None:
    assert set(read(write_split(tmp_path, pair)).classes) == set(pair)


def test_files_and_classes_are_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    names = ["Z", "a", "b10", "b2", "é", "ﬁ", "🐈"]
    root = write_split(tmp_path, names)
    dataset = read(root)
    assert dataset.classes == tuple(names)
    for name in ("10", "9", "B", "ä", "_"):
        picture(90).save(root / "train" / "a" / f"{name}.png")
    dataset = read(root)
    stored = [dataset.origins[row] for row in np.argsort(dataset.indices)]
    first = [name for name in stored if name.startswith("train/a/")]
    assert first == [f"train/a/{name}.png" for name in ("0", "1", "10", "2", "9", "B", "_", "ä")]


def test_images_in_subfolders_are_read_and_noted(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    deep = root / "train" / "cat" / "b.png" / "c" / "d"
    deep.mkdir(parents=True)
    picture(90).save(deep / "x.bmp")
    (root / "train" / "cat" / "empty.png").mkdir()
    dataset = read(root)
    assert "train/cat/b.png/c/d/x.bmp" in dataset.origins
    assert dataset.labels[dataset.origins.index("train/cat/b.png/c/d/x.bmp")] == 0
    assert dataset.notes == (
        "1 of 13 images are in subfolders of class folders: train/cat/b.png/c/d/x.bmp",
    )


def test_subfolders_may_be_deeper_than_the_recursion_limit(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    folders = [root / "train" / "cat"]
    for _ in range(sys.getrecursionlimit() + 100):
        folders.append(folders[-1] / "d")
        folders[-1].mkdir()
    image = folders[-1] / "x.png"
    picture(90).save(image)
    assert len(read(root).inputs) == 7
    image.unlink()
    for folder in reversed(folders[1:]):  # shutil.rmtree is recursive
        folder.rmdir()


def test_links_to_images_and_folders_are_followed_once(tmp_path: Path) -> None:
    root = write_split(tmp_path / "data")
    store = write_split(tmp_path / "store")
    cat = root / "train" / "cat"
    for index in range(3):
        (cat / f"{index}.png").unlink()
    picture(90).save(store / "blob", "PNG")
    (cat / "x.png").symlink_to(store / "blob")
    (cat / "more").symlink_to(store / "test" / "dog")
    (cat / "again").symlink_to(store / "test" / "dog")
    dataset = read(root)
    cats = [name for name in dataset.origins if name.startswith("train/cat")]
    assert len(cats) == 4
    assert "train/cat/again/0.png" in cats
    assert "left out 1 link to a folder that is read elsewhere: train/cat/more" in dataset.notes


@pytest.mark.parametrize("target", [".", "..", "../..", "../dog", "../../test/dog", "/"])
def test_links_to_folders_around_or_beside_a_class_are_left_out(
    tmp_path: Path, target: str
) -> None:
    root = write_split(tmp_path / "data")
    before = read(root)
    (root / "train" / "cat" / "link").symlink_to(target)
    dataset = read(root)
    assert dataset.digest() == before.digest()
    assert dataset.notes == ("left out 1 link to a folder that is read elsewhere: train/cat/link",)


def test_class_folders_may_be_links(tmp_path: Path) -> None:
    store = write_split(tmp_path / "store")
    root = tmp_path / "data"
    root.mkdir()
    for split in ("train", "test"):
        (root / split).mkdir()
        for name in ("cat", "dog"):
            (root / split / name).symlink_to(store / split / name)
    assert read(root).digest() == read(store).digest()


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_folder_for_two_classes_is_refused(tmp_path: Path, split: str) -> None:
    root = write_split(tmp_path)
    shutil.rmtree(root / split / "dog")
    (root / split / "dog").symlink_to("cat")
    with pytest.raises(UsageError, match="for each class, got one folder for cat and dog"):
        read(root)


@pytest.mark.parametrize("suffix", ["", ".png"])
@pytest.mark.parametrize("kind", ["pipe", "device", "broken", "loop"])
def test_what_is_no_regular_file_is_never_opened(tmp_path: Path, kind: str, suffix: str) -> None:
    root = write_split(tmp_path)
    path = root / "train" / "cat" / f"x{suffix}"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to({"device": "/dev/zero", "broken": "nowhere", "loop": path}[kind])
    if suffix:
        with pytest.raises(UsageError, match=r"the image .*/x\.png cannot be read: "):
            read(root)
    else:
        dataset = read(root)
        assert len(dataset.inputs) == 6
        assert dataset.notes == ("left out 1 file that cannot be opened: train/cat/x",)


def test_what_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_split(tmp_path)
    listdir = os.listdir

    def refuse(folder: Path) -> list[str]:
        if Path(folder).name == "dog":
            raise PermissionError(13, "Permission denied", str(folder))
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(UsageError, match=r"the folder .*/train/dog must be readable: Permission"):
        read(root)


def test_a_class_of_other_files_is_refused(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    for path in (root / "train" / "dog").iterdir():
        path.rename(path.with_name(f".{path.name}"))
    with pytest.raises(UsageError, match=f"got no image in {root}/train/dog; "):
        read(root)


def test_a_folder_of_classes_is_split_in_every_class(tmp_path: Path) -> None:
    root = write_split(tmp_path, each=9, splits=["all"]) / "all"
    dataset = read(root)
    assert np.bincount(dataset.labels).tolist() == [6, 6]
    assert np.bincount(dataset.test_labels).tolist() == [3, 3]
    assert dataset.origins[0].startswith(("cat/", "dog/"))
    assert dataset.notes == (
        "6 of 18 images are test data, the same in every audit: there is no folder test",
    )
    train = {image.tobytes() for image in dataset.inputs}
    test = {image.tobytes() for image in dataset.test_inputs}
    assert train | test == {pixels_of(path).tobytes() for path in root.rglob("*.png")}
    assert not train & test


def test_the_split_of_a_folder_depends_on_no_seed_and_on_no_number_of_examples(
    tmp_path: Path,
) -> None:
    root = write_split(tmp_path, each=9, splits=["all"]) / "all"
    whole = read(root)
    for seed in range(4):
        dataset = read(root, 5, seed)
        assert np.array_equal(dataset.test_inputs, whole.test_inputs)
        assert set(dataset.origins) <= set(whole.origins)
        order = np.argsort(whole.indices)
        assert [whole.origins[order[row]] for row in dataset.indices] == list(dataset.origins)


@pytest.mark.parametrize(("fraction", "tests"), [(0.5, 5), (0.1, 1), (0.01, 1), (0.9, 9)])
def test_the_fraction_of_test_data_is_an_option(
    tmp_path: Path, fraction: float, tests: int
) -> None:
    root = write_split(tmp_path, each=10, splits=["all"]) / "all"
    dataset = read(root, test_fraction=fraction)
    assert np.bincount(dataset.test_labels).tolist() == [tests, tests]


def test_a_fraction_beside_a_folder_of_test_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must have no folder of test data if test_fraction"):
        read(write_split(tmp_path), test_fraction=0.5)


def test_identical_images_stay_on_one_side(tmp_path: Path) -> None:
    root = write_split(tmp_path, each=10, splits=["all"]) / "all"
    for name in ("cat", "dog"):
        for index in range(10):
            image = picture(100 + index // 3)  # also the same in both classes
            image.save(root / name / f"{index}{('.png', '.bmp')[index % 2]}")
        for index in range(1, 10, 2):
            (root / name / f"{index}.png").unlink()
    dataset = read(root)
    train = {image.tobytes() for image in dataset.inputs}
    assert train.isdisjoint(image.tobytes() for image in dataset.test_inputs)
    assert len(dataset.inputs) + len(dataset.test_inputs) == 20
    assert np.bincount(dataset.test_labels).min() >= 1


def test_images_that_are_identical_after_resizing_stay_on_one_side(tmp_path: Path) -> None:
    root = write_split(tmp_path, each=6, splits=["all"]) / "all"
    dataset = read(root, size=(1, 1))
    train = {image.tobytes() for image in dataset.inputs}
    assert train.isdisjoint(image.tobytes() for image in dataset.test_inputs)


@pytest.mark.parametrize("case", ["one image", "identical images"])
def test_a_class_that_cannot_be_split_is_refused(tmp_path: Path, case: str) -> None:
    root = write_split(tmp_path, each=3, splits=["all"]) / "all"
    for index in (1, 2):
        path = root / "dog" / f"{index}.png"
        if case == "one image":
            path.unlink()
        else:
            shutil.copy(root / "dog" / "0.png", path)
    with pytest.raises(UsageError, match="at least two different examples of each class") as error:
        read(root)
    assert "of class 'dog'" in str(error.value)


def test_classes_named_like_splits_are_not_confused_with_them(tmp_path: Path) -> None:
    root = write_split(tmp_path, ("valid", "invalid"), splits=["all"]) / "all"
    assert read(root).classes == ("invalid", "valid")
    inner = write_split(tmp_path / "b", ("train", "test"))
    assert read(inner).classes == ("test", "train")


def test_the_pixels_of_the_first_class_are_its_own(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    dataset = read(root)
    expected = [channels_first(picture(seed)) for seed in range(7, 13)]
    assert np.array_equal(dataset.test_inputs, np.array(expected))
