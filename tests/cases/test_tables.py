"""Tables that people have: public reports of wrong numbers from tables, and their kinds."""

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgaudit.settings.datasets import load
from tests.cases.table_files import ab, read, refusal, write

# A4: the row index as a feature


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "Unnamed: 0.1"])
def test_a04_row_index_as_feature(tmp_path: Path, name: str) -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"x": draw.normal(size=30), "label": np.repeat(["a", "b"], 15)})
    frame.to_csv(tmp_path / "a.csv", index_label=name)
    frame.to_csv(tmp_path / "plain.csv", index=False)
    dataset = read(tmp_path / "a.csv")
    assert dataset.digest() == read(tmp_path / "plain.csv").digest()
    assert any(repr(name or "Unnamed: 0") in note for note in dataset.notes)
    kept = read(tmp_path / "a.csv", ",index=keep")
    assert kept.inputs.shape[1] == 2
    assert kept.inputs[:, 0].tolist() == [n for n in range(30) if n % 15 % 3 != 2]


@pytest.mark.parametrize(
    "name",
    ["id", "ID", "Id", "index", "PassengerId", "row_id", "sample id", "idx", "row", "nr", "No."],
)
@pytest.mark.parametrize("start", [0, 1])
def test_a04_a_column_that_counts_the_rows(tmp_path: Path, name: str, start: int) -> None:
    path = write(tmp_path / "a.csv", f"x,{name},label", lambda n: f"{n * n},{n + start},{ab(n)}")
    dataset = read(path)
    assert dataset.inputs.shape == (16, 1)
    assert any(repr(name) in note for note in dataset.notes)
    assert read(path, ",index=keep").inputs.shape == (16, 2)


@pytest.mark.parametrize("value", [lambda n: 1000 + 10 * n, lambda n: 99 - n, lambda n: n * 7 % 25])
def test_a04_identifiers_that_do_not_count_are_left_out_too(tmp_path: Path, value) -> None:  # type: ignore[no-untyped-def]
    path = write(tmp_path / "a.csv", "x,customer_id,label", lambda n: f"{n * n},{value(n)},{ab(n)}")
    assert read(path).inputs.shape == (16, 1)


def test_a04_an_index_whose_rows_were_shuffled_or_that_is_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ",x,label", lambda n: f"{n * 7 % 25},{n * n},{ab(n)}")
    assert read(path).inputs.shape == (16, 1)
    path = write(tmp_path / "b.csv", ",x,label", lambda n: f"patient {n},{n * n},{ab(n)}")
    assert read(path).inputs.shape == (16, 1)


def test_a04_the_index_of_r(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '"","x","label"', lambda n: f'"{n + 1}",{n * n},"{ab(n)}"')
    assert read(path).inputs.shape == (16, 1)
    path = write(tmp_path / "b.csv", "X,x,label", lambda n: f"{n + 1},{n * n},{ab(n)}")
    assert read(path).inputs.shape == (16, 1)


def test_a04_measurements_are_features_whatever_their_name(tmp_path: Path) -> None:
    # An id that repeats is that of a group, and whole numbers that count are noted.
    path = write(tmp_path / "a.csv", "group_id,x,label", lambda n: f"{n % 5},{n},{ab(n)}")
    dataset = read(path)
    assert dataset.inputs.shape == (16, 2)
    assert any("'group_id', 'x' may identify" in note for note in dataset.notes)
    path = write(tmp_path / "b.csv", "index,label", lambda n: f"{n + 0.5},{ab(n)}")
    assert read(path).inputs.shape == (16, 1)


def test_a04_a_column_without_a_name_that_is_no_index_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,,label", lambda n: f"{n},{n * n},{ab(n)}")
    assert "must have a header that names every column" in refusal(path)
    assert read(path, ",drop=Unnamed: 1").inputs.shape == (16, 1)


