import inspect
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from mgaudit.errors import UsageError
from mgaudit.settings.datasets import dataset_choice, load
from mgaudit.targets.datasets import DATASETS, Dataset, Reader
from mgaudit.targets.datasets.digits import _images_and_labels
from mgaudit.targets.ranges import Range


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def write_images(
    root: Path, classes: tuple[str, ...] = ("cat", "dog"), each: int = 3, size: int = 8
) -> Path:
    draw = np.random.default_rng(1)
    for split in ("train", "test"):
        for name in classes:
            (root / split / name).mkdir(parents=True)
            for index in range(each):
                pixels = draw.integers(0, 256, (size, size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{index}.png")
    return root


def npz_arrays(examples: int = 30) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(2)
    return {
        "x_train": draw.random((examples, 5)),
        "y_train": np.arange(examples) % 3,
        "x_test": draw.random((9, 5)),
        "y_test": np.arange(9) % 3,
    }


def test_digits_are_embedded_and_split_the_same_each_time() -> None:
    digits = load("digits", None, generator())
    assert digits.inputs.shape == (1198, 1, 8, 8)
    assert digits.test_inputs.shape == (599, 1, 8, 8)
    assert digits.classes == tuple("0123456789")
    assert set(np.unique(digits.test_labels)) == set(range(10))


def test_digits_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = load_digits(return_X_y=True)
    test = np.arange(len(labels)) % 3 == 0
    for find in (find_spec, lambda _: None):  # scikit-learn's file, and its function
        monkeypatch.setattr("mgaudit.targets.datasets.digits.find_spec", find)
        _images_and_labels.cache_clear()
        digits = load("digits", None, generator())
        assert np.array_equal(digits.inputs.reshape(-1, 64), images[~test][digits.indices])
        assert np.array_equal(digits.labels, labels[~test][digits.indices])
        assert np.array_equal(digits.test_inputs.reshape(-1, 64), images[test])
        assert np.array_equal(digits.test_labels, labels[test])


def test_examples_are_drawn_without_replacement_and_a_larger_draw_extends_a_smaller() -> None:
    few, many = (load("digits", examples, generator()) for examples in (100, 300))
    assert np.array_equal(few.inputs, many.inputs[:100])
    assert few.digest() != many.digest()
    drawn = load("digits", None, generator())
    assert len(np.unique(drawn.inputs.reshape(1198, -1), axis=0)) == 1198


def test_indices_are_the_positions_in_the_split_as_it_is_stored(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **npz_arrays())
    for spec in ("digits", f"folder:{write_images(tmp_path)}", f"npz:{tmp_path / 'data.npz'}"):
        whole = load(spec, None, generator())
        assert whole.indices.tolist() != sorted(whole.indices)
        stored = np.argsort(whole.indices)
        assert whole.indices[stored].tolist() == list(range(len(stored)))
        few = load(spec, 4, np.random.default_rng(1))
        for kept in (few, few.standardised()):
            assert [whole.origins[stored[index]] for index in kept.indices] == list(kept.origins)
        assert np.array_equal(whole.inputs[stored[few.indices]], few.inputs), spec
    rows = npz_arrays()["x_train"].astype(np.float32)
    assert np.array_equal(whole.inputs[stored], rows)


def test_standardised_by_channel_for_images_and_by_feature_for_vectors() -> None:
    draw = np.random.default_rng(3)
    images = draw.integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)
    images[:, 2] = 7
    labels = np.arange(40) % 2
    dataset = Dataset("images", images, labels, images[:4], labels[:4], ("a", "b")).standardised()
    assert dataset.inputs.dtype == dataset.test_inputs.dtype == np.float32
    assert np.allclose(dataset.inputs.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    assert np.allclose(dataset.inputs.std(axis=(0, 2, 3)), [1, 1, 0], atol=1e-5)
    assert np.allclose(dataset.inputs[:4], dataset.test_inputs)

    vectors = draw.normal([5, -5], [1, 3], (200, 2)).astype(np.float32)
    other = draw.normal([0, 0], [1, 1], (10, 2)).astype(np.float32)
    dataset = Dataset(
        "vectors", vectors, np.arange(200) % 2, other, np.arange(10) % 2, ("a", "b")
    ).standardised()
    assert np.allclose(dataset.inputs.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(dataset.inputs.std(axis=0), 1, atol=1e-5)
    assert dataset.test_inputs[:, 0].mean() < -3  # with the training statistics, not its own


def test_the_digest_is_that_of_the_content() -> None:
    digits = load("digits", 50, generator())
    changed = digits.inputs.copy()
    changed[7, 0, 3, 3] += 1
    fields = (digits.labels, digits.test_inputs, digits.test_labels)
    assert Dataset("renamed", digits.inputs, *fields, digits.classes).digest() == digits.digest()
    assert Dataset("digits", changed, *fields, digits.classes).digest() != digits.digest()
    assert (
        Dataset("digits", digits.inputs, *fields, (*digits.classes[:9], "ix")).digest()
        != digits.digest()
    )


def test_a_folder_of_images_is_read_pixel_for_pixel(tmp_path: Path) -> None:
    root = write_images(tmp_path)
    dataset = load(f"folder:{root}", None, generator())
    assert dataset.inputs.shape == (6, 3, 8, 8)
    assert dataset.inputs.dtype == np.uint8
    assert dataset.classes == ("cat", "dog")
    first = np.asarray(Image.open(root / "test" / "cat" / "0.png")).transpose(2, 0, 1)
    assert np.array_equal(dataset.test_inputs[0], first)
    assert sorted(dataset.labels.tolist()) == [0, 0, 0, 1, 1, 1]
    position = int(np.flatnonzero(dataset.labels == 1)[0])
    dogs = [
        np.asarray(Image.open(path)).transpose(2, 0, 1)
        for path in (root / "train" / "dog").iterdir()
    ]
    assert any(np.array_equal(dataset.inputs[position], dog) for dog in dogs)


def test_hidden_folders_are_no_classes(tmp_path: Path) -> None:
    root = write_images(tmp_path)
    (root / "train" / ".ipynb_checkpoints").mkdir()
    assert load(f"folder:{root}", None, generator()).classes == ("cat", "dog")


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    root = write_images(tmp_path)
    for path in root.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert load(f"folder:{root}", None, generator()).inputs.shape == (6, 1, 8, 8)


def spoil(root: Path, how: str) -> None:
    if how == "no test":
        (root / "test").rename(root / "other")
    elif how == "empty":
        for path in root.rglob("*.png"):
            path.unlink()
    elif how == "class missing":
        (root / "test" / "dog").rename(root / "test" / "dog2")
        (root / "test" / "dog2").rename(root / "dog")
    elif how == "extra class":
        (root / "test" / "emu").mkdir()
    elif how == "one class":
        (root / "train" / "dog").rename(root / "dog")
    elif how == "unreadable":
        (root / "test" / "dog" / "1.png").write_bytes(b"not an image")
    elif how == "cut short":
        path = root / "test" / "dog" / "1.png"
        path.write_bytes(path.read_bytes()[:60])
    elif how == "other size":
        Image.new("RGB", (9, 8)).save(root / "test" / "cat" / "2.png")
    elif how == "16 bits":
        Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(
            root / "test" / "cat" / "2.png"
        )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no test", "must have the layout .*, got no folder .*test"),
        ("empty", "must have the layout .*, got no image in .*cat"),
        ("class missing", "must have the layout .*, got no folder .*test/dog"),
        ("extra class", "must have no class in test that train lacks, got emu"),
        ("one class", "at least 2 classes in .*train, got 1"),
        ("unreadable", r"the image .*dog/1\.png cannot be read"),
        ("cut short", r"the image .*dog/1\.png cannot be read"),
        ("16 bits", r"the image .*cat/2\.png must have 8 bits per channel, got mode I;16"),
        (
            "other size",
            r"the image .*cat/2\.png must have the size of most images, 8x8, got 8x9",
        ),
    ],
)
def test_a_folder_that_is_not_as_it_should_be_is_refused(
    tmp_path: Path, how: str, message: str
) -> None:
    root = write_images(tmp_path)
    spoil(root, how)
    with pytest.raises(UsageError, match=message):
        load(f"folder:{root}", None, generator())


def test_a_folder_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="got no folder /nowhere/train"):
        load("folder:/nowhere", None, generator())


