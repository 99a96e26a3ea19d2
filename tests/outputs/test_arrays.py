from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array

from mgaudit.attacks.signals import logit_confidence
from mgaudit.errors import UsageError
from mgaudit.outputs.arrays import (
    as_labels,
    as_logits,
    as_membership,
    as_numbers,
    confidence_logits,
)

NUMBERS = np.arange(6.0).reshape(2, 3)
AXES = ("model", "example")


def refused(check: object, *arguments: object, **options: object) -> str:
    """Returns the message of the error; it is one line that starts with the key."""
    assert callable(check)
    with pytest.raises(UsageError) as raised:
        check("key", *arguments, **options)
    assert str(raised.value).startswith("key must ")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS.tolist(),
        tuple(map(tuple, NUMBERS.tolist())),
        NUMBERS.astype(">f8"),
        np.asfortranarray(NUMBERS),
        NUMBERS[::-1][::-1],
        NUMBERS.astype(np.uint8),
        NUMBERS.astype(object),
        np.ma.masked_array(NUMBERS),
        [NUMBERS[0], NUMBERS[1].tolist()],
        [[Fraction(value) for value in row] for row in NUMBERS.tolist()],
        torch.tensor(NUMBERS, requires_grad=True),
        torch.nn.Parameter(torch.tensor(NUMBERS)),
        torch.tensor(NUMBERS).to_sparse(),
        [torch.tensor(row, requires_grad=True) for row in NUMBERS],
        [[torch.tensor(value) for value in row] for row in NUMBERS],
        pd.DataFrame(NUMBERS, columns=list("abc")),
        pd.DataFrame(NUMBERS).astype("Float64"),
        pd.DataFrame(NUMBERS).astype({0: "int64"}),
        [pd.Series(row) for row in NUMBERS],
        csr_array(NUMBERS),
        SimpleNamespace(to_numpy=lambda: NUMBERS),  # polars, xarray
    ],
    ids=lambda values: type(values).__name__,
)
def test_every_kind_of_array_is_converted_to_the_same_numbers(values: object) -> None:
    numbers = as_numbers("key", values, AXES)
    assert type(numbers) is np.ndarray
    assert numbers.dtype == np.float64
    assert np.array_equal(numbers, NUMBERS)


