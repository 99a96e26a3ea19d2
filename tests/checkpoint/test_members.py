"""Members and non-members in every form, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mgaudit.checkpoint.members import audited_examples, example_indices
from mgaudit.errors import UsageError

MASK = np.isin(np.arange(8), [1, 4, 6])


def test_all_forms_of_members_are_the_same_indices(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", MASK)
    np.save(tmp_path / "indices.npy", np.array([6, 1, 4], dtype=np.int16))
    (tmp_path / "lines.txt").write_text("4\n1\n\n6\n")
    (tmp_path / "column.csv").write_text("member\n6\n4\n1\n")
    (tmp_path / "mask.csv").write_text("\n".join(str(int(bit)) for bit in MASK))
    (tmp_path / "truths.txt").write_text("\n".join(str(bool(bit)) for bit in MASK))
    forms = [
        [6, 1, 4],
        (4, 6, 1),
        np.array([1.0, 4.0, 6.0]),
        MASK,
        MASK.tolist(),
        MASK.astype(int),
        torch.tensor([1, 4, 6]),
        torch.from_numpy(MASK),
        pd.Series([4, 1, 6]),
        "1:2,4:5,6:7",
        *tmp_path.iterdir(),
        *map(str, tmp_path.iterdir()),
    ]
    for form in forms:
        assert example_indices("members", form, 8).tolist() == [1, 4, 6], form
    assert example_indices("members", range(2, 5), 8).tolist() == [2, 3, 4]
    assert example_indices("members", "0:3", 8).tolist() == [0, 1, 2]


def test_zeros_and_ones_for_two_examples_are_indices() -> None:
    assert example_indices("members", [1, 0], 2).tolist() == [0, 1]
    assert example_indices("members", [True, False], 2).tolist() == [0]


def test_all_others_are_non_members_unless_they_are_given() -> None:
    audited = audited_examples([5, 2], None, 6)
    assert audited.indices.tolist() == [0, 1, 2, 3, 4, 5]
    assert audited.is_member.tolist() == [False, False, True, False, False, True]
    audited = audited_examples([5, 2], [4, 0], 6)
    assert audited.indices.tolist() == [0, 2, 4, 5]
    assert audited.is_member.tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("members", "non_members", "key", "texts"),
    [
        ([1, 8], None, "members", ("0..7", "got 8 at index 1")),
        ([-1], None, "members", ("0..7", "-1")),
        ([0.5], None, "members", ("0..7", "0.5")),
        ([float("nan"), 1.0], None, "members", ("nan at index 0",)),
        ([1, 2, 3, 2], None, "members", ("2 twice at index 3",)),
        ([], None, "members", ("empty",)),
        ([True, False], None, "members", ("8 training examples", "2 values")),
        (np.zeros(8, dtype=bool), None, "members", ("at least one",)),
        (np.ones(8, dtype=bool), None, "members", ("leave out", "non-members")),
        (list(range(8)), None, "members", ("leave out",)),
        ([[1, 2]], None, "members", ("one axis", "(1, 2)")),
        (3, None, "members", ("one axis",)),
        ("5:5", None, "members", ("FIRST < END", "5:5")),
        ("0:9", None, "members", ("0..7", "8 in 0:9")),
        (["a", "b"], None, "members", ("'a'",)),
        ("nosuch.npy", None, "members nosuch.npy", ("no such file", "0:600")),
        ([1, 2], [2, 3], "non_members", ("1 that are", "example 2")),
        ([1, 2], [], "non_members", ("empty",)),
        ([1, 2], [9], "non_members", ("0..7",)),
    ],
)
def test_a_mistake_is_one_line(
    members: object, non_members: object, key: str, texts: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError) as caught:
        audited_examples(members, non_members, 8)
    assert caught.value.key == key
    assert all(text in str(caught.value) for text in texts), str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.txt", "1\n9\n", "got 9 in line 2"),
        ("a.txt", "index\n\n1\n1\n", "1 twice in line 4"),
        ("a.csv", "1,0\n2,1\n", "'1, 0' in line 1"),
        ("a.txt", "1 2 3\n", "one number in a line"),
        ("a.txt", "1\nx\n", "'x' in line 2"),
        ("a.txt", "index\n", "at least one"),
        ("a.json", "[1]", ".npy, .txt or .csv"),
        ("a.npy", "1\n2\n", "npy"),
    ],
)
def test_a_mistake_in_a_file_names_the_line(
    tmp_path: Path, name: str, content: str, text: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        example_indices("members", path, 8)
    assert caught.value.key == f"members {path}"
    assert text in str(caught.value)