def test_npz_vectors_and_images(tmp_path: Path) -> None:
    arrays = npz_arrays()
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    dataset = load(f"npz:{tmp_path / 'a.npz'}", None, generator())
    assert dataset.inputs.shape == (30, 5)
    assert np.array_equal(
        np.sort(dataset.inputs, axis=0), np.sort(arrays["x_train"].astype(np.float32), axis=0)
    )
    images = {
        **arrays,
        "x_train": np.zeros((30, 8, 8), np.uint8),
        "x_test": np.ones((9, 8, 8), np.uint8),
    }
    np.savez(tmp_path / "b.npz", **images)  # type: ignore[arg-type]
    assert load(f"npz:{tmp_path / 'b.npz'}", 12, generator()).inputs.shape == (12, 1, 8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_test": None}, "missing y_test"),
        ({"x_train": np.zeros((30, 2, 2, 2, 2))}, "x_train must be"),
        ({"x_train": np.zeros((30, 7, 9, 3)), "x_test": np.zeros((9, 7, 9, 3))}, "channels first"),
        ({"y_train": np.arange(30) / 7}, "y_train must be labels of classes, got 30 distinct"),
        (
            {"y_train": np.zeros(29, dtype=int)},
            "y_train must hold a label for each of 30 examples, got 29",
        ),
        (
            {"y_train": np.arange(30) % 3 - 1},
            "y_test must have only the 3 labels",
        ),
        (
            {"x_train": np.full((30, 5), np.nan)},
            "x_train must be finite, got nan for example 0, feature 0",
        ),
        ({"x_train": np.array([["a"] * 5] * 30)}, "x_train must hold real numbers"),
        ({"x_train": np.array([[object()] * 5] * 30)}, "x_train must have no Python objects"),
        ({"x_test": np.zeros((9, 4))}, "one shape"),
        (
            {"y_test": np.arange(9) % 2},
            "every class in the test split, got no test example of class '2'",
        ),
        (
            {"y_train": np.zeros(30, dtype=int), "y_test": np.zeros(9, dtype=int)},
            "at least two classes, got only 0",
        ),
    ],
)
def test_an_npz_that_is_not_as_it_should_be_is_refused(
    tmp_path: Path, change: dict[str, np.ndarray | None], message: str
) -> None:
    arrays = {
        name: values for name, values in {**npz_arrays(), **change}.items() if values is not None
    }
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        load(f"npz:{tmp_path / 'a.npz'}", None, generator())