def test_single_precision_stays_single_and_half_precision_becomes_single() -> None:
    for half in (
        NUMBERS.astype(np.float16),
        NUMBERS.astype(np.float32),
        torch.tensor(NUMBERS, dtype=torch.bfloat16, requires_grad=True),
        torch.tensor(NUMBERS, dtype=torch.float16),
    ):
        assert as_numbers("key", half).dtype == np.float32
    assert np.array_equal(as_numbers("key", torch.tensor(NUMBERS, dtype=torch.bfloat16)), NUMBERS)
    assert as_numbers("key", NUMBERS.astype(np.longdouble)).dtype == np.float64


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[1, 2], [3]], ["(1,) for model 1", "(2,) for model 0"]),
        ([[[1], [2]], [[3], [4, 5]]], ["(2,) for model 1, example 1", "model 1, example 0"]),
        ([np.zeros((2, 3)), np.zeros((2, 4))], ["(2, 4) for model 1"]),
        ([[1.0, 2.0], [3.0, None]], ["None", "model 1, example 1"]),
        ([[1.0, "2"]], ["'2'", "model 0, example 1"]),
        ([[1.0, 2.0], ["3", "4"]], ["a text for model 1"]),
        (["1", "2"], ["the text '1' for"]),
        (np.array(["1"], dtype=np.dtypes.StringDType()), ["the text '1' for"]),
        (np.array([["a", "b"]]), ["the text 'a' for model 0, example 0"]),
        (pd.DataFrame({"x": [1, 2], "y": [3, "no"]}), ["'no' in row 1, column 'y'"]),
        (pd.DataFrame({"Unnamed: 0": [0, 1], "y": [3, 4]}), ["Unnamed: 0", "index_col=0"]),
        (pd.Series([1, None], dtype="Int64"), ["nan for index 1"]),
        (np.array([1 + 2j]), ["real numbers", "complex"]),
        (np.ma.masked_array([1, 2, 3], [0, 0, 1]), ["1 of 3 are masked", "index 2"]),
        (np.array([1, 2], dtype="datetime64[D]"), ["datetime64"]),
        (np.zeros(2, dtype=[("a", float)]), ["dtype"]),
        (np.array({"a": 1}), ["dict"]),
        ([], ["empty"]),
        ([[], []], ["empty"]),
        (np.zeros((0, 10)), ["empty", "(0, 10)"]),
        (None, ["None"]),
        ("scores.npy", ["the text 'scores.npy'"]),
        ({"a": [1]}, ["dict", "list(values.values())"]),
        ((value for value in [1, 2]), ["generator", "list(values)"]),
        ([{1, 2}, {3, 4}], ["set"]),
        (torch.zeros(2, device="meta"), ["meta"]),
        ([[1.0, np.nan]], ["nan for model 0, example 1"]),
        ([[1.0, 2.0], [-np.inf, 2.0]], ["-inf for model 1, example 0"]),
        (np.array([np.inf]), ["inf for index 0"]),
        (np.float32("nan"), ["nan for the only value"]),
    ],
)
def test_what_is_no_array_of_finite_numbers_is_refused(values: object, words: list[str]) -> None:
    axes = () if any("index" in word or "only" in word for word in words) else AXES
    message = refused(as_numbers, values, axes)
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    "values",
    [
        [2, 0, 1],
        [2.0, 0.0, 1.0],
        np.array([2, 0, 1], dtype=np.uint64),
        torch.tensor([2, 0, 1]),
        pd.Series([2, 0, 1], index=[7, 8, 9]),
        [[2], [0], [1]],
        [[2, 0, 1], [2, 0, 1]],
        np.eye(3)[[2, 0, 1]],
        np.eye(3, dtype=bool)[[2, 0, 1]],
        [np.eye(3)[[2, 0, 1]], np.eye(3)[[2, 0, 1]]],
    ],
)
def test_labels_are_class_numbers_in_the_order_of_the_examples(values: object) -> None:
    for classes in (3, None):
        labels = as_labels("key", values, classes)
        assert labels.dtype == np.int64
        assert labels.tolist() == [2, 0, 1]


def test_labels_of_two_classes() -> None:
    assert as_labels("key", [True, False], 2).tolist() == [1, 0]
    rows_of_models = [[0, 1], [0, 1], [0, 1]]
    assert as_labels("key", rows_of_models, None).tolist() == [0, 1]
    assert as_labels("key", rows_of_models, 2).tolist() == [1, 1, 1]  # one-hot


@pytest.mark.parametrize(
    ("values", "classes", "words"),
    [
        (["cat", "dog"], 2, ["'cat'", "numpy.unique"]),
        (["1", "0"], 2, ["'1'", "dtype=int"]),
        (pd.Series(["a", "b"]), None, ["'a'", "numpy.unique"]),
        ([1, 2, 3], 3, ["0..2", "got 3 for example 2", "subtract 1"]),
        ([0, 3, 1], 3, ["0..2", "got 3 for example 1", "3 classes"]),
        ([0, -1, 1], 3, ["got -1 for example 1", "without a label"]),
        ([1, -1, 1], 2, ["got -1 for example 1", "(labels + 1) // 2"]),
        ([0, 1.5], 2, ["got 1.5 for example 1"]),
        ([0, np.nan], 2, ["got nan for example 1", "without a label"]),
        ([0, np.inf], 2, ["got inf for example 1"]),
        ([0, 10**9], None, ["got 1000000000 for example 1", "numpy.unique"]),
        ([0, 2**70], 3, ["example 1"]),
        ([True, False], 3, ["bool", "membership"]),
        ([[0.9, 0.1], [0.2, 0.8]], 2, ["(0.9, 0.1) for example 0", "argmax"]),
        ([[1, 0, 0], [1, 1, 0]], 3, ["(1, 1, 0) for example 1"]),
        ([[0, 1, 2], [0, 1, 2], [0, 2, 2]], 4, ["2 for model 2, example 1", "1 for model 0"]),
        (np.zeros((2, 3, 4)), 5, ["(examples,)", "(2, 3, 4)"]),
        (3, 5, ["(examples,)"]),
    ],
)
def test_other_labels_are_refused(values: object, classes: int | None, words: list[str]) -> None:
    message = refused(as_labels, values, classes)
    for word in words:
        assert word in message, message


