import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from mgaudit.errors import UsageError
from mgaudit.functions.rows import as_array, as_inputs, count_rows, take

VALUES = np.arange(12.0).reshape(4, 3)
OF_EVERY_TYPE = [
    VALUES,
    pd.DataFrame(VALUES, columns=["a", "b", "c"], index=[7, 7, 8, 9]),
    VALUES.tolist(),
    tuple(VALUES.tolist()),
    scipy.sparse.csr_matrix(VALUES),
    scipy.sparse.csc_array(VALUES),
    scipy.sparse.coo_array(VALUES),
    torch.tensor(VALUES, requires_grad=True),
]


@pytest.mark.parametrize("values", OF_EVERY_TYPE, ids=lambda values: type(values).__name__)
def test_rows_are_selected_in_the_type_that_was_given(values: object) -> None:
    assert count_rows("x", values) == 4
    rows = take(values, np.array([3, 0, 3]))
    assert np.array_equal(as_array(rows), VALUES[[3, 0, 3]])
    converted = isinstance(values, scipy.sparse.coo_array)
    assert type(rows) is (scipy.sparse.csr_array if converted else type(values))


def test_selected_rows_are_copies() -> None:
    for values in (VALUES.copy(), pd.DataFrame(VALUES), torch.tensor(VALUES)):
        rows = take(values, np.arange(4))
        rows[:] = -1.0
        assert np.array_equal(as_array(values), VALUES)


def test_tensors_of_bfloat16_become_numbers() -> None:
    assert as_array(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32
    assert as_array([torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])]).shape == (2, 2)


@pytest.mark.parametrize("values", [None, "text", {1: 2}, np.float64(3), np.ma.masked_array([1])])
def test_what_has_no_rows_is_refused(values: object) -> None:
    with pytest.raises(UsageError) as error:
        count_rows("x", values)
    assert error.value.key == "x"


def test_inputs_are_finite_numbers_or_nothing() -> None:
    assert as_inputs(VALUES) is VALUES
    pixels = as_inputs(np.full((2, 3), 200, np.uint8))
    assert pixels is not None
    assert pixels.dtype == np.float32
    assert pixels.max() == 200
    for values in (["a", "b"], pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), [[1], [2, 3]]):
        assert as_inputs(values) is None
    assert as_inputs(np.array([1.0, np.nan])) is None
    assert as_inputs(scipy.sparse.csr_matrix(VALUES)) is None
