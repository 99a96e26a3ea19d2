"""Folders are listed that another process may remove."""

import os
from pathlib import Path

import pytest

from mgaudit.storage import listing
from mgaudit.storage.atomic import sweep_partial, write_atomically, write_with_folder
from mgaudit.storage.listing import paths_in


def test_the_paths_of_matching_names_are_sorted(tmp_path: Path) -> None:
    for name in ("b.txt", ".a.txt", "a.txt", "a.md"):
        (tmp_path / name).touch()
    (tmp_path / "c.txt").mkdir()
    assert [path.name for path in paths_in(tmp_path, "*.txt")] == [
        ".a.txt",
        "a.txt",
        "b.txt",
        "c.txt",
    ]
    assert paths_in(tmp_path, ".*.txt") == [tmp_path / ".a.txt"]


def test_what_is_no_folder_has_no_paths(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert paths_in(tmp_path / "file", "*") == paths_in(tmp_path / "nothing", "*") == []


def test_a_folder_that_is_removed_while_remnants_are_sought_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ab"

    def listdir_after_removal(path: Path) -> list[str]:
        path.rmdir()
        return os.listdir(path)

    with monkeypatch.context() as patch:
        patch.setattr(listing, "listdir", listdir_after_removal)
        folder.mkdir()
        sweep_partial(folder)
        folder.mkdir()
        write_with_folder(folder / "file", b"content", write_atomically)
    assert (folder / "file").read_bytes() == b"content"
