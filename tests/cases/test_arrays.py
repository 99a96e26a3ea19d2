"""Arrays, npz files and own functions that people have."""

from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.sparse import coo_array, csr_matrix
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, Subset, TensorDataset

import mgaudit
from mgaudit.errors import UsageError
from mgaudit.settings.datasets import dataset_choice, load
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.datasets.arrays import from_arrays, from_pair
from mgaudit.targets.datasets.in_memory import from_object
from mgaudit.targets.datasets.npz import read_npz
from tests.functions.centroids import centroids
from tests.test_layering import imported_by

DRAW = np.random.default_rng(0)
X = DRAW.random((60, 4))
Y = np.arange(60) % 3
FOUR = (X[:40], Y[:40], X[40:], Y[40:])
NAMES = ("x_train", "y_train", "x_test", "y_test")
PIXELS = DRAW.integers(0, 256, (60, 10, 12, 3), dtype=np.uint8)

Four = namedtuple("Four", NAMES)
Backwards = namedtuple("Backwards", NAMES[::-1])
Unnamed = namedtuple("Unnamed", "a b c d")


def of(x: Any, y: Any) -> Dataset:
    """Returns the dataset whose splits are `x` and `y`, with 40 training examples."""
    return from_arrays("mine", x[:40], y[:40], x[40:], y[40:])


def with_labels(y: Any) -> Dataset:
    return from_arrays("mine", X[:40], y[:40], X[40:], y[40:])


def refused(value: object) -> str:
    """Returns the message of the error, which is one line and names the dataset."""
    with pytest.raises(UsageError) as raised:
        from_object("mine", value)
    message = str(raised.value)
    assert message.startswith("dataset mine")
    assert "\n" not in message
    return message


def assert_is_four(dataset: Dataset) -> None:
    assert dataset.inputs.dtype == dataset.test_inputs.dtype == np.float32
    np.testing.assert_array_equal(dataset.inputs, FOUR[0].astype(np.float32))
    np.testing.assert_array_equal(dataset.labels, FOUR[1])
    np.testing.assert_array_equal(dataset.test_inputs, FOUR[2].astype(np.float32))
    np.testing.assert_array_equal(dataset.test_labels, FOUR[3])
    assert dataset.classes == ("0", "1", "2")


# B15: containers