MEMBERSHIP = np.array([[True, False, False], [False, True, True]])


@pytest.mark.parametrize(
    "values",
    [
        MEMBERSHIP,
        MEMBERSHIP.tolist(),
        MEMBERSHIP.astype(np.uint8),
        MEMBERSHIP.astype(float),
        MEMBERSHIP.astype(object),
        torch.tensor(MEMBERSHIP),
        pd.DataFrame(MEMBERSHIP),
    ],
)
def test_membership_is_bool_or_zero_and_one(values: object) -> None:
    membership = as_membership("key", values, 2, 3)
    assert membership.dtype == np.bool_
    assert np.array_equal(membership, MEMBERSHIP)


def test_membership_of_one_model_may_be_a_vector() -> None:
    assert as_membership("key", MEMBERSHIP[1], 1, 3).tolist() == [[False, True, True]]


@pytest.mark.parametrize(
    ("values", "models", "examples", "words"),
    [
        (MEMBERSHIP.T, 2, 3, ["(2, 3)", "shape (3, 2)", "membership.T"]),
        (MEMBERSHIP[0], 2, 3, ["a row for each model"]),
        ([True, False], 2, 3, ["each example of each model"]),
        (MEMBERSHIP, 3, 3, ["(3, 3)", "shape (2, 3)"]),
        ([[0, 2], [1, 3]], 2, 50, ["indices", "isin"]),
        ([[0, 2, 3], [1, 3]], 2, 50, ["indices", "isin"]),
        ([4, 7, 9], 1, 50, ["4 for example 0", "indices"]),
        ([[0, 1, 2], [0, 0, 1]], 2, 3, ["2 for model 0, example 2"]),
        ([[0.9, 0.1, 0.2], [0, 1, 1]], 2, 3, ["0.9 for model 0, example 0", "scores"]),
        ([[1, -1, -1], [-1, 1, 1]], 2, 3, ["-1 for model 0, example 1", "membership > 0"]),
        ([[1, 0, np.nan], [0, 1, 1]], 2, 3, ["nan for model 0, example 2", "not known"]),
        ([["in", "out"]], 1, 2, ["'in' for model 0, example 0", "compare"]),
        ([[1, 0, 0], [1, 1, 1]], 2, 3, ["non-members of model 1", "3 of 3"]),
        ([[0, 0, 0], [1, 1, 0]], 2, 3, ["members of model 0", "0 of 3"]),
    ],
)
def test_other_membership_is_refused(
    values: object, models: int, examples: int, words: list[str]
) -> None:
    message = refused(as_membership, values, models, examples)
    for word in words:
        assert word in message, message


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.asarray(torch.softmax(torch.tensor(logits, dtype=torch.float64), -1))


LOGITS = np.random.default_rng(0).normal(0, 5, (3, 20, 2, 4))
LABELS = np.random.default_rng(1).integers(0, 4, 20)


def test_logits_stay_as_they_are() -> None:
    for outputs in ("logits", "auto"):
        for logits in (LOGITS, LOGITS[:, :, 0], LOGITS[0, :, 0], LOGITS.astype(np.float32)):
            result = as_logits("key", logits, outputs, 1e-6)
            assert result.dtype == logits.dtype
            assert np.array_equal(result, logits)


@pytest.mark.parametrize(
    "probabilities",
    [
        softmax(LOGITS),
        softmax(LOGITS).astype(np.float32),
        softmax(LOGITS).astype(np.float16),
        torch.softmax(torch.tensor(LOGITS, dtype=torch.float32), -1).bfloat16(),
        softmax(LOGITS).round(3),
        softmax(LOGITS / 20).round(4),
        np.eye(4)[LABELS],
        softmax(np.random.default_rng(0).normal(0, 1, (50, 1000))).astype(np.float16),
    ],
)
def test_probabilities_are_recognised(probabilities: object) -> None:
    message = refused(as_logits, probabilities, "logits", 1e-6)
    assert "must be logits, but all values are in [0, 1] and the rows sum to one" in message
    assert 'outputs="probabilities"' in message
    automatic = as_logits("key", probabilities, "auto", 1e-6)
    stated = as_logits("key", probabilities, "probabilities", 1e-6)
    assert np.array_equal(automatic, stated)
    assert stated.max() <= 0.004


