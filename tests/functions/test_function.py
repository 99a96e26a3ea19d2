from pathlib import Path

import pytest

from mgaudit.errors import UsageError
from mgaudit.functions.api import name_of
from mgaudit.functions.function import FunctionFit, as_fit, load_fit
from tests.functions.centroids import centroids


def test_a_function_is_found_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_training.py").write_text("def fit(x, y, *, seed):\n    return lambda x: x\n")
    loaded = load_fit("own_training:fit")
    assert as_fit("fit", loaded, (0, 1)) == FunctionFit(loaded)
    assert loaded(None, None, seed=0)(3) == 3


@pytest.mark.parametrize("text", ["fit", "os:", ":fit", "no_such_module:fit", "os:no_such_name"])
def test_a_function_that_is_not_there_is_named(text: str) -> None:
    with pytest.raises(UsageError) as error:
        load_fit(text)
    assert text in str(error.value)


def test_names_are_those_of_the_code() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    assert name_of(centroids) == "centroids"
    assert name_of(lambda x: x) == "fit"
    assert name_of(make_pipeline(StandardScaler(), LogisticRegression())) == "LogisticRegression"
