"""How the columns of a table become features."""

from pathlib import Path

import numpy as np
import pytest

from tests.cases.table_files import ab, read, refusal, write

QUOTE = '"'


def rows_of(dataset) -> list[int]:  # type: ignore[no-untyped-def]
    return [int(origin.removeprefix("row ")) - 1 for origin in dataset.origins]


def test_categories_are_sorted_zeros_and_ones_in_place_of_their_column(tmp_path: Path) -> None:
    words = ("red", "Blue", "10 green")
    path = write(
        tmp_path / "a.csv",
        "x,colour,flag,label",
        lambda n: f"{n},{words[n % 3]},{n % 5 == 0},{ab(n)}",
    )
    dataset = read(path)
    expected = [
        [n, n % 3 == 2, n % 3 == 1, n % 3 == 0, n % 5 != 0, n % 5 == 0] for n in rows_of(dataset)
    ]
    assert dataset.inputs.tolist() == expected
    assert dataset.inputs.dtype == np.float32


@pytest.mark.parametrize(
    "gap",
    ["", "?", "NA", "NaN", "nan", "null", "None", "-", "n/a", "#N/A", "<NA>", "--", "NAN", "na"],
)
def test_a_missing_number_is_the_median_of_the_training_rows_and_marked(
    tmp_path: Path, gap: str
) -> None:
    # Rows 7 and 12 have no value. The test rows have values far from the others.
    def row(number: int) -> str:
        value = number * 0.5 + 1000 * (number // 2 % 3 == 2)
        return f"{gap if number in (7, 12) else value},{ab(number)},{number}"

    dataset = read(write(tmp_path / "a.csv", "x,label,y", row))
    known = [n * 0.5 for n in range(24) if n // 2 % 3 != 2 and n not in (7, 12)]
    expected = [
        [np.median(known) if n in (7, 12) else n * 0.5, n in (7, 12), n] for n in rows_of(dataset)
    ]
    assert dataset.inputs.tolist() == expected
    assert any("x (2)" in note for note in dataset.notes)


def test_a_number_missing_in_test_rows_alone_has_the_median_of_the_training_rows(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{'' if n == 5 else n},{ab(n)}")
    dataset = read(path)
    median = np.median([n for n in range(24) if n // 2 % 3 != 2])
    assert [row for row in dataset.test_inputs.tolist() if row[1]] == [[median, 1.0]]
    assert dataset.inputs[:, 1].tolist() == [0.0] * 16


@pytest.mark.parametrize("gap", ["", "?", "NA", "None"])
def test_a_missing_category_is_the_last_category(tmp_path: Path, gap: str) -> None:
    path = write(tmp_path / "a.csv", "x,g,label", lambda n: f"{n},{('z', 'a', gap)[n % 3]},{ab(n)}")
    dataset = read(path)
    expected = [[n, n % 3 == 1, n % 3 == 0, n % 3 == 2] for n in rows_of(dataset)]
    assert dataset.inputs.tolist() == expected


def test_a_hyphen_is_a_category_among_words(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "g,x,label", lambda n: f"{('+', '-')[n % 2]},{n},{ab(n // 2)}")
    assert read(path).inputs[:2].tolist() == [[1, 0, 0], [0, 1, 1]]


def test_rows_with_gaps_are_left_out_or_refused_by_an_option(tmp_path: Path) -> None:
    def row(number: int) -> str:
        x = "" if number == 3 else number
        g = "?" if number == 10 else "mf"[number % 2]
        return f"{x},{g},{ab(number)}"

    path = write(tmp_path / "a.csv", "x,g,label", row)
    dataset = read(path, ",missing=drop")
    assert dataset.inputs.shape[1] == 3
    assert len(dataset.labels) + len(dataset.test_labels) == 22
    assert not {"row 4", "row 11"} & set(dataset.origins)
    assert "Rows with missing values are left out: 2." in dataset.notes
    assert dataset.inputs[:, 0].tolist() == rows_of(dataset)
    assert "must hold a value in every cell, got none in row 4, column 'x'" in refusal(
        path, ",missing=refuse"
    )
    assert read(path, ",missing=drop,drop=g").inputs.shape == (16, 1)


def test_columns_without_values_are_left_out_and_constant_ones_are_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,empty,one,label", lambda n: f"{n},,7,{ab(n)}")
    dataset = read(path)
    assert dataset.inputs[:2].tolist() == [[0, 7], [1, 7]]
    assert "Column 'empty' is left out: without a value." in dataset.notes
    assert "Column 'one' is constant in the training rows." in dataset.notes
    only_test = write(
        tmp_path / "b.csv", "x,y,label", lambda n: f"{n},{n if n // 2 % 3 == 2 else ''},{ab(n)}"
    )
    assert read(only_test).inputs.shape == (16, 1)


def test_a_typing_error_in_a_column_of_numbers_is_refused(tmp_path: Path) -> None:
    for number, text in enumerate(("l2", "12 kg", "1.2.3", "0x1F", "1_000", "--5", "12?")):
        path = write(
            tmp_path / f"{number}.csv",
            "x;label",
            lambda n, text=text: f"{text if n == 8 else n};{ab(n)}",
        )
        assert f"got {text!r} in row 9, column 'x'" in refusal(path)
    path = write(tmp_path / "b.csv", "x,label", lambda n: f"{'4?' if n == 8 else n % 7},{ab(n)}")
    assert "got '4?' in row 9, column 'x'" in refusal(path)
    assert read(path, ",categorical=x").inputs.shape[1] == 8


def test_infinity_is_refused(tmp_path: Path) -> None:
    for text in ("inf", "-inf", "Infinity", "1e999", "-Inf"):
        path = write(
            tmp_path / "a.csv", "x,label", lambda n, text=text: f"{text if n == 8 else n},{ab(n)}"
        )
        assert "must hold a finite number in every feature" in refusal(path)
        assert "in row 9, column 'x'" in refusal(path)


def test_too_many_categories_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,g,label", lambda n: f"{n},g{n % 20},{ab(n)}")
    message = refusal(path)
    assert "must have at most 12 categories in a column of 24 rows, got 20 in column 'g'" in message
    assert "drop=g" in message
    assert read(path, ",drop=g").inputs.shape == (16, 1)
    assert read(path, ",most_categories=20").inputs.shape == (16, 21)
    assert "must have at most 19" in refusal(path, ",most_categories=19")
    path = write(tmp_path / "b.csv", "x,g,label", lambda n: f"{n},g{n % 101},{ab(n)}", 300)
    assert "must have at most 100 categories" in refusal(path)
    path = write(tmp_path / "b.csv", "x,g,label", lambda n: f"{n},g{n % 100},{ab(n)}", 300)
    assert read(path).inputs.shape == (200, 101)


def test_numbers_are_categories_by_an_option(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "zip,x,label", lambda n: f"0{n % 3 + 5},{n},{ab(n)}")
    dataset = read(path, ",categorical=zip")
    assert dataset.inputs[:3].tolist() == [[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 2]]
    assert read(path).inputs[:2].tolist() == [[5, 0], [6, 1]]
    assert "did you mean 'zip'" in refusal(path, ",categorical=zap")


@pytest.mark.parametrize(
    "date",
    [
        "2024-05-{:02}",
        "{:02}.05.2024",
        "05/{:02}/24",
        "2024-05-{:02}T10:00:00Z",
        "2024-05-{:02} 10:00",
        "{} May 2024",
        "May {}, 2024",
        "10:{:02}",
        "{}-Jan-2024",
    ],
)
@pytest.mark.parametrize("different", [20, 2])
def test_dates_and_times_are_refused(tmp_path: Path, date: str, different: int) -> None:
    path = write(
        tmp_path / "a.csv",
        "x,when,label",
        lambda n: f'{n},"{date.format(n % different + 1)}",{ab(n)}',
    )
    message = refusal(path)
    assert "must hold numbers or categories, not dates or times" in message
    assert "drop=when" in message
    assert read(path, ",drop=when").inputs.shape == (16, 1)


def test_columns_are_left_out_by_an_option(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,a|b,c d,label", lambda n: f"{n},{n * 2},{n * 3},{ab(n)}")
    assert read(path, ",drop=c d|x").inputs[:2].tolist() == [[0], [2]]
    assert read(path, ",drop=a|b").inputs[:2].tolist() == [[0, 0], [1, 3]]
    assert "got 'cd'; did you mean 'c d'?" in refusal(path, ",drop=cd")
    assert "must not name the label column" in refusal(path, ",drop=label")


def test_a_header_with_two_equal_names_is_refused(tmp_path: Path) -> None:
    for header in ("x,x,label", "x, x ,label", "x,label,label"):
        path = write(tmp_path / "a.csv", header, lambda n: f"{n},{n},{ab(n)}")
        assert "must have a header with different names, got two columns" in refusal(path)


def test_a_wrong_label_column_is_answered_with_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,income,y", lambda n: f"{n},{ab(n)},{n}")
    message = refusal(path, "#Incom")
    assert "got the columns x, income, y; did you mean 'income'?" in message
    path = write(tmp_path / "b.csv", "x,Label", lambda n: f"{n},{ab(n)}")
    assert "did you mean 'Label'?" in refusal(path)


@pytest.mark.parametrize("cells", ["1,2", "1,2,a,4", "1"])
@pytest.mark.parametrize("row", [0, 1, 23])
def test_rows_of_another_length_are_refused(tmp_path: Path, cells: str, row: int) -> None:
    # An empty last cell in the first row makes pandas fill up short rows without a word.
    path = write(
        tmp_path / "a.csv", "x,y,label", lambda n: cells if n == row else f"{n},{n * n},{ab(n)}"
    )
    assert f"in row {row + 1}" in refusal(path)
    path = write(
        tmp_path / "b.csv", "label,x,y", lambda n: cells if n == row else f"{ab(n)},{n * n},"
    )
    assert "must have a cell for each of the 3 columns" in refusal(path)


def test_a_first_column_is_never_taken_for_the_names_of_rows(tmp_path: Path) -> None:
    for start in (0, 1, 5):
        path = write(tmp_path / "a.csv", "x,label", lambda n, start=start: f"{n + start},{ab(n)},")
        assert "must have a cell for each of the 2 columns" in refusal(path)


def test_rows_of_empty_cells_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{n},{ab(n)}")
    plain = read(path).digest()
    path.write_text(path.read_text() + ",\n , \n")
    assert read(path).digest() == plain


def test_a_quote_that_is_not_closed_is_refused(tmp_path: Path) -> None:
    for row in (3, 23):
        path = write(
            tmp_path / "a.csv", "g,x,label", lambda n, row=row: f"{QUOTE * (n == row)}m,{n},{ab(n)}"
        )
        refusal(path)
    path = write(tmp_path / "b.csv", "g,x,label", lambda n: f"{QUOTE * (n in (3, 9))}m,{n},{ab(n)}")
    assert "must have" in refusal(path)


def test_numbers_have_the_value_of_python(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=24) * 10.0 ** np.arange(-12, 12)
    for form in ("r", ".3e", ".17g", "+.4f"):
        texts = [repr(float(v)) if form == "r" else format(v, form) for v in values]
        path = write(tmp_path / "a.csv", "x,label", lambda n, texts=texts: f"{texts[n]},{ab(n)}")
        dataset = read(path)
        raw = np.array([float(texts[n]) for n in rows_of(dataset)])
        if np.ptp(dataset.inputs) > 1e6:  # not scaled
            np.testing.assert_array_equal(dataset.inputs[:, 0], raw.astype(np.float32))
