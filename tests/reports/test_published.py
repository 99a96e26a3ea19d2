"""Fetching without a network: pooch's downloader is replaced by one that writes test files."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.targets.datasets import DATASETS, Reader, published_datasets
from mgaudit.targets.datasets.published import PublishedDataset, PublishedFile

CONTENT = {"a.bin": b"first" * 1000, "b.bin": b"second" * 500}


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def two_files(monkeypatch: pytest.MonkeyPatch) -> PublishedDataset:
    files = tuple(
        PublishedFile(f"https://example.org/data/{name}", md5(content), len(content))
        for name, content in CONTENT.items()
    )
    published = PublishedDataset("two", "example.org", files)
    monkeypatch.setitem(DATASETS, "two", Reader("two", lambda: None, published=published))
    return published


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The files to download by name, which a test may change; `asked` are the requested names."""
    served = dict(CONTENT)

    def download(
        self: Any, url: str, output_file: str, pooch: Any, check_only: bool = False
    ) -> None:
        name = url.rpartition("/")[2]
        if name not in served:
            raise OSError(-2, "Name or service not known")
        Path(output_file).write_bytes(served[name])
        if self.progressbar:  # what pooch itself does
            self.progressbar.total = len(served[name])
            self.progressbar.update(8192)
            self.progressbar.reset()
            self.progressbar.update(len(served[name]))
            self.progressbar.close()

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", download)
    return served


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def states() -> dict[str, str]:
    return {
        entry["name"]: entry["state"]
        for entry in json.loads(mgaudit("data", "list", "--json").stdout)
    }


def test_fetched_files_lie_in_the_cache_and_are_fetched_once(
    two_files: PublishedDataset, web: dict[str, bytes], own_cache: Path
) -> None:
    assert states()["two"] == "not here"
    result = mgaudit("data", "fetch", "two")
    assert result.exit_code == 0, result.output
    folder = own_cache / "datasets" / "two"
    assert result.stdout.splitlines() == [str(folder / "a.bin"), str(folder / "b.bin")]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert states()["two"] == "here"
    web.clear()
    assert mgaudit("data", "fetch", "two", "--quiet").exit_code == 0


def test_the_list_shows_name_state_size_and_source() -> None:
    output = mgaudit("data", "list").stdout
    assert "cifar10" in output
    assert "not here" in output
    assert "170 MB" in output
    assert "www.cs.toronto.edu/~kriz/cifar.html" in output
    assert list(states()) == ["cifar10", "cifar100", "mnist", "fashion-mnist"]


def test_without_a_network_the_url_and_the_place_are_named(
    two_files: PublishedDataset, web: dict[str, bytes], own_cache: Path
) -> None:
    web.clear()
    result = mgaudit("data", "fetch", "two")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: cannot download https://example.org/data/a.bin (Name or service not known); "
        f"get it in another way, put it at {own_cache / 'datasets/two/a.bin'}, and likewise b.bin, "
        "and run `mgaudit data fetch two` again\n"
    )
    for name, content in CONTENT.items():
        (own_cache / "datasets" / "two" / name).write_bytes(content)
    assert mgaudit("data", "fetch", "two").exit_code == 0
    assert states()["two"] == "here"


def test_a_download_that_is_another_file_is_not_kept(
    two_files: PublishedDataset, web: dict[str, bytes], own_cache: Path
) -> None:
    web["b.bin"] = b"<html>moved</html>"
    result = mgaudit("data", "fetch", "two")
    assert result.exit_code == 2
    assert (
        "the file from https://example.org/data/b.bin must have the published md5 "
        f"{md5(CONTENT['b.bin'])}" in result.stderr
    )
    assert result.stderr.count("\n") == 1
    assert [path.name for path in (own_cache / "datasets" / "two").iterdir()] == ["a.bin"]


@pytest.mark.parametrize(
    "put", [CONTENT["b.bin"][:-1], b"another file"], ids=["cut short", "another"]
)
def test_a_file_put_by_hand_with_another_checksum_is_named_and_left_alone(
    two_files: PublishedDataset, web: dict[str, bytes], own_cache: Path, put: bytes
) -> None:
    path = own_cache / "datasets" / "two" / "b.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(put)
    result = mgaudit("data", "fetch", "two")
    assert result.exit_code == 2
    assert (
        f"{path} must have the published md5 {md5(CONTENT['b.bin'])}, got {md5(put)}"
        in result.stderr
    )
    assert (
        f"({len(put)} of 3000 bytes); delete it and run `mgaudit data fetch two`" in result.stderr
    )
    assert path.read_bytes() == put
    assert states()["two"] == "damaged"
    with pytest.raises(ValueError, match="must have the published md5"):
        two_files.verified()


def test_what_cannot_be_fetched_is_refused() -> None:
    result = mgaudit("data", "fetch", "digits")
    assert result.exit_code == 2
    assert (
        "dataset must be one of cifar10, cifar100, mnist, fashion-mnist to be fetched, got 'digits'"
        in result.stderr
    )


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist", "fashion-mnist"])
def test_a_run_never_downloads_and_says_what_to_do(
    name: str, tmp_path: Path, web: dict[str, bytes]
) -> None:
    web |= {file.name: b"" for file in published_datasets()[name].files}
    result = mgaudit("run", "--dataset", name, "--quiet", "--out", str(tmp_path / "runs"))
    assert result.exit_code == 2
    assert f"dataset {name} has not been fetched" in result.stderr
    assert f"run `mgaudit data fetch {name}`" in result.stderr
    assert result.stderr.count("\n") == 1
    assert states()[name] == "not here"


def test_a_reason_is_the_networks_own_word(
    two_files: PublishedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrapped(*_: Any, **__: Any) -> None:
        try:
            raise OSError(-3, "Temporary failure in name resolution")
        except OSError as inner:
            raise OSError(
                "HTTPSConnectionPool(host='example.org'): Max retries exceeded"
            ) from inner

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", wrapped)
    with pytest.raises(OSError, match=r"a\.bin \(Temporary failure in name resolution\); get it"):
        two_files.fetch()


def test_files_of_one_name_do_not_meet() -> None:
    paths = [
        dataset.path(file) for dataset in published_datasets().values() for file in dataset.files
    ]
    assert len(set(paths)) == len(paths) == 10
    assert all(
        len(file.md5) == 32 for dataset in published_datasets().values() for file in dataset.files
    )
    assert (
        replace(published_datasets()["mnist"], name="x")
        .path(published_datasets()["mnist"].files[0])
        .parent.name
        == "x"
    )
