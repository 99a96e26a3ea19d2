"""Datasets that others publish: fetched when the user asks for it, and checked whenever they are read."""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mgaudit.errors import UsageError
from mgaudit.targets.cache import cache_folder


@dataclass(frozen=True)
class PublishedFile:
    """A file at `url` with its published checksum; `size` in bytes is for the reader, and not checked."""

    url: str
    md5: str
    size: int

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class PublishedDataset:
    """The files of a dataset; `source` is where their authors tell of them."""

    name: str
    source: str
    files: tuple[PublishedFile, ...]

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def missing(self) -> list[PublishedFile]:
        """The files that are not here."""
        return [file for file in self.files if not self.path(file).is_file()]

    def path(self, file: PublishedFile) -> Path:
        """Returns where the file is, or would be."""
        return cache_folder() / "datasets" / self.name / file.name

    def state(self) -> Literal["here", "damaged", "not here"]:
        """Returns whether all files are here, and as they were published."""
        if self.missing:
            return "not here"
        try:
            self.verified()
        except UsageError:
            return "damaged"
        return "here"

    def verified(self) -> list[Path]:
        """Returns the paths of the files, none of which was downloaded by this.

        Raises UsageError where a file is not here, or where its checksum is another.
        """
        for file in self.missing:
            rule = f"has not been fetched, there is no file {self.path(file)}"
            way_out = f"run `mgaudit data fetch {self.name}` ({self.size / 1e6:.0f} MB)"
            raise UsageError(f"dataset {self.name}", rule, None, way_out)
        for file in self.files:
            self._check(file)
        return [self.path(file) for file in self.files]

    def fetch(self, progress: Any = None) -> list[Path]:
        """Downloads the files that are not here, checks all, and returns their paths.

        `progress` is told of the bytes as they come: it has `total`, `update(bytes)`, `reset()` and `close()`. Raises
        OSError where a file cannot be downloaded, and UsageError where a checksum is another than the published one.
        """
        for file in self.missing:
            self._download(file, progress)
        return self.verified()

    def _check(self, file: PublishedFile) -> None:
        path = self.path(file)
        with path.open("rb") as content:
            found = hashlib.file_digest(content, "md5").hexdigest()
        if found != file.md5:
            raise UsageError(
                f"dataset {self.name}: {path}",
                f"must have the published md5 {file.md5}",
                f"{found} ({path.stat().st_size} of {file.size} bytes)",
                f"delete it and run `mgaudit data fetch {self.name}`",
            )

    def _download(self, file: PublishedFile, progress: Any) -> None:
        import pooch  # not needed where nothing is downloaded

        pooch.get_logger().setLevel(logging.WARNING)
        path = self.path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            pooch.retrieve(
                file.url,
                known_hash=f"md5:{file.md5}",
                fname=path.name,
                path=path.parent,
                downloader=pooch.HTTPDownloader(progressbar=progress or False),
            )
        except OSError as error:
            others = [other.name for other in self.missing if other != file]
            likewise = f", and likewise {', '.join(others)}" if others else ""
            raise OSError(
                f"cannot download {file.url} ({_reason(error)}); get it in another way, put it at {path}{likewise}, "
                f"and run `mgaudit data fetch {self.name}` again"
            ) from error
        except ValueError as error:
            raise UsageError(
                f"what {file.url} gave",
                f"must have the published md5 {file.md5}",
                "another, and it was not kept",
                f"try again, or get the file in another way and put it at {path}",
            ) from error


def _reason(error: BaseException) -> str:
    """Returns what was wrong at the root: the network's own word, and not those of the libraries around it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