def test_a04_texts_that_differ_in_every_row_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,name,label", lambda n: f"{n * n},person {n},{ab(n)}")
    dataset = read(path)
    assert dataset.inputs.shape == (16, 1)
    assert any("'name'" in note for note in dataset.notes)


# A5: the table Adult


ADULT = "age, workclass, income"


def adult(number: int) -> str:
    work = ("Private", "?", "State-gov", "Private")[number % 4]
    return f"{20 + number * 7 % 31}, {work}, {('<=50K', '>50K')[number % 2]}"


def test_a05_blanks_after_commas_and_question_marks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ADULT, adult)
    dataset = read(path, "#income")
    assert dataset.classes == ("<=50K", ">50K")
    # age; the categories Private and State-gov; and the missing category
    rows = [int(origin.removeprefix("row ")) - 1 for origin in dataset.origins]
    expected = [[20 + n * 7 % 31, n % 4 in (0, 3), n % 4 == 2, n % 4 == 1] for n in rows]
    assert dataset.inputs.tolist() == expected
    assert read(path, ",label= income ").digest() == dataset.digest()


def test_a05_a_class_with_a_full_stop_is_not_another_class(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ADULT, lambda n: adult(n) + "." * (n >= 12))
    message = refusal(path, "#income")
    assert "got '<=50K' in row 1 and '<=50K.' in row 13" in message
    assert "labels=merge" in message
    assert read(path, "#income,labels=merge").classes == ("<=50K", ">50K")
    assert len(read(path, "#income,labels=keep").classes) == 4


@pytest.mark.parametrize("end", ["", " ", "  "])
def test_a05_blanks_around_cells_are_no_part_of_them(tmp_path: Path, end: str) -> None:
    plain = write(tmp_path / "a.csv", "x,g,label", lambda n: f"{n * n},{'mf'[n % 2]},{ab(n)}")
    path = write(
        tmp_path / "b.csv",
        f"x{end}, g{end},  label{end}",
        lambda n: f" {n * n}{end}, {'mf'[n % 2]}{end}, {ab(n)}{end if n % 3 else ''}",
    )
    assert read(path).digest() == read(plain).digest()


# A23: regression


@pytest.mark.parametrize(
    "target",
    [
        lambda n: f"{n * 0.37}",
        lambda n: f"{n % 5}.5",
        lambda n: f"{n}e-1",
        lambda n: f"-{n}.25",
        lambda n: f"{100 + n * n}",
        lambda n: f"{1000 * n}.0",
    ],
)
def test_a23_regression_targets_are_named(tmp_path: Path, target) -> None:  # type: ignore[no-untyped-def]
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{n * n},{target(n)}", 60)
    message = refusal(path)
    assert "looks like a regression target" in message or "look like a regression" in message
    assert "labels=keep" in message


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (lambda n: n % 3, ("0", "1", "2")),
        (lambda n: f"{n % 3}.0", ("0.0", "1.0", "2.0")),
        (lambda n: n % 2 * 2 - 1, ("-1", "1")),
        (lambda n: n % 2 == 0, ("False", "True")),
        (lambda n: 2**60 + n % 2, (str(2**60), str(2**60 + 1))),
        (lambda n: f"{n % 3} stars", ("0 stars", "1 stars", "2 stars")),
        (lambda n: n % 20, tuple(map(str, range(20)))),
        (lambda n: 10 * (n % 20), tuple(str(10 * number) for number in range(20))),
    ],
)
def test_a23_labels_of_every_type_are_classes(tmp_path: Path, target, classes) -> None:  # type: ignore[no-untyped-def]
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{n * n},{target(n)}", 60)
    dataset = read(path)
    assert dataset.classes == classes
    rows = [int(origin.removeprefix("row ")) - 1 for origin in dataset.origins]
    assert [dataset.classes[label] for label in dataset.labels] == [str(target(n)) for n in rows]


def test_a23_many_class_numbers_with_few_rows_each_are_classes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{n * n},{n % 100}", 300)
    assert read(path).classes == tuple(map(str, range(100)))


