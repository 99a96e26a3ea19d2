"""Published datasets: downloaded only on request, and verified whenever they are read."""

import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mgaudit.errors import UsageError
from mgaudit.targets.cache import cache_folder


@dataclass(frozen=True)
class PublishedFile:
    """A file at `url` with its published MD5 checksum; `size`, in bytes, is shown, not checked."""

    url: str
    md5: str
    size: int

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class PublishedDataset:
    """The files of a dataset; `source` is the web page of their authors."""

    name: str
    source: str
    files: tuple[PublishedFile, ...]

    @property
    def size(self) -> int:
        """The size of all files together, in bytes."""
        return sum(file.size for file in self.files)

    @property
    def missing(self) -> list[PublishedFile]:
        """The files that have not been downloaded."""
        return [file for file in self.files if not self.path(file).is_file()]

    def path(self, file: PublishedFile) -> Path:
        """Returns the path of the file in the cache directory, whether or not it exists."""
        return cache_folder() / "datasets" / self.name / file.name

    def state(self) -> Literal["here", "damaged", "not here"]:
        """Returns whether all files have been downloaded and have their published checksums."""
        if self.missing:
            return "not here"
        try:
            for file in self.files:
                self._check(file)
        except UsageError:
            return "damaged"
        return "here"

    def verified(self) -> list[Path]:
        """Returns the paths of the files after checking them; nothing is downloaded.

        The times of the files are set, because they say when the dataset was last used.

        Raises:
            UsageError: Where a file is missing or has another checksum.
        """
        for file in self.missing:
            rule = f"has not been fetched, there is no file {self.path(file)}"
            way_out = f"run `mgaudit data fetch {self.name}` ({self.size / 1e6:.0f} MB)"
            raise UsageError(f"dataset {self.name}", rule, None, way_out)
        for file in self.files:
            self._check(file)
            with suppress(OSError):  # of another user, or on a disk that cannot be written
                os.utime(self.path(file))
        return [self.path(file) for file in self.files]

    def fetch(self, progress: Any = None) -> list[Path]:
        """Downloads the missing files, checks all files, and returns their paths.

        `progress`, if given, is a progress bar of pooch, with `total`, `update(bytes)`, `reset()`
        and `close()`.

        Raises:
            OSError: Where a file cannot be downloaded.
            UsageError: Where a checksum differs from the published one.
        """
        for file in self.missing:
            self._download(file, progress)
        return self.verified()

    def _check(self, file: PublishedFile) -> None:
        """Raises UsageError where the file's checksum differs from the published one."""
        path = self.path(file)
        with path.open("rb") as content:
            md5 = hashlib.file_digest(content, "md5").hexdigest()
        if md5 != file.md5:
            raise UsageError(
                f"dataset {self.name}: {path}",
                f"must have the published md5 {file.md5}",
                f"{md5} ({path.stat().st_size} of {file.size} bytes)",
                f"delete it and run `mgaudit data fetch {self.name}`",
            )

    def _download(self, file: PublishedFile, progress: Any) -> None:
        """Downloads a file to its path; the errors are those of `fetch`."""
        import pooch  # imported here because most runs download nothing

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
            others = ", ".join(other.name for other in self.missing if other != file)
            likewise = f", and likewise {others}" if others else ""
            raise OSError(
                f"cannot download {file.url} ({_reason(error)}); "
                f"get it in another way, put it at {path}{likewise}, "
                f"and run `mgaudit data fetch {self.name}` again"
            ) from error
        except ValueError as error:
            raise UsageError(
                f"the file from {file.url}",
                f"must have the published md5 {file.md5}",
                "another, so the file was deleted",
                f"try again, or get the file in another way and put it at {path}",
            ) from error


def _reason(error: BaseException) -> str:
    """Returns the message of the error's root cause, without those of wrapping libraries."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    message = getattr(error, "strerror", None) or " ".join(str(error).split())
    return message or type(error).__name__
