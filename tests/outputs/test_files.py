"""Tables of scores, npz files, and how the kind of a file is found."""

import gzip
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgaudit.errors import UsageError
from mgaudit.outputs.files import OutputsFile, read_outputs
from mgaudit.targets.arrays import parquet_file
from tests.cases.parquet_files import replace_frame, write, zeros


def refused(path: Path) -> str:
    """Returns the message of the error; it is one line that starts with the path."""
    with pytest.raises(UsageError) as raised:
        read_outputs(path)
    message = str(raised.value)
    assert message.startswith(str(path)), message
    assert "\n" not in message
    return message


def written(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    return path


TABLE = (
    "score,member,model,example,label,group",
    "0.5,1,m10,b,cat,p",
    "1.5,0,m10,a,dog,q",
    "2.5,1,m9,a,dog,q",
    "3.5,0,m9,b,cat,p",
)


def check_table(outputs: OutputsFile) -> None:
    arguments = outputs.arguments
    assert arguments["scores"].tolist() == [[3.5, 2.5], [0.5, 1.5]]
    assert arguments["membership"].tolist() == [[False, True], [True, False]]
    assert arguments["labels"].tolist() == [0, 1]
    assert arguments["groups"].tolist() == ["p", "q"]
    assert outputs.classes == ("cat", "dog")
    assert outputs.models == ("m9", "m10")
    assert outputs.origins == ("example b", "example a")


def test_every_row_is_the_score_of_its_model_and_example(tmp_path: Path) -> None:
    outputs = read_outputs(written(tmp_path / "a.csv", *TABLE))
    assert outputs.kind == "csv"
    check_table(outputs)
    for order in ((0, 4, 1, 3, 2), (0, 1, 3, 4, 2)):
        rows = [TABLE[row] for row in order]
        outputs = read_outputs(written(tmp_path / "a.csv", *rows))
        names = [origin.removeprefix("example ") for origin in outputs.origins]
        scores = outputs.arguments["scores"][:, [names.index("b"), names.index("a")]]
        assert scores.tolist() == [[3.5, 2.5], [0.5, 1.5]]


@pytest.mark.parametrize("separator", [",", ";", "\t", " , "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separator_and_encoding_are_found(tmp_path: Path, separator: str, encoding: str) -> None:
    lines = [line.replace(",", separator) for line in TABLE]
    lines[0] = lines[0].upper()
    path = written(tmp_path / "a.csv", "", lines[0], "", *lines[1:], "  ", encoding=encoding)
    check_table(read_outputs(path))


def test_compressed_files_and_other_suffixes_are_read(tmp_path: Path) -> None:
    content = written(tmp_path / "a.TSV", *TABLE).read_bytes()
    check_table(read_outputs(tmp_path / "a.TSV"))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content))
    check_table(read_outputs(tmp_path / "a.csv.gz"))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(content)[:-20])
    assert "must be a complete file" in refused(tmp_path / "b.csv.gz")


def test_a_table_of_one_model_needs_no_names(tmp_path: Path) -> None:
    lines = ["note,score,member", ",1e-3,IN", "", "x, -2 ,Out", '"y\nz",3,in']
    outputs = read_outputs(written(tmp_path / "a.csv", *lines))
    assert outputs.arguments["scores"].tolist() == [[0.001, -2.0, 3.0]]
    assert outputs.arguments["membership"].tolist() == [[True, False, True]]
    assert outputs.origins == ("line 2", "line 4", "line 6")
    assert "left out the columns note" in outputs.description
    assert set(outputs.arguments) == {"scores", "membership"}


@pytest.mark.parametrize(
    ("member", "non_member"),
    [
        ("true", "false"),
        ("YES", "No"),
        ("1", "0"),
        ("1.0", "0.0"),
        ("in", "out"),
        ("Member", "non-member"),
        ("member", "Non_Member"),
        ("member", "nonmember"),
    ],
)
def test_membership_has_many_words(tmp_path: Path, member: str, non_member: str) -> None:
    path = written(tmp_path / "a.csv", "score,member", f"1,{non_member}", f"2,{member}")
    assert read_outputs(path).arguments["membership"].tolist() == [[False, True]]


def test_classes_are_in_natural_order(tmp_path: Path) -> None:
    lines = ["score,member,label", "1,1,10", "2,0,9", "3,1,2"]
    outputs = read_outputs(written(tmp_path / "a.csv", *lines))
    assert outputs.classes == ("2", "9", "10")
    assert outputs.arguments["labels"].tolist() == [2, 1, 0]