def test_one_damaged_row_does_not_turn_probabilities_into_logits() -> None:
    damaged = softmax(LOGITS)
    damaged[2, 7, 1] = (0.5, 0.25, 0.25, 0.25)
    assert "must be logits" in refused(as_logits, damaged, "logits", 1e-6)
    message = refused(as_logits, damaged, "auto", 1e-6)
    assert "a sum of 1.25 for model 2, example 7, query 1" in message


def test_confident_probabilities_lose_no_digits() -> None:
    """p_y = 1 - 2e-20 rounds to 1, and 1 - p_y to 0, but the others still give phi."""
    rest = np.array([1e-20, 0.3, 1e-9, 1e-30])
    probabilities = np.stack([1 - 2 * rest, rest, rest], axis=-1)
    logits = as_logits("key", probabilities, "probabilities", 1e-300)
    phi = logit_confidence(logits[:, np.newaxis], np.zeros(4, dtype=np.int64))[:, 0]
    expected = np.log1p(-2 * rest) - np.log(2 * rest)
    assert np.allclose(phi, expected, rtol=1e-12, atol=0)


def test_small_probabilities_are_clipped_for_every_class() -> None:
    logits = as_logits("key", [[1.0, 0.0, 0.0], [0.998, 0.002, 0.0]], "probabilities", 0.001)
    assert np.allclose(np.exp(logits), [[1, 0.001, 0.001], [0.998, 0.002, 0.001]], rtol=1e-12)


@pytest.mark.parametrize(
    ("values", "outputs", "words"),
    [
        ([[0.5, 0.6], [0.1, 0.9]], "probabilities", ["a sum of 1.1 for example 0"]),
        ([[0.5, 0.5], [1.2, -0.2]], "probabilities", ["1.2 for example 1, class 0"]),
        ([[[0.5, 0.5]], [[-0.2, 1.2]]], "probabilities", ["-0.2 for model 1, example 0, class 0"]),
        ([[50.0, 50.0]], "probabilities", ["50 for example 0", "divide percentages by 100"]),
        (np.log([[0.5, 0.5]]), "probabilities", ['outputs="logits"']),
        ([[0.5], [0.2]], "probabilities", ["(2, 1)", "numpy.concatenate([1 - p, p], axis=-1)"]),
        ([[0.5], [0.2]], "logits", ["(2, 1)", "numpy.concatenate([0 * z, z], axis=-1)"]),
        ([0.5], "auto", ["(1,)"]),
        ([0.5, 0.2], "logits", ["(2,)", "numpy.stack([0 * z, z], axis=-1)"]),
        (3.0, "logits", ["at least 2 classes"]),
        ([[0.9, 0.9], [0.2, 0.3]], "auto", ["a sum of 1.8 for example 0", 'outputs="logits"']),
        ([[0.0, -np.inf]], "logits", ["-inf", 'outputs="probabilities"', "clipped"]),
        ([[3.0, np.nan]], "auto", ["nan for example 0, class 1"]),
        ([[3.0, np.inf], [1.0, 1.0]], "logits", ["inf for example 0, class 1"]),
    ],
)
def test_other_outputs_are_refused(values: object, outputs: str, words: list[str]) -> None:
    message = refused(as_logits, values, outputs, 1e-6)
    for word in words:
        assert word in message, message


def test_settings_of_probabilities_are_checked() -> None:
    with pytest.raises(UsageError, match=r"^outputs must be one of .*did you mean 'logits'"):
        as_logits("key", LOGITS, "logit", 1e-6)  # type: ignore[arg-type]
    for clip in (0.0, -1.0, 0.5, np.nan):
        with pytest.raises(UsageError, match=r"^clip must be > 0 and < 0\.5"):
            as_logits("key", LOGITS, "auto", clip)


def test_confidences_are_the_logit_of_the_label_0() -> None:
    phi = np.array([[-800.0, -1.0, 0.0], [40.0, 1e-12, 800.0]])
    logits = confidence_logits(phi[..., np.newaxis])
    assert logits.shape == (2, 3, 1, 2)
    labels = np.zeros(3, dtype=np.int64)
    assert np.array_equal(logit_confidence(logits, labels)[..., 0], phi)
