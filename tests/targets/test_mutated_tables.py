"""Tables in every usual form are read as pandas reads them with explicit arguments, or refused."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgaudit.errors import UsageError
from mgaudit.settings.datasets import load

GAPS = ("", "?", "NA", "NaN", "null", "None", "N/A", "nan")
KINDS = ("whole", "real", "large", "flag", "word", "binary")
CLASSES = (("a", "b"), ("0", "1"), ("yes", "no", "may be"), ("-1", "1"), ("True", "False"))
NAMES = ("size", "a b", "größe", "x#1", "x=1", "income ($)", "it's", "T°", "c/d", "w,h", "2")


@dataclass(frozen=True)
class Form:
    """How a table is written to a file."""

    separator: str
    decimal: str
    encoding: str
    line_end: str
    quoting: int
    padding: str
    comments: int
    index: bool
    blank_lines: bool
    gap: str
    spoiled: str


forms = st.builds(
    Form,
    separator=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    padding=st.sampled_from(["", "", " "]),
    comments=st.integers(0, 2),
    index=st.booleans(),
    blank_lines=st.booleans(),
    gap=st.sampled_from(GAPS),
    spoiled=st.sampled_from(["", "", "", "", "short", "long", "word", "label", "spelling", "inf"]),
)


def cell(kind: str, draw: np.random.Generator, decimal: str) -> str:
    if kind == "whole":
        return str(draw.integers(-50, 50))
    if kind == "real":
        return f"{draw.normal() * 10:.4f}".replace(".", decimal)
    if kind == "large":
        return str(1_700_000_000 + draw.integers(0, 500))
    if kind == "flag":
        return str(draw.choice(["True", "False"]))
    if kind == "word":
        return str(draw.choice(["red", "green blue", "größer", "r, g", "x;y"]))
    return str(draw.choice(["m", "f"]))


def write(path: Path, form: Form, names: list[str], kinds: list[str], draw: Any) -> list[list[str]]:
    """Writes a table and returns its rows; the label column is the one of kind "label"."""
    classes = CLASSES[draw.integers(len(CLASSES))]
    rows = []
    for number in range(int(draw.integers(24, 40))):
        cells = [
            classes[number % len(classes)] if kind == "label" else cell(kind, draw, form.decimal)
            for kind in kinds
        ]
        gaps = draw.random(len(cells)) < 0.1
        cells = [
            form.gap if is_gap and kind != "label" else text
            for text, kind, is_gap in zip(cells, kinds, gaps, strict=True)
        ]
        rows.append(cells)
    if draw.integers(2):
        rows.sort(key=lambda cells: cells[kinds.index("label")])
    spoil(rows, kinds, form.spoiled)
    text = io.StringIO()
    writer = csv.writer(
        text, delimiter=form.separator, quoting=form.quoting, lineterminator=form.line_end
    )
    text.write(f"# a comment; of {form.separator} words, and more{form.line_end}" * form.comments)
    header = [""] * form.index + names
    writer.writerow([f"{form.padding}{name}" if name else "" for name in header])
    for number, cells in enumerate(rows):
        writer.writerow([str(number)] * form.index + [f"{c}{form.padding}" for c in cells])
        if form.blank_lines and number % 7 == 0:
            text.write(form.line_end)
    path.write_bytes(text.getvalue().encode(form.encoding))
    return rows


def spoil(rows: list[list[str]], kinds: list[str], how: str) -> None:
    label = kinds.index("label")
    if how == "short":
        del rows[5][-1]
    elif how == "long":
        rows[5].append("1")
    elif how == "label":
        rows[5][label] = ""
    elif how == "spelling":
        rows[5][label] = f" {rows[5][label].upper()}."
    elif how in ("word", "inf"):
        rows[5][kinds.index("whole")] = "n0ne" if how == "word" else "-inf"


def expected(path: Path, form: Form, names: list[str], train: np.ndarray) -> list[np.ndarray]:
    """Returns the features as pandas gives them (features of rows,), with NaN for `large` ones."""
    table = pd.read_csv(
        path,
        sep=form.separator,
        decimal=form.decimal,
        encoding=form.encoding,
        skiprows=form.comments,
        skipinitialspace=True,
        na_values=[gap + form.padding for gap in GAPS],
        keep_default_na=True,
        index_col=0 if form.index else None,
    )
    table.columns = names
    features = []
    for name in names:
        if name == "label":
            continue
        values = table[name]
        if pd.api.types.is_numeric_dtype(values) and values.dtype != bool:
            filled = values.fillna(values[train].median())
            features.append(filled.to_numpy(np.float64))
        else:
            texts = values.astype(object).map(lambda text: str(text).strip(), na_action="ignore")
            dummies = pd.get_dummies(texts)
            features += [dummies[column].to_numpy(float) for column in sorted(dummies)]
        if values.isna().any():
            features.append(values.isna().to_numpy(float))
    return features


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    form=forms,
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    shuffled=st.randoms(use_true_random=False),
    seed=st.integers(0, 2**32),
)
def test_mutated_tables_are_read_as_pandas_reads_them_or_refused(
    tmp_path: Path, form: Form, kinds: list[str], shuffled: Any, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    kinds = ["label", "whole", *kinds]
    shuffled.shuffle(kinds)
    feature_names = shuffled.sample(NAMES, len(kinds) - 1)
    names = ["label" if kind == "label" else feature_names.pop() for kind in kinds]
    path = tmp_path / "a.csv"
    write(path, form, names, kinds, draw)
    text = f"csv:{path}"
    # The first try is without options. The decimal comma is recognised where commas do not
    # separate cells.
    try:
        dataset = load(text, None, np.random.default_rng(1))
    except UsageError as error:
        message = str(error)
        assert "\n" not in message
        is_ambiguous = form.decimal == "," and form.separator == "," and "real" in kinds
        if form.spoiled or not is_ambiguous:
            assert form.spoiled, message
            return
        dataset = load(f"{text},decimal=,", None, np.random.default_rng(1))
    assert form.spoiled in ("", "spelling"), "a spoiled table was read"
    order = np.argsort(dataset.indices)
    train = np.array([int(dataset.origins[index].removeprefix("row ")) - 1 for index in order])
    count = len(train) + len(dataset.test_labels)
    test = np.setdiff1d(np.arange(count), train)
    if form.line_end == "\r":  # after `skiprows`, pandas loses the first separator of such a header
        text = path.read_bytes().decode(form.encoding).replace("\r", "\n")
        path.write_bytes(text.encode(form.encoding))
    features = expected(path, form, names, train)
    assert dataset.inputs.shape[1] == len(features)
    for number, values in enumerate(features):
        inputs = dataset.inputs[order, number]
        if np.abs(values).max() > 1e9:  # centred and scaled, see test_float32.py
            assert np.corrcoef(inputs, values[train])[0, 1] > 1 - 1e-6
            continue
        np.testing.assert_array_equal(inputs, values[train].astype(np.float32))
        np.testing.assert_array_equal(
            dataset.test_inputs[:, number], values[test].astype(np.float32)
        )
    labels = pd.read_csv(
        path,
        sep=form.separator,
        encoding=form.encoding,
        skiprows=form.comments,
        skipinitialspace=True,
        dtype=str,
        keep_default_na=False,
    ).iloc[:, names.index("label") + form.index]
    texts = labels.str.strip().to_numpy(object)
    assert [dataset.classes[label] for label in dataset.labels[order]] == texts[train].tolist()
    assert [dataset.classes[label] for label in dataset.test_labels] == texts[test].tolist()


TABLES = (
    b"x,g,label\n"
    + b"".join(b"%d.5,%s,%s\n" % (n, b"mf?"[n % 3 :][:1], b"ab"[n % 2 :][:1]) for n in range(12)),
    b"x;g;label\r\n" + b"".join(b"%d,5;m;%d\r\n" % (n, n % 2) for n in range(12)),
    b"# y\nx y label\n" + b"".join(b" %d  1e%d %d\n" % (n * n, n, n % 2) for n in range(12)),
)
PIECES = (
    *(
        b",",
        b";",
        b"\t",
        b'"',
        b"'",
        b"\n",
        b"\r",
        b" ",
        b"#",
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"|",
    ),
    *(b"1e400", b"-", b"inf", b"nan", b"NA", b"9" * 20, b"9007199254740993", b"9" * 5000, b"1,234"),
    *(b"label", b"split", b"train", b"_", b"1.234.567", b"\xe2\x80\x8b", b"\\", b"sep=;\n", b"%"),
)
OPTIONS = (
    *("", ",missing=drop", ",missing=refuse", ",labels=keep", ",labels=merge", ",index=keep"),
    *(",separator=;", ",decimal=,", ",thousands=.", ",thousands=,", ",categorical=x", ",drop=x"),
    *(",test_fraction=0.5", ",encoding=latin-1", ",encoding=utf-16", ",most_categories=500"),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    table=st.sampled_from(TABLES),
    pieces=st.lists(
        st.tuples(st.integers(0, 150), st.integers(0, 3), st.sampled_from(PIECES)), max_size=3
    ),
    options=st.sampled_from(OPTIONS),
)
def test_damaged_tables_are_read_or_refused_in_one_line(
    tmp_path: Path, table: bytes, pieces: list[tuple[int, int, bytes]], options: str
) -> None:
    content = bytearray(table)
    for start, length, piece in pieces:
        content[start : start + length] = piece
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    try:
        dataset = load(f"csv:{path}{options}", None, np.random.default_rng(1))
    except UsageError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    else:
        assert np.isfinite(dataset.inputs).all()