def test_an_npz_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **npz_arrays())  # type: ignore[arg-type]
    whole = path.read_bytes()
    np.save(tmp_path / "b.npy", np.zeros(3))
    for content in (
        b"PK nonsense",
        whole[: len(whole) // 2],
        b"",
        (tmp_path / "b.npy").read_bytes(),
    ):
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"dataset npz:.*a\.npz must (be an npz archive|hold the arrays)"
        ):
            load(f"npz:{path}", None, generator())
    with pytest.raises(UsageError, match="no file at"):
        load(f"npz:{tmp_path / 'nowhere.npz'}", None, generator())
    with pytest.raises(UsageError, match="got a directory, pipe or device at"):
        load(f"npz:{tmp_path}", None, generator())


@pytest.mark.parametrize("examples", [0, 1199])
def test_examples_that_are_not_there_are_refused(examples: int) -> None:
    rule = "examples must be between 1 and 1198, the number of examples of digits"
    with pytest.raises(ValueError, match=f"{rule}, got {examples}"):
        load("digits", examples, generator())


@pytest.mark.parametrize("spec", ["cifar", ":function", "module:", ""])
def test_an_unknown_dataset_is_refused_with_a_list_of_the_known(spec: str) -> None:
    names = [f"{name}:PATH" if reader.takes_path else name for name, reader in DATASETS.items()]
    rule = f"dataset must be one of {', '.join(names)} or module:function of your own, got '{spec}'"
    with pytest.raises(ValueError, match=rule):
        load(spec, None, generator())


