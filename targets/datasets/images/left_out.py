"""Files of a dataset that are not read, and the notes that name them."""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from mgaudit.targets.datasets.images.printable_names import printable

MOST_LEFT_OUT = 10  # names in the note on files that are left out
MOST_NAMES = 3  # names in other notes


class Reason(Enum):
    """Why files are left out. The values end the notes on one file and on several files."""

    HIDDEN = (
        "hidden file or file of the system or an editor",
        "hidden files and files of the system or an editor",
    )
    NOT_AN_IMAGE = ("file that is not an image", "files that are not images")
    UNREADABLE = ("file that cannot be opened", "files that cannot be opened")
    READ_BEFORE = (
        "link to a folder that is read elsewhere",
        "links to folders that are read elsewhere",
    )
    OUTSIDE = ("file outside of the class folders", "files outside of the class folders")
    OTHER_FOLDER = ("folder beside train and test", "folders beside train and test")


class LeftOut:
    """The files and folders below `root` that are not read, by reason."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths: dict[Reason, list[Path]] = {}

    def add(self, reason: Reason, path: Path) -> None:
        """Records that `path`, which is below the root, is not read."""
        self.paths.setdefault(reason, []).append(path)

    def notes(self) -> tuple[str, ...]:
        """Returns one sentence for each reason, with the names of the first files."""
        notes = []
        for reason in Reason:
            paths = self.paths.get(reason, [])
            if paths:
                singular, plural = reason.value
                count = f"1 {singular}" if len(paths) == 1 else f"{len(paths)} {plural}"
                notes.append(f"left out {count}: {names_of(paths, self.root, MOST_LEFT_OUT)}")
        return tuple(notes)


def names_of(paths: Sequence[Path], root: Path, most: int = MOST_NAMES) -> str:
    """Returns the names of at most `most` paths relative to `root`, and the number of the others.

    >>> names_of([Path("d/cat/1.png"), Path("d/cat/2.png"), Path("d/cat/3.png")], Path("d"), 2)
    'cat/1.png, cat/2.png and 1 more'
    """
    names = [printable(path.relative_to(root).as_posix()) for path in paths[:most]]
    more = len(paths) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