class Pairs:
    """A dataset in the manner of torch."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.tensor(X[index]), int(Y[index])


class Augmented(Pairs):
    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        is_flipped = DRAW.random() < 0.5
        return torch.tensor(X[index, ::-1].copy() if is_flipped else X[index]), int(Y[index])


def tensors(start: int, end: int) -> TensorDataset:
    return TensorDataset(torch.tensor(X[start:end]), torch.tensor(Y[start:end]))


def native(values: np.ndarray) -> np.ndarray:
    return values.astype(values.dtype.newbyteorder("="))


OF_ONE_VALUE: dict[str, Callable[[np.ndarray], Any]] = {
    "array": lambda values: values,
    "list": lambda values: values.tolist(),
    "tuple": lambda values: tuple(values.tolist()),
    "tensor": lambda values: torch.tensor(native(values)),
    "list of tensors": lambda values: [torch.tensor(row) for row in native(values)],
    "list of arrays": list,
    "object array": lambda values: values.astype(object),
    "DataFrame": pd.DataFrame,
    "big-endian": lambda values: values.astype(values.dtype.newbyteorder(">")),
    "Fortran": np.asfortranarray,
    "negative strides": lambda values: values[::-1].copy()[::-1],
    "masked without a mask": np.ma.masked_array,
}


@pytest.mark.parametrize("kind", OF_ONE_VALUE)
def test_b15_four_values_of_every_kind(kind: str) -> None:
    convert = OF_ONE_VALUE[kind]
    assert_is_four(from_object("mine", tuple(convert(values) for values in FOUR)))


@pytest.mark.parametrize(
    "value",
    [
        list(FOUR),
        ((FOUR[0], FOUR[1]), (FOUR[2], FOUR[3])),
        [[FOUR[0].tolist(), FOUR[1].tolist()], [FOUR[2].tolist(), FOUR[3].tolist()]],
        dict(zip(NAMES, FOUR, strict=True)),
        dict(zip(("X_train", "Y_train", "X_test", "Y_test"), FOUR, strict=True)),
        {"train": (FOUR[0], FOUR[1]), "test": (FOUR[2], FOUR[3])},
        {"Train": {"x": FOUR[0], "y": FOUR[1]}, "Test": {"data": FOUR[2], "target": FOUR[3]}},
        Four(*FOUR),
        Backwards(*FOUR[::-1]),
        Unnamed(*FOUR),
        (tensors(0, 40), tensors(40, 60)),
        [tensors(0, 40), tensors(40, 60)],
        (Subset(Pairs(), range(40)), Subset(Pairs(), range(40, 60))),
        (torch.tensor(FOUR[0], requires_grad=True), *FOUR[1:]),
        (csr_matrix(FOUR[0]), FOUR[1], coo_array(FOUR[2]), FOUR[3]),
        (torch.tensor(FOUR[0]).to_sparse(), *FOUR[1:]),
        (FOUR[0], pd.Series(FOUR[1]), FOUR[2], pd.Series(FOUR[3], index=range(7, 27))),
        (FOUR[0], pd.Categorical(FOUR[1]), FOUR[2], pd.DataFrame({"y": FOUR[3]})),
    ],
    ids=lambda value: type(value).__name__,
)
def test_b15_splits_in_every_container(value: object) -> None:
    assert_is_four(from_object("mine", value))


@pytest.mark.parametrize(
    "value",
    [
        (X, Y),
        [X, Y],
        {"x": X, "y": Y},
        {"Features": X, "Labels": Y},
        {b"data": X, b"labels": Y, b"batch_label": b"batch 1"},
        tensors(0, 60),
        Pairs(),
        load_iris(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_b15_data_without_a_split_have_every_third_example_as_test_data(value: object) -> None:
    dataset = from_object("mine", value)
    examples = len(dataset.labels) + len(dataset.test_labels)
    assert f"{len(dataset.test_labels)} of {examples} examples are test data" in dataset.notes[-1]
    if examples == 60:
        is_test = np.arange(60) // 3 % 3 == 2  # the labels are 0, 1, 2, 0, 1, 2, ...
        np.testing.assert_array_equal(dataset.test_inputs, X[is_test].astype(np.float32))
        np.testing.assert_array_equal(dataset.test_labels, Y[is_test])
        np.testing.assert_array_equal(dataset.inputs, X[~is_test].astype(np.float32))
        assert dataset.origins[6] == "x[9]"


def test_b15_equal_examples_are_in_one_split() -> None:
    x = np.repeat(X[:30], 2, axis=0)
    y = np.repeat(Y[:30], 2)
    dataset = from_pair("mine", x, y)
    train, test = (
        {row.tobytes() for row in rows} for rows in (dataset.inputs, dataset.test_inputs)
    )
    assert not train & test
    assert len(train) + len(test) == 30


def test_importing_the_conversion_loads_no_other_package() -> None:
    modules = ("targets.arrays.array_like", "targets.arrays.class_labels", "targets.arrays.float32")
    assert not imported_by(modules, ["torch", "pandas", "scipy", "sklearn", "PIL"])


def test_b15_data_left_out_are_noted() -> None:
    splits = {"train": FOUR[:2], "validation": FOUR[2:], "test": FOUR[2:]}
    assert "validation" in from_object("mine", splits).notes[0]
    digits = from_object("mine", load_digits())
    assert digits.inputs.shape[1:] == (64,)  # data, not images
    assert "images" in digits.notes[0]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ["NoneType", "return x_train"]),
        ((X, Y, X), ["ndarray, ndarray, ndarray", "validation"]),
        ((), ["a tuple of nothing"]),
        (X, ["ndarray", "labels"]),
        (pd.DataFrame(X), ["DataFrame", "column of the labels"]),
        ("digits", ["str"]),
        ((row for row in X), ["generator", "return arrays"]),
        (DataLoader(tensors(0, 60)), ["DataLoader", "dataset of the loader"]),
        (Augmented(), ["same example each time", "augmentation"]),
        (range(9), ["a pair (x, y)", "int for index 0"]),
        (TensorDataset(torch.tensor(X)), ["a pair (x, y)", "tuple for index 0"]),
        ({"a": X, "b": Y}, ["missing", "a (60, 4), b (60,)"]),
        ({"x": X, "features": X}, ["missing"]),
        ({"x_train": X, "y_train": Y}, ["missing x_test, y_test", "name the arrays x and y"]),
        (
            {"x_train": X, "y_train": Y, "x_val": X, "y_val": Y},
            ["missing x_test", "name the validation arrays x_test and y_test"],
        ),
        (
            {**dict(zip(NAMES, FOUR, strict=True)), "train_x": X} | {"x_train": None},
            ["x_train must be an array, got None"],
        ),
        (
            {"train_images": X, "train_data": X, "y_train": Y, "x_test": X, "y_test": Y},
            ["one array for x_train", "train_images and train_data"],
        ),
        (train_test_split(X, Y), ["x_train, x_test, y_train, y_test of scikit-learn"]),
        (train_test_split(X, np.eye(3)[Y]), ["scikit-learn"]),
        ((Y[:40], X[:40], Y[40:], X[40:]), ["examples before their labels", "(40, 4)"]),
        ((Y, X), ["examples before their labels", "use the order x, y"]),
        ((X.T, Y), ["y must hold a label for each of 4", "numpy.moveaxis(x, -1, 0)"]),
        ((PIXELS.transpose(1, 2, 3, 0), Y), ["each of 10 examples", "numpy.moveaxis"]),
        ((*FOUR[:3], Y[41:]), ["y_test must hold a label for each of 20", "got 19"]),
        ((FOUR[0], FOUR[1], FOUR[2][:, :3], FOUR[3]), ["one shape", "(4,) in x_train"]),
        ((FOUR[0][:, 0], FOUR[1], *FOUR[2:]), ["(examples, features)", "reshape(-1, 1)"]),
        ((FOUR[0].astype(str), *FOUR[1:]), ["x_train must hold real numbers", "text"]),
        ((FOUR[0] + 1j, *FOUR[1:]), ["x_train must hold real numbers", "complex128"]),
        ((FOUR[0].astype("M8[s]"), *FOUR[1:]), ["x_train", "datetime64", "turn times into"]),
        ((np.zeros(40, "f4,f4"), *FOUR[1:]), ["x_train", "dtype"]),
        ((np.ma.masked_greater(FOUR[0], 0.9), *FOUR[1:]), ["x_train", "masked"]),
        (([[1, 2], [3]] * 20, *FOUR[1:]), ["x_train", "(1,) for example 1", "one shape"]),
        ((FOUR[0][:0], FOUR[1][:0], *FOUR[2:]), ["x_train must not be empty"]),
        ((3.0, *FOUR[1:]), ["x_train", "shape ()"]),
        ((torch.zeros(40, 4, device="meta"), *FOUR[1:]), ["x_train", "meta"]),
        (
            (pd.DataFrame({"a": X[:40, 0], "b": ["u", "v"] * 20}), *FOUR[1:]),
            ["x_train", "'u' in row 0, column 'b'"],
        ),
        (
            (FOUR[0], FOUR[1], [[None] * 4] * 20, FOUR[3]),
            ["x_test", "None", "example 0, feature 0"],
        ),
        ((FOUR[0], FOUR[1], (FOUR[2] * 9).astype(np.uint8), FOUR[3]), ["unit", "uint8"]),
    ],
)
def test_b15_other_objects_are_refused_in_one_line(value: object, words: list[str]) -> None:
    message = refused(value)
    for word in words:
        assert word in message, message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("split", ["train", "test"])
def test_b15_numbers_that_are_not_finite_are_named_with_their_position(
    value: float, split: str
) -> None:
    arrays = dict(zip(NAMES, FOUR, strict=True))
    arrays[f"x_{split}"] = arrays[f"x_{split}"].copy()
    arrays[f"x_{split}"][7, 2] = value
    message = refused(arrays)
    assert f"x_{split} must be finite, got {value} for example 7, feature 2" in message


def test_b15_the_arguments_of_run_and_own_functions_agree() -> None:
    choice = dataset_choice({"x": X, "y": Y})
    assert choice.options == dataset_choice((X.tolist(), torch.tensor(Y))).options
    for value, key in (((X, Y, X), ""), ((X, Y[:-1]), "y"), (3, ""), (None, ""), (Path("a"), "")):
        with pytest.raises(UsageError) as raised:
            dataset_choice(value)
        assert raised.value.key == key


# B1, B2 and A23: labels

ERAS = [f"1970-01-01T00:00:00.00000{year}" for year in ("2020", "2021", "2022")]
TEXTS = np.array(["cat", "dog", "emu"])


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (Y[:, np.newaxis], ("0", "1", "2")),
        (Y.astype(float), ("0", "1", "2")),
        (Y.astype(np.float16), ("0", "1", "2")),
        (Y.astype(np.longdouble), ("0", "1", "2")),
        (np.array(["2020", "2021", "2022"], "M8[Y]")[Y], ("2020", "2021", "2022")),
        (np.array([2020, 2021, 2022])[Y].astype("M8[ns]"), tuple(ERAS)),
        (Y.astype(np.uint64), ("0", "1", "2")),
        (Y.astype(">i4"), ("0", "1", "2")),
        (np.eye(3)[Y], ("0", "1", "2")),
        (np.eye(3, dtype=bool)[Y], ("0", "1", "2")),
        (np.eye(3, dtype=int)[Y].tolist(), ("0", "1", "2")),
        (torch.eye(3)[Y], ("0", "1", "2")),
        (csr_matrix(np.eye(3)[Y]), ("0", "1", "2")),
        (pd.DataFrame(np.eye(3)[Y]), ("0", "1", "2")),
        (TEXTS[Y], ("cat", "dog", "emu")),
        (TEXTS[Y].astype(object), ("cat", "dog", "emu")),
        (TEXTS[Y].astype(bytes), ("cat", "dog", "emu")),
        (TEXTS[Y][:, np.newaxis].tolist(), ("cat", "dog", "emu")),
        (pd.Series(TEXTS[Y], dtype="category"), ("cat", "dog", "emu")),
        (pd.Series(TEXTS[Y], dtype="string"), ("cat", "dog", "emu")),
        (pd.Categorical.from_codes(Y, ["x", "y", "z"]), ("x", "y", "z")),
        (pd.Series(Y, dtype="Int8"), ("0", "1", "2")),
        (torch.tensor(Y)[:, None], ("0", "1", "2")),
        ([torch.tensor(label) for label in Y], ("0", "1", "2")),
        ([[label] for label in Y], ("0", "1", "2")),
        (Y - 1, ("-1", "0", "1")),
        (Y + 1, ("1", "2", "3")),
        (Y * 5, ("0", "5", "10")),
        (Y * 10**12, ("0", "1000000000000", "2000000000000")),
        (Y / 2, ("0", "0.5", "1")),
    ],
)
def test_b01_labels_of_every_form_have_the_same_numbers(
    labels: Any, classes: tuple[str, ...]
) -> None:
    if isinstance(labels, pd.Series | pd.DataFrame):
        split = labels.iloc[:40], labels.iloc[40:]
    else:
        split = labels[:40], labels[40:]
    dataset = from_arrays("mine", X[:40], split[0], X[40:], split[1])
    assert dataset.classes == classes
    assert dataset.labels.dtype == np.int64
    np.testing.assert_array_equal(dataset.labels, Y[:40])
    np.testing.assert_array_equal(dataset.test_labels, Y[40:])


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (Y > 0, ("False", "True")),
        (np.where(Y > 0, 1, -1), ("-1", "1")),
        (np.where(Y > 0, 1.0, -1.0), ("-1", "1")),
        (np.where(Y > 0, 2, 1), ("1", "2")),
    ],
)
def test_b01_labels_of_two_classes(labels: np.ndarray, classes: tuple[str, str]) -> None:
    dataset = with_labels(labels)
    assert dataset.classes == classes
    np.testing.assert_array_equal(dataset.labels, Y[:40] > 0)


def test_b02_labels_from_1_have_no_empty_class() -> None:
    dataset = with_labels(Y + 1)
    assert dataset.classes == ("1", "2", "3")
    assert set(dataset.labels.tolist()) == {0, 1, 2}


def test_b02_numbers_without_examples_are_no_classes() -> None:
    assert with_labels(np.array([0, 2, 7])[Y]).classes == ("0", "2", "7")
    assert with_labels(np.eye(5)[np.array([0, 2, 4])[Y]]).classes == ("0", "2", "4")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.where(np.arange(60) == 5, np.nan, Y), ["nan in row 5"]),
        ([*Y[:7], None, *Y[8:]], ["None in row 7"]),
        ([*TEXTS[Y[:7]], None, *TEXTS[Y[8:]]], ["None in row 7"]),
        ([*TEXTS[Y[:7]], "", *TEXTS[Y[8:]]], ["'' in row 7"]),
        (np.array([*TEXTS[Y[:7]], np.nan, *TEXTS[Y[8:]]]), ["'nan' in row 7"]),
        (pd.Series([*Y[:7], pd.NA, *Y[8:]], dtype="Int64"), ["nan in row 7"]),
        (np.where(np.arange(60) == 5, np.inf, Y), ["inf in row 5"]),
        (np.full((60, 3), 1 / 3), ["soft label (0.333, 0.333, 0.333) in row 0", "argmax"]),
        (np.eye(3)[Y] * 0.9 + 1 / 30, ["soft label"]),
        (np.tril(np.ones((3, 3)))[Y], ["one class for each example", "2 classes in row 1"]),
        (np.zeros((60, 3)), ["0 classes in row 0"]),
        (DRAW.normal(size=(60, 3)), ["one value for each example", "(40, 3)"]),
        (np.eye(3)[Y][:, :, np.newaxis], ["one value for each example", "(40, 3, 1)"]),
        (DRAW.normal(size=60), ["40 distinct numbers", "regression"]),
        (DRAW.integers(0, 10**6, 60), ["distinct numbers", "regression"]),
        (np.arange(60), ["40 distinct numbers", "regression"]),
        ([f"patient {index}" for index in range(60)], ["40 distinct values", "identifiers"]),
        (np.array(["no", "yes", "Yes"])[Y], ["'Yes' and 'yes'"]),
        (np.array(["no", "no ", "yes"])[Y], ["'no' and 'no '"]),
        (np.array(["<=50K", "<=50K.", ">50K"])[Y], ["'<=50K' and '<=50K.'"]),
        (np.array(["1", "1.0", "2"])[Y], ["'1' and '1.0'"]),
        (np.zeros(60, int), ["at least two classes"]),
        (np.where(Y > 1, 1j, 0), ["complex"]),
        ([1, "a", 2] * 20, ["int and str"]),
        (["a", b"a", "b"] * 20, ["bytes and str"]),
        ([{1}, {2}, {3}] * 20, ["set in row 0"]),
        ([[[1]], [[2]], [[3]]] * 20, ["(40, 1, 1)"]),
        (np.zeros(60, "i4,i4"), ["dtype"]),
        (Y[np.newaxis].repeat(2, 0), ["y_train"]),
    ],
)
def test_a23_labels_that_are_no_classes_are_refused(labels: Any, words: list[str]) -> None:
    message = refused((X[:40], labels[:40], X[40:], labels[40:]))
    for word in ("y_train", *words):
        assert word in message, message


def test_a23_the_target_of_a_regression_is_named() -> None:
    assert "regression" in refused(load_diabetes())
    assert "regression" in refused((X, X[:, 0]))


def test_a18_classes_of_one_split_only_are_named() -> None:
    unseen = Y[40:] * 2
    assert "y_test must have only the 2 labels" in refused((X[:40], Y[:40] % 2, X[40:], Y[40:]))
    assert "got 4 in row 1" in refused((X[:40], Y[:40], X[40:], unseen))
    assert "no test example of class '2'" in refused((X[:40], Y[:40], X[40:], Y[40:] % 2))


# B3 and images


@pytest.mark.parametrize(
    "dtype",
    [bool, np.int8, np.uint16, np.int64, np.uint64, np.float16, np.float32, np.longdouble, ">f4"],
)
def test_b03_types_of_examples(dtype: Any) -> None:
    x = (X * 100).astype(dtype)
    dataset = of(x, Y)
    assert dataset.inputs.dtype == np.float32
    np.testing.assert_array_equal(dataset.inputs, x[:40].astype(np.float32))


def test_b03_layouts_of_examples(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    read_only = X.copy()
    read_only.flags.writeable = False
    strided = np.repeat(X, 2, axis=1)[:, ::2]
    for x in (np.asfortranarray(X), X[::-1][::-1], read_only, strided, X.view(np.memmap)):
        assert of(x, Y).digest() == of(X, Y).digest()
    assert of(np.load(tmp_path / "x.npy", mmap_mode="r"), Y).digest() == of(X, Y).digest()


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_b03_matrices_are_arrays() -> None:
    y = np.matrix(Y).T
    assert of(np.matrix(X), y).digest() == of(X, Y).digest()


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_b03_tensors_of_every_type() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        x = torch.tensor(X, dtype=dtype)
        np.testing.assert_array_equal(of(x, Y).inputs, x[:40].float().numpy())
    quantised = torch.quantize_per_tensor(
        torch.tensor(X, dtype=torch.float32), 0.1, 0, torch.quint8
    )
    np.testing.assert_allclose(of(quantised, Y).inputs, X[:40], atol=0.06)


def test_b04_time_stamps_stay_distinct() -> None:
    x = np.column_stack([1.7e9 + np.arange(60), X[:, 0]])
    dataset = of(x, Y)
    assert len(np.unique(dataset.inputs[:, 0])) == 40
    np.testing.assert_array_equal(dataset.inputs[:, 1], X[:40, 0].astype(np.float32))
    stamps = (1_700_000_000_123_456_789 + np.arange(60))[:, np.newaxis]
    for values in (stamps, stamps.astype(object), stamps.tolist(), pd.DataFrame(stamps)):
        dataset = from_pair("mine", values, Y)
        assert len(np.unique(np.concatenate([dataset.inputs, dataset.test_inputs]))) == 60


def test_b04_large_whole_numbers_beside_floats_in_a_table_are_refused() -> None:
    frame = pd.DataFrame({"id": 2**60 + np.arange(60), "value": X[:, 0]})
    assert "column 'id'" in refused((frame, Y))
    assert "column 'id'" in refused((frame.astype({"id": "Int64"}), Y))
    frame["id"] = np.arange(60)
    assert from_pair("mine", frame, Y).input_shape == (2,)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, bool, np.int32])
def test_b03_images_with_the_channels_last_are_turned(dtype: Any) -> None:
    x = PIXELS.astype(dtype)
    dataset = of(x, Y)
    expected = x.transpose(0, 3, 1, 2)[:40]
    assert dataset.input_shape == (3, 10, 12)
    assert dataset.inputs.dtype == (np.uint8 if dtype is np.uint8 else np.float32)
    np.testing.assert_array_equal(dataset.inputs, expected.astype(dataset.inputs.dtype))
    assert dataset.notes == ("Images with the shape (10, 12, 3) were read with the channels last.",)


@pytest.mark.parametrize("shape", [(3, 10, 12), (1, 8, 8), (4, 6, 3), (3, 3, 3), (4, 32, 3)])
def test_b03_images_with_the_channels_first_stay(shape: tuple[int, ...]) -> None:
    x = DRAW.random((60, *shape))
    dataset = of(x, Y)
    np.testing.assert_array_equal(dataset.inputs, x[:40].astype(np.float32))
    assert dataset.notes == ()


def test_b03_small_images_whose_layout_is_not_certain_are_refused() -> None:
    assert "must have its channels first" in refused((DRAW.random((60, 6, 9, 3)), Y))


def test_b03_images_of_pillow() -> None:
    images = [Image.fromarray(pixels) for pixels in PIXELS]
    colour = from_pair("mine", images, Y)
    assert colour.digest() == from_pair("mine", PIXELS, Y).digest()
    grey = from_pair("mine", [image.convert("L") for image in images], Y)
    assert grey.input_shape == (1, 10, 12)
    few_colours = [image.quantize(16) for image in images]
    colours = np.stack([np.asarray(image.convert("RGB")) for image in few_colours])
    assert from_pair("mine", few_colours, Y).digest() == from_pair("mine", colours, Y).digest()
    assert "images to one size and mode" in refused(([images[0].convert("L"), *images[1:]], Y))


# A22 and B38: overlap


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_b38_zeros_of_both_signs_overlap_at_loading(dtype: Any, tmp_path: Path) -> None:
    x = X.astype(dtype)
    x[:, 1] = 0.0
    copies = x[:20].copy()
    copies[:, 1] = -0.0
    arrays = dict(zip(NAMES, (x[:40], Y[:40], copies, Y[:20]), strict=True))
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    for value in (tuple(arrays.values()), f"npz:{tmp_path / 'a.npz'}"):
        with pytest.raises(UsageError, match="must not overlap the examples to audit, got 20 of"):
            dataset_choice(value).load(None, np.random.default_rng(0))


def test_b38_zeros_of_both_signs_are_one_example_of_data_without_a_split() -> None:
    x = np.concatenate([X[:20], X[:20]])
    x[:20, 0], x[20:, 0] = 0.0, -0.0
    dataset = from_pair("mine", x, np.concatenate([Y[:20], Y[:20]]))
    assert len(dataset.labels) % 2 == len(dataset.test_labels) % 2 == 0


def test_b38_zeros_of_both_signs_overlap_in_data_of_a_training_function() -> None:
    x = X.copy()
    x[:, 1] = 0.0
    x_test = x[:20].copy()
    x_test[:, 1] = -0.0
    with pytest.raises(UsageError, match="x_test must not repeat rows of x, and 20 of its rows do"):
        mgaudit.audit(
            LogisticRegression(), x, Y, x_test=x_test, y_test=Y[:20], models=4, quiet=True
        )


def test_a22_equal_examples_with_another_label_are_noted() -> None:
    arrays = (X[:40], Y[:40], X[:20], (Y[:20] + 1) % 3)
    dataset = dataset_choice(arrays).load(30, np.random.default_rng(0))
    assert "20 of 20 test examples have the values of an example" in dataset.notes[-1]
    assert dataset_choice(FOUR).load(None, np.random.default_rng(0)).notes == ()


def test_a22_a_test_example_among_the_training_examples_is_refused() -> None:
    with pytest.raises(UsageError, match=r"got 1 of its 20 .* \(test example 3 is x_train\[7\]\)"):
        dataset_choice((X[:40], Y[:40], np.insert(X[41:], 3, X[7], 0), np.insert(Y[41:], 3, Y[7])))


# A10: npz files


def saved(path: Path, **arrays: Any) -> str:
    np.savez(path / "a.npz", **arrays)
    return f"npz:{path / 'a.npz'}"


def read(text: str, examples: int | None = None) -> Dataset:
    return load(text, examples, np.random.default_rng(0))


def test_a10_features_and_one_hot_labels_without_a_test_split(tmp_path: Path) -> None:
    features = DRAW.integers(0, 2, (120, 30))
    labels = np.arange(120) % 6
    text = saved(tmp_path, features=features, labels=np.eye(6)[labels])
    dataset = read(text)
    assert (len(dataset.labels), len(dataset.test_labels)) == (84, 36)
    assert dataset.classes == tuple("012345")
    for row, label, origin in zip(dataset.inputs, dataset.labels, dataset.origins, strict=True):
        index = int(origin.removeprefix("x[").removesuffix("]"))
        assert label == labels[index]
        np.testing.assert_array_equal(row, features[index])
    fifth = read_npz(text.partition(":")[2], None, np.random.default_rng(0), test_fraction=0.2)
    assert len(fifth.test_labels) == 24
    assert len(read(text, 12).labels) == 12


@pytest.mark.parametrize(
    "names",
    [
        NAMES,
        ("X_train", "y_train", "X_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("train_data", "train_targets", "test_data", "test_targets"),
        ("trainX", "trainY", "testX", "testY"),
        ("xtr", "ytr", "xte", "yte"),
        ("features_train", "labels_train", "features_test", "labels_test"),
        ("x", "y", "x_test", "y_test"),
        ("train_set_x", "train_set_y", "test_set_x_orig", "test_set_y_orig"),
    ],
)
def test_a10_usual_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    dataset = read(saved(tmp_path, **dict(zip(names, FOUR, strict=True))))
    order = np.argsort(dataset.indices)
    np.testing.assert_array_equal(dataset.inputs[order], FOUR[0].astype(np.float32))
    np.testing.assert_array_equal(dataset.labels[order], FOUR[1])
    np.testing.assert_array_equal(dataset.test_inputs, FOUR[2].astype(np.float32))


@pytest.mark.parametrize(
    "names",
    [("x", "y"), ("X", "Y"), ("data", "target"), ("data", "targets"), ("images", "labels")],
)
def test_a10_usual_names_without_a_test_split(tmp_path: Path, names: tuple[str, str]) -> None:
    dataset = read(saved(tmp_path, **dict(zip(names, (X, Y), strict=True))))
    assert dataset.digest() == read(saved(tmp_path, x=X, y=Y)).digest()


def test_a10_medical_images_with_columns_of_labels_and_validation_data(tmp_path: Path) -> None:
    column = Y[:, np.newaxis].astype(np.uint8)
    splits = {"train": slice(0, 30), "val": slice(30, 40), "test": slice(40, 60)}
    arrays = {f"{split}_images": PIXELS[rows] for split, rows in splits.items()}
    arrays |= {f"{split}_labels": column[rows] for split, rows in splits.items()}
    dataset = read(saved(tmp_path, **arrays))
    assert dataset.inputs.shape == (30, 3, 10, 12)
    assert dataset.inputs.dtype == np.uint8
    assert dataset.notes[0] == "These data were left out: val_images, val_labels."
    np.testing.assert_array_equal(dataset.test_labels, Y[40:])


def test_a10_other_arrays_in_the_file_do_not_matter(tmp_path: Path) -> None:
    arrays = dict(zip(NAMES, FOUR, strict=True))
    objects = np.array([{"a": 1}, None], dtype=object)
    dataset = read(saved(tmp_path, **arrays, names=objects, x=X, train_x=X))
    assert dataset.digest() == read(saved(tmp_path, **arrays)).digest()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": X, "b": Y}, ["missing", "a (60, 4), b (60,)", "name the arrays x_train"]),
        ({"arr_0": X, "arr_1": Y}, ["arr_0 (60, 4)"]),
        ({}, ["no arrays"]),
        ({"x_train": X, "y_train": Y}, ["missing x_test, y_test", "x_train (60, 4)"]),
        (
            {"x": X.astype(object), "y": Y},
            ["a.npz: x must have no Python objects", "astype(float)"],
        ),
        ({"x": np.zeros(60, "f4,f4"), "y": Y}, ["a.npz: x", "records"]),
        ({"x": X, "y": np.full((60, 3), 1 / 3)}, ["a.npz: y", "soft label"]),
        ({"x": X, "y": np.arange(60) // 59}, ["at least two different examples of each class"]),
    ],
)
def test_a10_other_files_are_refused_with_their_content(
    tmp_path: Path, arrays: dict[str, Any], words: list[str]
) -> None:
    text = saved(tmp_path, **arrays)
    with pytest.raises(UsageError) as raised:
        read(text)
    for word in ("a.npz", *words):
        assert word in str(raised.value), str(raised.value)


def test_a10_an_array_that_exceeds_the_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = saved(tmp_path, x=X, y=Y)
    monkeypatch.setattr("mgaudit.targets.free_memory.free_memory", lambda: X.nbytes - 1.0)
    with pytest.raises(UsageError, match="must fit into the free memory"):
        read(text)


def test_a10_a_size_that_is_not_that_of_the_shape_is_refused(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000,)}"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with ZipFile(tmp_path / "a.npz", "w", ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", array)
        archive.writestr("y.npy", array)
    with pytest.raises(UsageError, match="x must have 8000 bytes of numbers"):
        read(f"npz:{tmp_path / 'a.npz'}")


def test_a10_a_single_array_is_recognised(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "b.npz").write_bytes(b"")
    (tmp_path / "c.npz").write_text("x,y\n1,2\n")
    for name, words in (
        ("a.npy", "a single array, as numpy.save writes it; .* numpy.savez"),
        ("b.npz", "an empty file"),
        ("c.npz", "a file of another kind"),
    ):
        with pytest.raises(UsageError, match=f"must be an npz archive of numbers, got {words}"):
            read(f"npz:{tmp_path / name}")


# Everything together

NUMBER_TYPES = ("bool", "uint8", "int16", "int64", "uint64", "float16", "float32", "float64", ">f8")
LABEL_FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "numbers": lambda y: y,
    "floats": lambda y: y.astype(float),
    "from 1": lambda y: y + 1,
    "signs": lambda y: y - 1,
    "column": lambda y: y[:, np.newaxis],
    "one-hot": lambda y: np.eye(3)[y],
    "texts": lambda y: TEXTS[y],
    "bytes": lambda y: TEXTS[y].astype(bytes),
    "objects": lambda y: TEXTS[y].astype(object),
    "categories": lambda y: pd.Series(pd.Categorical.from_codes(y, list(TEXTS))),
}
CHANNELS_LAST = [(9, 10, 3), (8, 8, 1)]
SHAPES = [(5,), (2, 3), (1, 4, 4), (3, 8, 8), *CHANNELS_LAST]
ITSELF: list[Any] = []
ITSELF.append(ITSELF)


class Raising:
    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise RuntimeError("no array")


DAMAGES: dict[str, Callable[[np.ndarray], Any]] = {
    "scalar": lambda x: x.ravel()[0],
    "empty": lambda x: x[:0],
    "five axes": lambda x: x.reshape(len(x), 1, 1, 1, -1),
    "short": lambda x: x[1:],
    "complex": lambda x: x + 1j,
    "texts": lambda x: x.astype(str),
    "dates": lambda x: x.astype(np.int64).astype("M8[s]"),
    "NaN": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 3, np.nan, x),
    "records": lambda x: np.zeros(len(x), "f4,i4"),
    "ragged": lambda x: [[1] * (index % 3) for index in range(len(x))],
    "None": lambda x: None,
    "generator": lambda x: (row for row in x),
    "mapping": lambda x: {"a": x},
    "set": lambda x: [{1, 2}] * len(x),
    "itself": lambda x: ITSELF,
    "raising": lambda x: Raising(),
}


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(
    st.integers(0, 2**32),
    st.sampled_from(SHAPES),
    st.sampled_from(NUMBER_TYPES),
    st.sampled_from([name for name in OF_ONE_VALUE if name != "DataFrame"]),
    st.sampled_from(list(LABEL_FORMS)),
    st.sampled_from(["four", "pairs", "mapping", "two"]),
    st.one_of(st.none(), st.sampled_from(list(DAMAGES))),
)
def test_every_array_is_converted_exactly_or_refused(
    seed: int,
    shape: tuple[int, ...],
    dtype: str,
    kind: str,
    form: str,
    container: str,
    damage: str | None,
) -> None:
    x = (np.random.default_rng(seed).random((60, *shape)) * 200).astype(dtype)
    train = OF_ONE_VALUE[kind](x[:40]) if damage is None else DAMAGES[damage](x[:40])
    test = OF_ONE_VALUE[kind](x[40:])
    y_train, y_test = (LABEL_FORMS[form](labels) for labels in (FOUR[1], FOUR[3]))
    containers = {
        "four": (train, y_train, test, y_test),
        "pairs": ((train, y_train), (test, y_test)),
        "mapping": dict(zip(NAMES, (train, y_train, test, y_test), strict=True)),
        "two": (train, y_train),
    }
    dataset = outcome(containers[container])
    if damage is not None:
        assert isinstance(dataset, UsageError)
        assert "\n" not in str(dataset)
        return
    if container == "two" and isinstance(dataset, UsageError):  # all examples of a class are equal
        assert "different examples of each class" in dataset.rule
        return
    assert isinstance(dataset, Dataset), dataset
    rows = [int(origin.partition("[")[2][:-1]) for origin in dataset.origins]
    expected = x[:40, np.newaxis] if x.ndim == 3 else x[:40]
    if shape in CHANNELS_LAST:
        expected = expected.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(dataset.inputs, expected[rows].astype(dataset.inputs.dtype))
    np.testing.assert_array_equal(dataset.labels, FOUR[1][rows])


def outcome(value: object) -> Dataset | UsageError:
    """Returns the dataset of an object, or the error."""
    try:
        return from_object("mine", value)
    except UsageError as error:
        return error


@pytest.mark.parametrize("channels", [2, 10, 13])
def test_b15_an_odd_last_axis_of_images_is_refused_with_the_way_out(channels: int) -> None:
    images = np.random.default_rng(0).normal(size=(60, 16, 16, channels))
    with pytest.raises(UsageError, match=r"channels first.*transpose"):
        from_pair("made up", images, np.arange(60) % 2)
    first = from_pair("made up", images.transpose(0, 3, 1, 2), np.arange(60) % 2)
    assert first.input_shape == (channels, 16, 16)


def test_b15_tables_with_columns_in_another_order_are_refused_before_training() -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 3)), columns=list("abc"))
    labels = np.arange(80) % 2
    with pytest.raises(UsageError, match="x_test must have the columns of x in the same order"):
        mgaudit.audit(
            centroids, table[:60], labels[:60], x_test=table[60:][list("cba")],
            y_test=labels[60:], quiet=True,
        )  # fmt: skip


@pytest.mark.parametrize("missing", [b"nan", "NaN", "None", "<NA>", "NA", " "])
def test_b15_texts_for_a_missing_label_are_refused_with_their_row(missing: str | bytes) -> None:
    labels = np.array(["a", "b"] * 30).astype(type(missing))
    labels = np.where(np.arange(60) == 7, missing, labels)
    with pytest.raises(UsageError, match=r"must have a value for each example.*in row 7"):
        from_pair("made up", np.random.default_rng(0).normal(size=(60, 2)), labels)


@pytest.mark.parametrize("shape", [(64, 4, 4), (12, 50, 1), (7, 9, 3)])
def test_b15_images_whose_axes_can_be_read_in_two_ways_are_refused(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).normal(size=(60, *shape))
    with pytest.raises(UsageError, match=r"if the last axis has the channels, and otherwise"):
        from_pair("made up", images, np.arange(60) % 2)


def test_a10_the_case_of_a_name_does_not_decide() -> None:
    x, other = np.random.default_rng(0).normal(size=(2, 60, 3))
    for name in ("x", "X"):
        named = from_object("made up", {name: x, "data": other, "y": np.arange(60) % 2})
        values = {row.tobytes() for row in x.astype(np.float32)}
        assert {row.tobytes() for row in named.inputs} <= values