# B4: columns far from zero


def test_b04_time_stamps_keep_their_resolution(tmp_path: Path) -> None:
    time = lambda n: 1_700_000_000 + n * 37 % 101 + 0.5 * (n % 2)  # noqa: E731
    path = write(tmp_path / "a.csv", "time,x,label", lambda n: f"{time(n)},{n * n},{ab(n)}", 200)
    dataset = read(path)
    rows = [int(origin.removeprefix("row ")) - 1 for origin in dataset.origins]
    times = np.array([time(n) for n in rows])
    assert len(np.unique(dataset.inputs[:, 0])) == len(np.unique(times))
    standardised = (times - times.mean()) / times.std()
    np.testing.assert_allclose(dataset.standardised().inputs[:, 0], standardised, atol=1e-5)
    assert dataset.inputs[:, 1].tolist() == [n * n for n in rows]  # this one as it is


@pytest.mark.parametrize("start", [2**53, 2**60, -(2**62), 2**63])
@pytest.mark.parametrize("gap", [False, True])
def test_b04_whole_numbers_beyond_float64_are_exact(tmp_path: Path, start: int, gap: bool) -> None:
    def row(number: int) -> str:
        value = "" if gap and number == 4 else start + number * number
        return f"{value},{ab(number)}"

    dataset = read(write(tmp_path / "a.csv", "x,label", row))
    rows = [int(origin.removeprefix("row ")) - 1 for origin in dataset.origins]
    known = [position for position, n in enumerate(rows) if not (gap and n == 4)]
    squares = np.array([n * n for n in rows])[known]
    inputs = dataset.inputs[known, 0]
    assert len(np.unique(inputs)) == len(np.unique(squares))
    assert np.corrcoef(inputs, squares)[0, 1] > 1 - 1e-9


def test_b04_whole_numbers_that_no_type_has_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{10**20 + n * n},{ab(n)}")
    assert f"got {10**20 + 1} in row 2, column 'x'" in refusal(path)
    path = write(tmp_path / "b.csv", "x,label", lambda n: f"{2**53 + n * n},{ab(n)}\n0.5,a", 4)
    assert "must hold numbers that float64 can represent" in refusal(path)


# B6: labels that differ only in form


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("yes", "Yes"),
        ("yes", "YES"),
        ("yes", "yes."),
        ("true", "True"),
        ("1", "1.0"),
        ("1", "01"),
        ("1", "1e0"),
        ("iris_setosa", "iris setosa"),
        ("iris-setosa", "Iris Setosa"),
        ("Iris  setosa", "Iris setosa"),
        ("'yes'", "yes"),
        ("“yes”", "yes"),
        ("caf\u00e9", "cafe\u0301"),
        ("\uff59es", "yes"),
        ("y\u200bes", "yes"),
        ("straße", "STRASSE"),
        ("> 50K", ">50K"),
        ("a\u2013b", "a-b"),
        ("new\u00a0york", "new york"),
    ],
)
def test_b06_labels_that_differ_only_in_form(tmp_path: Path, first: str, second: str) -> None:
    other = "other" if not first[0].isdigit() else "7"

    def row(number: int) -> str:
        return f"{number * number},{other if number % 2 else (first, second)[number >= 12]}"

    path = write(tmp_path / "a.csv", "x,label", row, 22)
    message = refusal(path)
    assert "must have one spelling of each class" in message
    assert "in row 1 and" in message
    assert "in row 13" in message
    merged = read(path, ",labels=merge")
    assert len(merged.classes) == 2
    assert first in merged.classes  # the more frequent form
    assert any("differ only in form" in note for note in merged.notes)
    assert len(read(path, ",labels=keep").classes) == 3


def test_b06_blanks_around_labels_make_no_difference(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", "x,label", lambda n: f"{n * n},{['no', 'yes', 'no ', ' yes'][n % 4]}"
    )
    assert read(path).classes == ("no", "yes")


