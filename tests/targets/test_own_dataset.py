from pathlib import Path

import numpy as np
import pytest

from mgaudit.errors import UsageError
from mgaudit.settings.datasets import load
from mgaudit.targets.datasets import Dataset

MODULE = """
import numpy as np
from mgaudit.targets.datasets import Dataset

x, y = np.arange(60.0).reshape(20, 3), np.arange(20) % 2

def four():
    return x, y, -1 - x[:6], y[:6]

def named():
    test = (-1 - x[:6]).astype(np.float32)
    return Dataset("mine", x.astype(np.float32), y, test, y[:6], ("even", "odd"))

def three():
    return x, y, x

def lists():
    return x.tolist(), y.tolist(), (-1 - x[:6]).tolist(), y[:6].tolist()

def nothing():
    pass

def needs(size):
    return four()

def fails():
    return {}["radius"]

def overlapping():
    return x, y, x[:6], y[:6]

def wrong_shape():
    return x, y, x[:6, :2], y[:6]

constant = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in the current folder that nothing else can find."""
    (tmp_path / "pack").mkdir()
    (tmp_path / "mine_of_mgaudit.py").write_text(MODULE)
    (tmp_path / "pack" / "inner.py").write_text(MODULE)
    (tmp_path / "broken_of_mgaudit.py").write_text("x = 1\nimport no_such_package\n")
    (tmp_path / "unreadable_of_mgaudit.py").write_text("x = = 1\n")
    monkeypatch.chdir(tmp_path)


def own(spec: str, examples: int | None = None) -> Dataset:
    return load(spec, examples, np.random.default_rng(0))


def test_lists_are_arrays() -> None:
    assert own("mine_of_mgaudit:lists").digest() == own("mine_of_mgaudit:four").digest()


@pytest.mark.parametrize("where", ["mine_of_mgaudit", "pack.inner"])
def test_four_arrays_and_a_dataset_are_taken_as_they_are(where: str) -> None:
    arrays = own(f"{where}:four", 12)
    assert arrays.name == f"{where}:four"
    assert arrays.inputs.shape == (12, 3)
    for values, label, origin in zip(arrays.inputs, arrays.labels, arrays.origins, strict=True):
        row = int(values[0]) // 3
        assert values.tolist() == [3 * row, 3 * row + 1, 3 * row + 2]
        assert (label, origin) == (row % 2, f"x_train[{row}]")
    dataset = own(f"{where}:named", 12)
    assert dataset.classes == ("even", "odd")
    assert np.array_equal(dataset.inputs, arrays.inputs)
    assert np.array_equal(dataset.test_inputs, arrays.test_inputs)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "no_such_module:f",
            (
                "cannot import the module 'no_such_module': ModuleNotFoundError: No module named "
                "'no_such_mo"
            ),
        ),
        (
            "broken_of_mgaudit:f",
            (
                r"'broken_of_mgaudit': ModuleNotFoundError: .* \(broken_of_mgaudit.py, line 2\); "
                r"correct .*broken_of_mgaudit.py"
            ),
        ),
        (
            "unreadable_of_mgaudit:f",
            r"SyntaxError: invalid syntax \(unreadable_of_mgaudit.py, line 1\); ",
        ),
        ("mine_of_mgaudit:gone", r"there is no function 'gone' in .*mine_of_mgaudit\.py"),
        ("mine_of_mgaudit:constant", "there is no function 'constant' in"),
        (
            "mine_of_mgaudit:three",
            "must be a .*Dataset, the arrays .*, got a tuple of ndarray, ndarray, ndarray; leave",
        ),
        ("mine_of_mgaudit:nothing", "got NoneType"),
        (
            "mine_of_mgaudit:needs",
            "failed: TypeError: needs.. missing 1 required positional argument: 'size'",
        ),
        ("mine_of_mgaudit:fails", r"failed: KeyError: 'radius' \(mine_of_mgaudit.py, line 27\)"),
        ("mine_of_mgaudit:overlapping", "must not overlap the examples to audit"),
        ("mine_of_mgaudit:wrong_shape", "must have examples of one shape"),
    ],
)
def test_a_function_that_is_not_as_it_should_be_is_refused(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        own(spec)
    assert str(raised.value).startswith(f"dataset {spec}")
    assert "\n" not in str(raised.value)