def test_a_long_table_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgaudit.outputs.csv_table.CHUNK", 2)
    check_table(read_outputs(written(tmp_path / "a.csv", *TABLE)))
    path = written(tmp_path / "a.csv", *TABLE[:4], "3.5,0,m9,b,cat,")
    assert "line 5, column 'group' must have a value in every row, got none" in refused(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({2: "x,0,m10,a,dog,q"}, ["line 3, column 'score' must be a finite number, got 'x'"]),
        ({2: ",0,m10,a,dog,q"}, ["line 3, column 'score'", "got none"]),
        ({2: "nan,0,m10,a,dog,q"}, ["line 3, column 'score'", "got nan"]),
        ({4: "-inf,0,m9,b,cat,p"}, ["line 5, column 'score'", "got -inf"]),
        ({2: '"1,5",0,m10,a,dog,q'}, ["line 3, column 'score'", "'1,5'", "decimal points"]),
        ({3: "2.5,maybe,m9,a,dog,q"}, ["line 4, column 'member'", "'maybe'", "true or false"]),
        ({3: "2.5,-1,m9,a,dog,q"}, ["line 4, column 'member'", "'-1'"]),
        ({3: "2.5,,m9,a,dog,q"}, ["line 4, column 'member'", "none"]),
        ({3: "2.5,1,m9, ,dog,q"}, ["line 4, column 'example'", "none"]),
        ({3: "2.5,1,m9,b,dog,q"}, ["two for model 'm9', example 'b', in line 4 and line 5"]),
        ({3: ""}, ["none for model 'm9', example 'a'"]),
        ({3: "2.5,1,m9,c,dog,q"}, ["none for model 'm9', example 'a'"]),
        ({1: "0.5,1,m10,b,dog,p"}, ["line 2, column 'label'", "example 'b'", "'cat' in line 5"]),
        ({1: "0.5,1,m10,b,cat,q"}, ["line 2, column 'group'", "example 'b'", "'p' in line 5"]),
        ({1: "0.5,1,m10,b,Cat,p"}, ["line 5, column 'label'", "'cat', and 'Cat' in line 2"]),
        ({3: "2.5,0,m9,a,dog,q"}, ["0 members of 2 examples for model 'm9'"]),
        ({2: "1.5,0,m10,a,dog"}, ["6 cells", "5 in line 3"]),
        ({2: "1.5,0,m10,a,dog,q,"}, ["6 cells", "7 in line 3"]),
        ({4: '3.5,0,m9,b,"cat,p'}, ["line 5"]),
        ({0: "score,in_train,model,example,label,group"}, ["column 'member'", "'in_train'"]),
        ({0: "scores,member,model,example,label,group"}, ["did you mean 'score'?"]),
        ({0: "score,member,model,exmaple,label,group"}, ["did you mean 'example'?"]),
        ({0: "score,member,model,example,label,Score"}, ["'score' 2 times"]),
        ({0: "score,member,model,id,label,group"}, ["column 'example'", "2 models"]),
        ({0: ""}, ["'0.5'", "begin the file with a header"]),
        ({0: "score member"}, ["'score member'", "commas"]),
        ({1: "", 2: "", 3: "", 4: ""}, ["rows below the header"]),
    ],
)
def test_a_wrong_table_is_refused_with_line_and_column(
    tmp_path: Path, change: dict[int, str], words: list[str]
) -> None:
    lines = [change.get(row, line) for row, line in enumerate(TABLE)]
    message = refused(written(tmp_path / "a.csv", *lines))
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"\n\n", "an empty file"),
        (b'""\n', "an empty file"),
        (b"score,member\n", "rows below the header"),
        ("score,member\n1,1\n2,0\n".encode("utf-16-be"), "UTF-8"),
        ("score,member,label\n1,1,é\n2,0,e\n".encode("latin-1"), "UTF-8"),
        (b"PK\x03\x04\xff\xfe\x00\x00", "UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert words in refused(tmp_path / "a.csv")


def test_classes_that_are_equal_as_numbers_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "score,member,label", "1,1,1", "2,0,1.0")
    assert "line 3, column 'label'" in refused(path)


def frame() -> pd.DataFrame:
    return pd.read_csv(io.StringIO("\n".join(TABLE)), dtype={"member": bool})


def test_parquet_columns_have_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")
    replace_frame(monkeypatch, frame())
    check_table(read_outputs(path))
    indexed = frame().astype({"label": "category", "score": "Float64"}).set_index("example")
    replace_frame(monkeypatch, indexed)
    outputs = read_outputs(path)
    assert outputs.kind == "parquet"
    check_table(outputs)
    for column in ("score", "label", "member"):
        missing = frame().astype({"member": object})
        missing.loc[2, column] = None
        replace_frame(monkeypatch, missing)
        message = refused(path)
        assert f"row 3, column '{column}' must" in message
        assert "got none" in message
    replace_frame(monkeypatch, frame().astype({"score": str}))
    check_table(read_outputs(path))
    no_number = frame().astype({"score": str})
    no_number.loc[1, "score"] = "high"
    replace_frame(monkeypatch, no_number)
    assert "row 2, column 'score' must be a finite number, got 'high'" in refused(path)
    no_text = frame()
    no_text["label"] = [[1], [2], [2], [1]]
    replace_frame(monkeypatch, no_text)
    assert "column 'label' must be a number or a text, got [1]" in refused(path)


