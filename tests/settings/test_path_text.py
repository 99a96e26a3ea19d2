import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgaudit.errors import UsageError
from mgaudit.reports.results import settings_toml
from mgaudit.settings.datasets import dataset_choice
from mgaudit.settings.path_text import path_text, split_path
from mgaudit.settings.study_settings import study_settings
from mgaudit.settings.toml_file import read_settings
from mgaudit.targets.datasets import DATASETS, Dataset, Reader
from mgaudit.targets.ranges import Range

COLUMNS = ("a", "# label", "a, b=c", 'a",b=c', " ", "a#b", "label=x", '"a"', "ä ö", "\t", "a=b")


def read(
    path: str,
    examples: int | None,
    generator: np.random.Generator,
    *,
    label: str = "label",
    separator: str | None = None,
    test_fraction: Annotated[float, Range(0, 1, low_open=True, high_open=True)] = 0.25,
) -> Dataset:
    raise AssertionError("it is not read here")


def read_folder(
    path: str, examples: int | None, generator: np.random.Generator, *, size: int = 0
) -> Dataset:
    raise AssertionError("it is not read here")


@pytest.fixture(autouse=True)
def readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "table", Reader("table", read, takes_path=True))
    monkeypatch.setitem(DATASETS, "images", Reader("images", read_folder, takes_path=True))


def options_of(text: str) -> dict[str, object]:
    return dict(dataset_choice(text).options)


def test_options_follow_the_path_and_have_the_types_of_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.touch()
    choice = dataset_choice(f" table:{path}#income , separator=;, test_fraction=0.3 ")
    assert list(choice.options) == ["path", "label", "separator", "test_fraction"]
    assert choice.options["path"] == str(path)
    assert choice.options["test_fraction"] == 0.3
    assert choice.text == f"table:{path}#income,separator=;,test_fraction=0.3"
    assert dataset_choice(f"table:{path},label=label,test_fraction=0.25").text == f"table:{path}"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("separator=;", ";"),
        ("separator=,", ","),
        ("separator==", "="),
        ("separator=\t", "\t"),
        ('separator=" "', " "),
        ("separator=|", "|"),
        (r"separator=\t", r"\t"),
        ('separator=""""', '"'),
    ],
)
def test_separators_are_values(tmp_path: Path, option: str, value: str) -> None:
    (tmp_path / "a.csv").touch()
    for text in (f"{option},label=y", f"label=y,{option}"):
        choice = dataset_choice(f"table:{tmp_path}/a.csv,{text}")
        assert (choice.options["separator"], choice.options["label"]) == (value, "y")
        assert dataset_choice(choice.text) == choice


@pytest.mark.parametrize(
    "name", ["a.csv", "a,b.csv", "a=b.csv", "a#b", "a:b,separator=;", "a,separator=;,b", "#", "ä b"]
)
@pytest.mark.parametrize("column", COLUMNS)
def test_every_path_with_every_column_survives_the_way_to_toml_and_back(
    tmp_path: Path, name: str, column: str
) -> None:
    path = tmp_path / name
    path.touch()
    quoted = column.replace('"', '""')
    choice = dataset_choice(f'table:{path},label="{quoted}",test_fraction=0.5')
    assert dict(choice.options) == {"path": str(path), "label": column, "test_fraction": 0.5}
    settings = study_settings({"dataset": choice})
    file = tmp_path / "settings.toml"
    file.write_text(settings_toml(settings.as_dict()))
    repeated = study_settings(read_settings(file))
    assert repeated == settings
    assert dict(repeated.dataset.options) == dict(choice.options)


@given(
    st.text(st.sampled_from('ab,=#:" \t;_1'), min_size=1).filter(lambda name: name == name.strip()),
    st.dictionaries(
        st.sampled_from(["label", "separator", "x_1"]), st.text('ab,=#:" \t;', min_size=0)
    ),
)
def test_the_text_of_a_file_that_exists_is_split_into_the_same_parts(
    name: str, options: dict[str, str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/{name}"
        Path(path).touch()
        assert split_path(path_text(path, options), takes_label=True) == (path, options)


def test_an_existing_file_is_preferred_to_a_shorter_path_with_options(tmp_path: Path) -> None:
    long = tmp_path / "a.csv#b,separator=;"
    long.touch()
    (tmp_path / "a.csv").touch()
    assert options_of(f"table:{long}") == {"path": str(long)}
    assert options_of(f"table:{long}#y") == {"path": str(long), "label": "y"}
    with pytest.raises(UsageError, match="must not be ambiguous"):
        dataset_choice(f"table:{tmp_path}/a.csv,label=b,separator=;")


def test_a_directory_takes_options_and_no_columns(tmp_path: Path) -> None:
    for name in ("a", "a,size=3", "a#b", "a,b"):
        (tmp_path / name).mkdir()
        assert options_of(f"images:{tmp_path / name}") == {"path": str(tmp_path / name)}
        expected = {"path": str(tmp_path / name), "size": 8}
        assert options_of(f"images:{tmp_path / name},size=8") == expected
    table = tmp_path / "a#1" / "b.csv"  # the directory `a` exists, and `a#1` does not
    assert options_of(f"table:{table}") == {"path": str(tmp_path / "a"), "label": "1/b.csv"}


def test_the_home_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a,b=1.csv").touch()
    expected = {"path": f"{tmp_path}/a,b=1.csv", "label": "y"}
    assert options_of("table:~/a,b=1.csv#y") == expected


def test_a_file_that_does_not_exist_has_the_options_that_its_text_has(tmp_path: Path) -> None:
    expected = {"path": f"{tmp_path}/a#b.csv", "label": "y", "separator": ";"}
    assert options_of(f"table:{tmp_path}/a#b.csv#y,separator=;") == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("seperator=;", "table.seperator is not an option .*; did you mean 'separator'"),
        ("test_fraction=2", "table.test_fraction must be a finite number > 0 and < 1, got 2"),
        ("test_fraction=half", "table.test_fraction must be a valid number"),
        ("separator=;,separator=,", "table.separator may be given once, got ';' and ','"),
        ("label=a,label=b", "table.label may be given once"),
        ("separator=", "table.separator needs a value; write separator=VALUE"),
        ("separator", "table takes options as key=value, got 'separator'"),
        ("examples=3", "table.examples is not an option"),
        ("path=3", "table.path is not an option"),
    ],
)
def test_options_that_are_not_valid_are_refused(tmp_path: Path, options: str, message: str) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(UsageError, match=f"^{message}"):
        dataset_choice(f"table:{tmp_path}/a.csv,{options}")


def test_a_label_is_given_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(UsageError, match=r"^table\.label may be given once, got 'a' and 'b'"):
        dataset_choice(f"table:{tmp_path}/a.csv#a,label=b")
