from pathlib import Path

import numpy as np
import pytest

from mgaudit.errors import UsageError
from mgaudit.settings.datasets import load
from mgaudit.targets.datasets import Dataset

COLOURS = ("red", "green", "blue", "green", "red", "blue", "red", "green", "blue", "green")


def read(path: Path, column: str = "", examples: int | None = None) -> Dataset:
    return load(f"csv:{path}{column}", examples, np.random.default_rng(0))


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def numbered(label: str = "label") -> list[str]:
    """Ten rows of numbers that encode row and column: 1.25 is in row 1 and the column of .25."""
    return [
        f"width,{label},height",
        *(f"{row}.25,{name},{row}.5" for row, name in enumerate(COLOURS, start=1)),
    ]


def test_rows_columns_and_classes_are_where_they_should_be(tmp_path: Path) -> None:
    dataset = read(write(tmp_path / "a.csv", *numbered()))
    assert dataset.classes == ("blue", "green", "red")
    # The third row of each class is test data: blue's row 9, green's row 8, red's row 7.
    assert dataset.test_inputs.tolist() == [[7.25, 7.5], [8.25, 8.5], [9.25, 9.5]]
    assert dataset.test_labels.tolist() == [2, 1, 0]
    assert sorted(dataset.inputs[:, 0].tolist()) == [1.25, 2.25, 3.25, 4.25, 5.25, 6.25, 10.25]
    assert dataset.inputs.dtype == np.float32
    for values, label, origin in zip(dataset.inputs, dataset.labels, dataset.origins, strict=True):
        row = int(origin.removeprefix("row "))
        assert values.tolist() == [row + 0.25, row + 0.5]
        assert dataset.classes[label] == COLOURS[row - 1]


def test_another_column_may_hold_the_labels(tmp_path: Path) -> None:
    plain = read(write(tmp_path / "a.csv", *numbered()))
    path = write(tmp_path / "b.csv", *numbered("colour of it"))
    assert read(path, "#colour of it").digest() == plain.digest()
    hashed = write(tmp_path / "c#.csv", *numbered())  # a name with the mark in it
    assert read(hashed).digest() == read(hashed, "#label").digest() == plain.digest()


def test_whole_numbers_are_classes_in_their_order(tmp_path: Path) -> None:
    lines = [f"{row}.5,{row % 11}" for row in range(44)]
    assert read(write(tmp_path / "a.csv", "x,label", *lines)).classes == tuple(
        str(label) for label in range(11)
    )


def test_a_split_column_says_what_is_test_data(tmp_path: Path) -> None:
    lines = [f"{row},{row % 2},{'test' if row in (1, 2, 5) else 'train'}" for row in range(8)]
    dataset = read(write(tmp_path / "a.csv", "x,label,split", *lines))
    assert dataset.test_inputs[:, 0].tolist() == [1, 2, 5]
    assert dataset.test_labels.tolist() == [1, 0, 1]
    assert sorted(dataset.inputs[:, 0].tolist()) == [0, 3, 4, 6, 7]


def test_standardised_with_the_statistics_of_the_training_rows_alone(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    train = draw.normal([5, -300], [2, 40], (60, 2))
    test = draw.normal([50, 0], [9, 1], (30, 2))
    lines = [f"{x},{y},{row % 2},train" for row, (x, y) in enumerate(train)]
    lines += [f"{x},{y},{row % 2},test" for row, (x, y) in enumerate(test)]
    dataset = read(write(tmp_path / "a.csv", "x,y,label,split", *lines)).standardised()
    mean, sd = train.mean(axis=0), train.std(axis=0)
    assert np.allclose(dataset.test_inputs, (test - mean) / sd, atol=1e-4)
    assert np.allclose(dataset.inputs.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(dataset.inputs.std(axis=0), 1, atol=1e-4)
    assert abs(dataset.test_inputs.mean(axis=0)).min() > 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({3: "3.25,,3.5"}, "must hold a value in every cell, got none in row 3, column 'label'"),
        (
            {3: "3.25,blue"},
            "must have a cell for each of the 3 columns .* in every row, got 2 cells in row 3",
        ),
        (
            {4: "4.25,green,tall"},
            "must hold a finite number in every feature, got 'tall' in row 4, column 'height'",
        ),
        (
            {4: "inf,green,1"},
            "must hold a finite number in every feature, got 'inf' in row 4, column 'width'",
        ),
        (
            {4: "1e400,green,1"},
            "must hold a finite number in every feature, got 'inf' in row 4, column 'width'",
        ),
        (
            {7: "7,purple,7"},
            "must have at least 3 rows of each class .*, got 1 of 'purple', in row 7",
        ),
        (
            {0: "width,class,height"},
            "must have the label column 'label', got the columns width, class, height; ",
        ),
        (
            {0: "width,label"},
            "must have a cell for each of the 2 columns .* in every row, got 3 cells in row 1",
        ),
        ({4: "4,green,4,4,4"}, "must have a cell for each of the 3 columns .* 5 cells in row 4"),
    ],
)
def test_a_table_that_is_not_as_it_should_be_is_refused(
    tmp_path: Path, change: dict[int, str], message: str
) -> None:
    lines = [change.get(row, line) for row, line in enumerate(numbered())]
    path = write(tmp_path / "a.csv", *lines)
    with pytest.raises(UsageError, match=message) as raised:
        read(path)
    assert str(raised.value).startswith(f"dataset csv:{path} must ")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["label", "a", "a", "a", "b", "b", "b"], "at least one column of features"),
        (
            ["x,label", "1,a", "2,a", "3,a"],
            "must have at least 2 classes in the label column 'label', got",
        ),
        (
            ["x,label,split", "1,a,train", "2,b,valid"],
            "must be 'train' or 'test' in column 'split', got 'valid' in row 2",
        ),
        (
            ["x,label,split", "1,a,train", "2,a,test", "3,b,train"],
            (
                "must have rows of both splits of each class .*, got no test row of 'b', which "
                "is in row 3"
            ),
        ),
        (
            ["x,label,split", "1,a,train", "2,a,test", "3,b,test"],
            (
                "must have rows of both splits of each class .*, got no train row of 'b', which "
                "is in row 3"
            ),
        ),
        ([""], "must be a table with a header, got an empty file"),
        (["x,label"], "must have rows of data, got none"),
        (
            ["x,label", "5,a", "5,a", "5,a", "5,b", "6,b", "7,b"],
            "must have at least two different examples of each class",
        ),
    ],
)
def test_tables_that_cannot_be_audited_are_refused(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        read(write(tmp_path / "a.csv", *lines))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfa\x00\x01" * 20)
    with pytest.raises(UsageError, match=r"dataset csv:.*a\.csv must be a table in a text file"):
        read(tmp_path / "a.csv")
    with pytest.raises(
        UsageError, match=r"no file at '.*b\.csv'; use --dataset csv:PATH or csv:PATH#COLUMN"
    ):
        read(tmp_path / "b.csv", "#colour")