def test_parquet_without_a_library_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> pd.DataFrame:
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(parquet_file, "_frame", read)
    path = write(tmp_path / "a.parquet", 3, score=zeros(3))
    assert "needs pyarrow or fastparquet to be read" in refused(path)


LOGITS = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float16)
ARRAYS = {
    "logits": LOGITS,
    "labels": np.array([0, 1, 2, 0, 1]),
    "membership": np.array([[1, 0, 1, 0, 1], [0, 1, 0, 1, 0]], dtype=bool),
}


def saved(path: Path, **arrays: object) -> Path:
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_an_npz_file_are_arguments(tmp_path: Path, save: object) -> None:
    assert callable(save)
    path = tmp_path / "a.npz"
    save(path, groups=np.array(["a", "a", "b", "b", "c"]), **ARRAYS)
    outputs = read_outputs(path)
    assert outputs.kind == "npz"
    assert set(outputs.arguments) == {*ARRAYS, "groups"}
    for name, array in ARRAYS.items():
        assert outputs.arguments[name].dtype == array.dtype
        assert np.array_equal(outputs.arguments[name], array)
    assert "logits (2, 5, 3)" in outputs.description


def test_probabilities_are_logits_with_their_kind(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "a.npz",
        probabilities=LOGITS,
        population_probabilities=LOGITS[:, 1:],
        population_labels=ARRAYS["labels"][1:],
        labels=ARRAYS["labels"],
        membership=ARRAYS["membership"],
    )
    arguments = read_outputs(path).arguments
    assert arguments["outputs"] == "probabilities"
    assert np.array_equal(arguments["logits"], LOGITS)
    assert np.array_equal(arguments["population_logits"], LOGITS[:, 1:])
    assert "probabilities" not in arguments


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"logits": None}, ["one of the arrays logits, probabilities, confidences, scores"]),
        ({"scores": LOGITS}, ["one of the arrays", "logits, scores"]),
        ({"labels": None}, ["'labels'", "only logits, membership"]),
        ({"membership": None}, ["'membership'"]),
        ({"membership": None, "member": LOGITS}, ["'member'", "did you mean 'membership'?"]),
        ({"keep": LOGITS}, ["'keep'", "rename it to 'membership'"]),
        ({"Logits": LOGITS}, ["'Logits'", "did you mean 'logits'?"]),
        ({"arr_0": LOGITS}, ["'arr_0'", "numpy.savez(path, logits="]),
        ({"population_logits": LOGITS}, ["'population_labels'"]),
        ({"population_labels": LOGITS}, ["'population_logits'"]),
        ({"population_confidences": LOGITS}, ["population_logits"]),
        ({"groups": np.array(["a", 1, None], dtype=object)}, [": groups", "no Python objects"]),
        ({"labels": np.zeros(2, dtype=[("a", int)])}, [": labels", "records"]),
    ],
)
def test_a_wrong_npz_file_is_refused(
    tmp_path: Path, change: dict[str, object], words: list[str]
) -> None:
    message = refused(saved(tmp_path / "a.npz", **{**ARRAYS, **change}))
    for word in words:
        assert word in message, message


def test_a_damaged_npz_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", **ARRAYS)
    content = path.read_bytes()
    for cut in (0, 10, len(content) // 2, len(content) - 10):
        path.write_bytes(content[:cut])
        assert "must be an npz archive" in refused(path)
    start = content.index(LOGITS.tobytes()[:20])
    path.write_bytes(content[:start] + b"\xff" + content[start + 1 :])
    assert ": logits must be an array, got Bad CRC-32" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", b"x")
    assert "must have only arrays, got the file 'data.pkl'" in refused(path)


def test_an_array_that_claims_more_numbers_than_it_has_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    shape = (10**6, 10**6)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    path = saved(tmp_path / "a.npz", labels=ARRAYS["labels"], membership=ARRAYS["membership"])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("logits.npy", header.getvalue())
    assert ": logits must have 8000000000000 bytes" in refused(path)


def test_the_kind_of_a_file_is_found(tmp_path: Path) -> None:
    saved(tmp_path / "a.npz", **ARRAYS).rename(tmp_path / "outputs")
    assert read_outputs(tmp_path / "outputs").kind == "npz"
    (tmp_path / "a.pt").write_bytes(b"PK\x03\x04")
    assert "suffix '.pt'" in refused(tmp_path / "a.pt")
    assert "did you mean 'outputs'?" in refused(tmp_path / "output")
    assert "must have experiments" in refused(tmp_path)
    strange = tmp_path / os.fsdecode(b"\xff.csv")
    written(strange, *TABLE)
    read_outputs(strange).description.encode()
