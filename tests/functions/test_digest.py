import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from mgaudit.functions.digest import NotDigestibleError, digest
from mgaudit.targets.own_module import load_module


def function(source: str, **global_values: Any) -> FunctionType:
    """Returns `fit`, the function of the source, whose global values are given."""
    names: dict[str, Any] = {"__name__": "__main__", **global_values}
    exec(compile(source, "notebook", "exec"), names)
    fit = names["fit"]
    assert isinstance(fit, FunctionType)
    return fit


def of_source(source: str, **global_values: Any) -> str:
    return digest(function(source, **global_values))


FIT = "def fit(x, y, *, seed):\n    return helper(x, RATE)\n"
HELPER = function("def fit(x, rate):\n    return x * rate\n")


def test_the_same_source_has_the_same_digest() -> None:
    commented = f"# a comment\n\n\n{FIT}    # the end\n"
    assert of_source(FIT, RATE=1.0, helper=HELPER) == of_source(commented, RATE=1.0, helper=HELPER)


def test_whatever_a_function_refers_to_changes_its_digest() -> None:
    other_helper = function("def fit(x, rate):\n    return x + rate\n")
    other_source = FIT.replace("RATE", "-RATE")
    digests = [
        of_source(FIT, RATE=1.0, helper=HELPER),
        of_source(FIT, RATE=2.0, helper=HELPER),
        of_source(FIT, RATE=1, helper=HELPER),
        of_source(FIT, RATE=np.ones(2), helper=HELPER),
        of_source(FIT, RATE=np.ones(3), helper=HELPER),
        of_source(FIT, RATE=1.0, helper=other_helper),
        of_source(FIT, RATE=1.0, helper=np.sum),
        of_source(other_source, RATE=1.0, helper=HELPER),
        of_source(FIT.replace("seed", "seed=0"), RATE=1.0, helper=HELPER),
        of_source(FIT.replace("seed", "seed=1"), RATE=1.0, helper=HELPER),
    ]
    assert len(set(digests)) == len(digests)


def test_global_values_that_are_not_read_do_not_matter() -> None:
    assert of_source(FIT, RATE=1.0, helper=HELPER, x=3) == of_source(FIT, RATE=1.0, helper=HELPER)


def closure(rate: object) -> Callable[[object], object]:
    def inner(x: object) -> object:
        return x, rate

    return inner


def test_closures_partials_methods_and_classes_are_read() -> None:
    class Trainer:
        bias = 0

        def __init__(self, rate: float) -> None:
            self.rate = rate

        def fit(self, x: float) -> float:
            return x * self.rate + self.bias

    first, equal, other = Trainer(1.0), Trainer(1.0), Trainer(2.0)
    assert digest(first.fit) == digest(equal.fit) != digest(other.fit)
    before = digest(first.fit)
    Trainer.bias = 1
    assert digest(first.fit) != before
    assert digest(closure(1)) == digest(closure(1)) != digest(closure(2))
    assert digest(partial(HELPER, rate=1)) != digest(partial(HELPER, rate=2))
    assert digest(closure(first)) != digest(closure(other))
    network, other_network = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    assert digest(closure(network)) != digest(closure(other_network))
    other_network.load_state_dict(network.state_dict())
    assert digest(closure(network)) == digest(closure(other_network))


def test_data_are_read_with_type_and_content() -> None:
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    values = [
        np.arange(4),
        np.arange(4.0),
        np.arange(4).reshape(2, 2),
        list(range(4)),
        tuple(range(4)),
        set(range(4)),
        torch.arange(4),
        scipy.sparse.csr_array(np.arange(4)[None]),
        np.array(["a", "b"]),
        np.array(["a", "b"], object),
        np.array(["2020-01-01"], "datetime64[D]"),
        table,
        table.rename(columns={"a": "c"}),
        table.iloc[::-1],
        table.replace("y", "z"),
        table["a"],
        {"a": 1},
        {"b": 1},
        Path("a"),
        torch.float32,
        torch.float64,
    ]
    digests = [digest(value) for value in values]
    assert len(set(digests)) == len(values)
    assert digest(table.copy()) == digest(table)


def test_equal_values_need_not_be_one_object() -> None:
    part = [1.5, 2.5]
    assert digest([part, part]) == digest([part, list(part)])


def test_values_that_contain_themselves_end() -> None:
    cycle: list[object] = [1]
    cycle.append(cycle)
    assert digest(cycle) != digest([1, [1]])


@pytest.mark.parametrize(
    "state",
    [threading.Lock(), np.random.default_rng(0), (number for number in range(3))],
    ids=["lock", "random generator", "generator"],
)
def test_a_state_that_cannot_be_read_has_no_digest(state: object) -> None:
    with pytest.raises(NotDigestibleError, match=r"an object of .*(lock|Generator|generator)"):
        digest(closure(state))


def test_code_in_a_module_of_the_users_own_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_networks.py").write_text("RATE = 1\ndef train(x):\n    return x * RATE\n")
    own = load_module("own_networks")
    source = "def fit(x):\n    return own.train(x)\n"
    before = of_source(source, own=own)
    assert of_source(source, own=own) == before
    own.unused = threading.Lock()  # type: ignore[attr-defined]
    assert of_source(source, own=own) == before  # only what is read counts
    own.RATE = 2  # type: ignore[attr-defined]
    assert of_source(source, own=own) != before
    imported_inside = "def fit(x):\n    import own_networks\n    return own_networks.train(x)\n"
    with_rate_2 = of_source(imported_inside)
    own.RATE = 3  # type: ignore[attr-defined]
    assert of_source(imported_inside) != with_rate_2


def test_another_process_computes_the_same_digest(tmp_path: Path) -> None:
    (tmp_path / "own_fit.py").write_text(
        "import numpy as np\n"
        "CHOICES = {'adam', 'sgd', 'rmsprop'}\n"
        "class Net:\n    sizes = (1, 2)\n    def run(self, x):\n        return np.tanh(x)\n"
        "def fit(x, y, *, seed):\n    assert 'sgd' in CHOICES\n    return Net().run\n"
        "from mgaudit.functions.digest import digest\n"
        "print(digest(fit))\n"
    )
    digests = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-B", "-c", "import sys; sys.path.append('.'); import own_fit"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64