@pytest.mark.parametrize(
    "classes",
    [
        ("A", "A-", "A+"),
        ("C", "C++", "C#"),
        ("-1", "1"),
        ("1_0", "10"),
        ("a", "a b"),
        ("1", "1.5 kg"),
    ],
)
def test_b06_different_classes_stay_different(tmp_path: Path, classes: tuple[str, ...]) -> None:
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{n * n},{classes[n % len(classes)]}")
    assert set(read(path).classes) == set(classes)


# B7: classes named None, NA and null


@pytest.mark.parametrize("name", ["None", "none", "missing"])
def test_b07_a_class_named_none(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{n * n},{(name, 'mild')[n % 2]}")
    dataset = read(path)
    assert set(dataset.classes) == {name, "mild"}
    noted = any("not as a missing value" in note for note in dataset.notes)
    assert noted == (name == "None")


@pytest.mark.parametrize("name", ["NA", "null", "N/A", "NULL"])
def test_b07_labels_that_programs_write_for_missing_are_classes_on_request(
    tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{n * n},{(name, 'mild')[n % 2]}")
    message = refusal(path)
    assert f"must hold a class in every row, got {name!r} in row 1" in message
    assert "labels=keep" in message
    assert set(read(path, ",labels=keep").classes) == {name, "mild"}


def test_b04_rows_that_are_equal_in_float32_stay_on_one_side(tmp_path: Path) -> None:
    def row(n: int) -> str:
        return f"{(5, 1_700_000_000)[n // 2 % 2] + 10 * n},{n % 3},{ab(n)}"

    dataset = read(write(tmp_path / "a.csv", "t,v,label", row, 400))
    assert len(dataset.test_labels) == 133
    trained = {values.tobytes() for values in dataset.inputs}
    assert not trained & {values.tobytes() for values in dataset.test_inputs}
    assert any("float32" in note and "t" in note for note in dataset.notes)


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u2009", "\u202f"])
def test_b09_every_blank_is_a_thousands_mark(tmp_path: Path, blank: str) -> None:
    path = write(tmp_path / "a.csv", "x;label", lambda n: f"1{blank}{n:03d};{ab(n)}")
    assert read(path, ",thousands=space").inputs[0, 0] == 1000
    assert "thousands=" in refusal(path)


@pytest.mark.parametrize("text", ["", "?", "nan", "NaN", "NA", "None", "<NA>", "  "])
def test_b07_a_missing_label_is_refused_with_its_row(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{n},{text if n == 6 else ab(n)}")
    message = refusal(path)
    assert "in row 7" in message
    assert "label" in message


def test_b07_labels_that_are_missing_in_several_rows_are_refused(tmp_path: Path) -> None:
    # Numbers with NA are numbers with gaps, however many.
    path = write(tmp_path / "b.csv", "x,label", lambda n: f"{n},{(0, 1, 'NA')[n % 3]}")
    assert "must hold a class in every row, got 'NA' in row 3" in refusal(path)
    # An empty cell shows that the file leaves missing labels empty.
    path = write(tmp_path / "c.csv", "x,label", lambda n: f"{n},{('a', 'NA', '')[n % 3]}")
    assert "none in row 3" in refusal(path)


# B8: repeated rows in one table


def test_b08_rows_with_equal_features_stay_on_one_side(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    values = draw.integers(0, 12, (120, 2))
    path = write(
        tmp_path / "a.csv",
        "x,y,label",
        lambda n: f"{values[n][0] // 6},{values[n][1]},{ab(n)}",
        120,
    )
    dataset = read(path)
    train = {tuple(row) for row in dataset.inputs.tolist()}
    assert not train & {tuple(row) for row in dataset.test_inputs.tolist()}
    assert any("equal rows on one side" in note for note in dataset.notes)
    assert 20 <= len(dataset.test_labels) <= 60


def test_b08_one_row_that_is_repeated_changes_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{n if n != 4 else 2},{ab(n)}")
    dataset = read(path)
    assert len(dataset.test_labels) in (7, 8, 9)
    assert {2.0} <= set(dataset.inputs[:, 0].tolist()) ^ set(dataset.test_inputs[:, 0].tolist())


def test_b08_rows_with_gaps_can_be_equal_too(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        "x,g,label",
        lambda n: f"{'' if n < 9 else n},{'' if n < 9 else 'm'},a\n{n + 100},f,b",
        18,
    )
    dataset = read(path)
    gaps = [row for row in (*dataset.inputs.tolist(), *dataset.test_inputs.tolist()) if row[1]]
    assert len(gaps) == 9
    sides = [any(row[1] for row in side.tolist()) for side in (dataset.inputs, dataset.test_inputs)]
    assert sorted(sides) == [False, True]


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.7])
def test_b08_the_split_is_the_same_for_all_seeds_and_has_the_share(
    tmp_path: Path, fraction: float
) -> None:
    path = write(tmp_path / "a.csv", "x,label", lambda n: f"{n * n},{'aab'[n % 3]}", 180)
    draws = [
        load(f"csv:{path},test_fraction={fraction}", None, np.random.default_rng(seed))
        for seed in range(3)
    ]
    for dataset in draws:
        np.testing.assert_array_equal(dataset.test_inputs, draws[0].test_inputs)
    assert np.bincount(draws[0].test_labels).tolist() == [
        round(120 * fraction),
        round(60 * fraction),
    ]


def test_b08_a_split_column_has_words_of_every_form(tmp_path: Path) -> None:
    words = ("train", "Train", "test", "training", " TEST ", "'test'")
    path = write(tmp_path / "a.csv", "x,label,split", lambda n: f"{n},{ab(n // 6)},{words[n % 6]}")
    assert read(path).test_inputs[:, 0].tolist() == [n for n in range(24) if n % 6 in (2, 4, 5)]
    path = write(
        tmp_path / "b.csv",
        "x,label,split",
        lambda n: f"{n},{ab(n // 6)},{('train', 'val', 'test')[n % 3]}",
    )
    assert "got 'val' in row 2; leave these rows out" in refusal(path)
    assert "test_fraction must not be given" in refusal(path, ",test_fraction=0.2")
    assert read(path, ",test_fraction=0.25,drop=split").inputs.shape == (18, 1)
    path = write(
        tmp_path / "c.csv", "x,label,fold", lambda n: f"{n},{ab(n // 6)},{('train', 'test')[n % 2]}"
    )
    assert "must name the column that divides training and test data 'split'" in refusal(path)


# B9: forms of text files


FORMS = {
    "comma": lambda n: f"{n}.5,{'mf'[n % 2]},{ab(n)}",
    "semicolon": lambda n: f"{n},5;{'mf'[n % 2]};{ab(n)}",
    "tab": lambda n: f"{n}.5\t{'mf'[n % 2]}\t{ab(n)}",
    "bar": lambda n: f"{n}.5|{'mf'[n % 2]}|{ab(n)}",
    "blanks": lambda n: f"  {n}.5   {'mf'[n % 2]} \t{ab(n)}",
    "quotes": lambda n: f'"{n}.5","{"mf"[n % 2]}","{ab(n)}"',
}
HEADERS = {"comma": "x,g,label", "semicolon": "x;g;label", "tab": "x\tg\tlabel", "bar": "x|g|label"}
HEADERS |= {"blanks": " x  g label", "quotes": '"x","g","label"'}


@pytest.fixture
def plain_digest(tmp_path: Path) -> str:
    return read(write(tmp_path / "plain.csv", HEADERS["comma"], FORMS["comma"])).digest()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_b09_separators_encodings_and_line_ends(
    tmp_path: Path, plain_digest: str, form: str, encoding: str, line_end: str
) -> None:
    path = write(tmp_path / "a.csv", HEADERS[form], FORMS[form])
    text = path.read_text().replace("\n", line_end)
    bom = "\ufeff" if encoding == "utf-16-le-bom" else ""
    path.write_bytes((bom + text).encode(encoding.removesuffix("-bom")))
    assert read(path).digest() == plain_digest


@pytest.mark.parametrize("form", FORMS)
def test_b09_comments_and_blank_lines(tmp_path: Path, plain_digest: str, form: str) -> None:
    path = write(tmp_path / "a.csv", HEADERS[form], FORMS[form])
    lines = path.read_text().splitlines()
    text = ["# made, by; me|and\tyou", "", "#label", *lines[:4], "", "  ", *lines[4:], "", ""]
    path.write_text("\n".join(text))
    dataset = read(path)
    assert dataset.digest() == plain_digest
    assert any("Comment lines" in note for note in dataset.notes)


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("named", [True, False])
def test_b09_compressed_files(tmp_path: Path, plain_digest: str, ending: str, named: bool) -> None:
    content = (tmp_path / "plain.csv").read_bytes()
    path = tmp_path / (f"a.tsv.{ending}" if named else "a.txt")
    if ending == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("folder/plain.csv", content)
    else:
        path.write_bytes({"gz": gzip, "bz2": bz2, "xz": lzma}[ending].compress(content))
    assert read(path).digest() == plain_digest
    path.write_bytes(path.read_bytes()[:-20])
    assert "must be a compressed file that can be read" in refusal(path)


def test_b09_archives_of_several_files_and_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "")
        archive.writestr("xl/workbook.xml", "")
    assert "save the table as a text file" in refusal(path)
    path.write_bytes(b"PAR1" + bytes(20))
    assert "use --dataset parquet:PATH" in refusal(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    assert "must be a table in a text file" in refusal(path)


def test_b09_latin_1_is_read_and_noted(tmp_path: Path) -> None:
    text = write(tmp_path / "a.csv", "größe,label", lambda n: f"{n},{'äö'[n % 2]}").read_text()
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    dataset = read(tmp_path / "a.csv")
    assert dataset.classes == ("ä", "ö")
    assert any("cp1252" in note for note in dataset.notes)
    (tmp_path / "b.csv").write_bytes(text.encode("cp850"))
    assert read(tmp_path / "b.csv", ",encoding=cp850").digest() == dataset.digest()
    assert "must be in the encoding utf-8" in refusal(tmp_path / "a.csv", ",encoding=utf-8")
    assert "must be the name of an encoding" in refusal(tmp_path / "a.csv", ",encoding=utf-9")


@pytest.mark.parametrize("mark", [",", ".", "'", "space"])
def test_b09_thousands_are_refused_or_read_by_an_option(tmp_path: Path, mark: str) -> None:
    sign = {"space": " "}.get(mark, mark)
    decimal = "," if mark == "." else "."

    def row(number: int) -> str:
        return f"{number + 1}{sign}{number:03}{sign}500{decimal}25;{ab(number)}"

    path = write(tmp_path / "a.csv", "x;label", row)
    assert "must have numbers with the decimal mark" in refusal(path)
    expected = [(n + 1) * 10**6 + n * 10**3 + 500.25 for n in range(24) if n // 2 % 3 != 2]
    inputs = read(path, f",thousands={mark}").inputs[:, 0]
    np.testing.assert_array_equal(inputs, np.array(expected, np.float32))


def test_b09_a_comma_that_may_be_either_mark_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x;label", lambda n: f"{n + 1},234;{ab(n)}")
    assert 'add thousands="," or decimal="," to the path' in refusal(path)
    assert read(path, ",decimal=,").inputs[0, 0] == np.float32(1.234)
    assert read(path, ",thousands=,").inputs[0, 0] == 1234
    # Another column decides.
    path = write(tmp_path / "b.csv", "x;y;label", lambda n: f"{n + 1},234;{n},5;{ab(n)}")
    assert read(path).inputs[0].tolist() == [np.float32(1.234), 0.5]


def test_b09_a_separator_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "x:label", lambda n: f"{n}:{ab(n)}")
    assert "must have the label column 'label'" in refusal(path)
    for name in (":", "tab", r"\t", "semicolon", "blanks"):
        separator = {"tab": "\t", r"\t": "\t", "semicolon": ";", "blanks": "  "}.get(name, name)
        path.write_text(path.read_text().replace(":", separator).replace("\t", separator))
        assert read(path, f",separator={name}").inputs.shape == (16, 1)
        path = write(tmp_path / "a.csv", "x:label", lambda n: f"{n}:{ab(n)}")
    for name in ("ab", "x", "5", '"', "-"):
        assert "separator must be one character" in refusal(
            path, f',separator="{name}"' if name != '"' else ',separator=""""'
        )


def test_b09_the_separator_line_of_excel(tmp_path: Path, plain_digest: str) -> None:
    path = write(tmp_path / "a.csv", HEADERS["semicolon"], FORMS["semicolon"])
    for line in ("sep=;", '"sep=;"', "sep=;;;"):
        (tmp_path / "b.csv").write_text(f"{line}\n{path.read_text()}")
        assert read(tmp_path / "b.csv").digest() == plain_digest


@pytest.mark.parametrize(
    "form", ["{}%", "{}.5 %", "${}", "€ {}", "({}.00)", "'{}'", "−{}", "-$1,{:03}", "{} €"]
)
@pytest.mark.parametrize("different", [5, 24])
def test_b09_numbers_with_other_signs_are_no_categories(
    tmp_path: Path, form: str, different: int
) -> None:
    path = write(tmp_path / "a.csv", "x;label", lambda n: f"{form.format(n % different)};{ab(n)}")
    assert f"got {form.format(0)!r} in row 1, column 'x'; write plain numbers" in refusal(path)


# B10: a label column whose name begins with the mark


@pytest.mark.parametrize("option", [",label=# label", "## label", ',label="# label"'])
def test_b10_a_label_column_named_with_a_hash(tmp_path: Path, option: str) -> None:
    path = write(tmp_path / "a.csv", "# label,x", lambda n: f"{ab(n)},{n * n}")
    plain = write(tmp_path / "b.csv", "label,x", lambda n: f"{ab(n)},{n * n}")
    assert read(path, option).digest() == read(plain).digest()
    path.write_text("# a comment\n" + path.read_text())
    assert read(path, option).digest() == read(plain).digest()


def test_b10_a_hash_before_another_column_or_in_the_middle(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "#x,a#b,label", lambda n: f"{n * n},{ab(n)},{ab(n)}")
    assert read(path, "#label").inputs.shape == (16, 3)
    assert read(path, "#a#b").inputs.shape == (16, 3)


# A file without a header: its first row would be lost


@pytest.mark.parametrize("first", ["0.5,a", "3,7"])
def test_a05_a_file_without_a_header_is_refused(tmp_path: Path, first: str) -> None:
    value, label = first.split(",")
    path = write(tmp_path / "a.csv", first, lambda n: f"{n + float(value)},{label if n % 2 else 9}")
    assert "must have a header" in refusal(path, f"#{label}")


@pytest.mark.parametrize("name", ["fold", "is_train", "Is_Test"])
def test_a05_other_divisions_of_the_rows_are_no_features(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.csv", f"x,{name},label", lambda n: f"{n * n},{n // 2 % 2},{ab(n)}")
    assert f"drop={name}" in refusal(path)
    assert read(path, f",drop={name}").input_shape == (1,)


def test_b09_codes_keep_their_leading_zeros_as_categories(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "zip,x,label", lambda n: f"{('01', '1')[n % 2]},{n},{ab(n)}")
    assert read(path, ",categorical=zip").input_shape == (3,)