@pytest.mark.parametrize("spec", ["folder", "npz:", "csv"])
def test_a_dataset_in_a_file_needs_its_path(spec: str) -> None:
    name = spec.removesuffix(":")
    with pytest.raises(UsageError, match=f"dataset.{name} needs a path; write {name}:PATH"):
        load(spec, None, generator())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digits:x", "dataset.digits.x is not an option of 'digits', which takes no options"),
        (
            "cifar10:size=3",
            "dataset.cifar10.size is not an option of 'cifar10', which takes no options",
        ),
        (
            "synthetic:depth=3",
            "synthetic.depth is not an option of 'synthetic', which takes kind .*, size",
        ),
        ("synthetic:size=many", "dataset.synthetic.size must be a valid integer, .*, got 'many'"),
        (
            "synthetic:separation=far",
            "dataset.synthetic.separation must be a valid number, .*, got 'far'",
        ),
        ("synthetic:teacher,20", "synthetic takes options as key=value, got '20'"),
        ("synthetic:size=30,size=40", "synthetic.size may be given once"),
    ],
)
def test_an_option_that_is_not_as_it_should_be_is_refused(spec: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(spec, None, generator())


@pytest.mark.parametrize(
    ("inputs", "labels"),
    [(np.zeros((4, 2)), np.arange(4) % 2), (np.zeros((4, 2), np.float32), np.zeros(4, np.int32))],
)
def test_values_of_another_type_are_refused(inputs: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(
        ValueError, match=f"labels of type int64, got {inputs.dtype} and {labels.dtype}"
    ):
        Dataset("typed", inputs, labels, inputs, labels, ("a", "b"))


def test_a_test_split_that_overlaps_the_audited_examples_is_refused(tmp_path: Path) -> None:
    arrays = npz_arrays()
    arrays["x_test"][4], arrays["y_test"][4] = arrays["x_train"][7], arrays["y_train"][7]
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match="must not overlap the examples to audit, got 1 of its 9 examples"
    ):
        load(f"npz:{tmp_path / 'a.npz'}", None, generator())
    arrays["y_test"][4] = (
        arrays["y_test"][4] + 1
    ) % 3  # the same input with another label is another example
    np.savez(tmp_path / "b.npz", **arrays)  # type: ignore[arg-type]
    load(f"npz:{tmp_path / 'b.npz'}", None, generator())


def test_the_options_of_a_dataset_are_parsed_as_those_of_every_other_choice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(
        examples: int | None,
        generator: np.random.Generator,
        *,
        shuffle: bool = True,
        rows: Annotated[int, Range(1)] = 3,
    ) -> Dataset:
        raise AssertionError("it is not read here")

    monkeypatch.setitem(DATASETS, "rows", Reader("rows", read))
    assert dict(dataset_choice("rows:shuffle=false").options) == {"shuffle": False}
    assert dataset_choice("rows:shuffle=yes, rows=7").text == "rows:rows=7"
    with pytest.raises(UsageError, match=r"^rows\.rows must be a finite number >= 1, got 0$"):
        dataset_choice("rows:rows=0")
    with pytest.raises(
        UsageError, match=r"shufle is not an option of 'rows', .*; did you mean 'shuffle'"
    ):
        dataset_choice("rows:shufle=no")
    assert dataset_choice("synthetic:teacher") == dataset_choice("synthetic:kind=teacher")
    assert dataset_choice("synthetic:kind=clusters").text == "synthetic"


@pytest.mark.parametrize("name", DATASETS)
def test_every_reader_keeps_the_contract(name: str, tmp_path: Path) -> None:
    reader = DATASETS[name]
    parameters = inspect.signature(reader.read).parameters.values()
    options = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    others = [parameter.name for parameter in parameters if parameter not in options]
    assert reader.name == name
    assert others == [*["path"] * reader.takes_path, "examples", "generator"]
    assert all(
        option.default is not option.empty and option.annotation is not option.empty
        for option in options
    )
    assert len(inspect.getdoc(reader.read) or "") > 20
    if reader.takes_path:
        with pytest.raises(UsageError, match=f"^dataset.{name} needs a path; write {name}:PATH$"):
            load(name, None, generator())
        with pytest.raises(UsageError, match=f"{tmp_path}/nowhere"):
            load(f"{name}:{tmp_path}/nowhere", None, generator())
    elif reader.published is not None:  # there are no files in the cache of the tests
        with pytest.raises(UsageError, match=f"mgaudit data fetch {name}"):
            load(name, None, generator())
    else:
        draw = [load(name, 60, generator()) for _ in range(2)]
        assert draw[0].digest() == draw[1].digest()
        assert draw[0].name.startswith(name)
        assert len(draw[0].inputs) == 60
        assert draw[0].digest() != load(name, 60, np.random.default_rng(1)).digest()
