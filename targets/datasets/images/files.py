"""The image files in a folder and its subfolders."""

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from PIL import Image, UnidentifiedImageError

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.images.header import ImageHeader, has_image_suffix, read_header
from mgaudit.targets.datasets.images.left_out import LeftOut, Reason
from mgaudit.targets.datasets.images.printable_names import printable
from mgaudit.targets.limits import IMAGE_FILES, IMAGE_PIXELS
from mgaudit.targets.own_module import one_line

# Names, in lower case, of what systems and archives add to folders. Hidden files begin with a dot.
SYSTEM_NAMES = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle"}
    | {"$recycle.bin", "system volume information", "lost+found", "__pycache__"}
)
BACKUP = re.compile(r".+~|#.+#|.+\.(bak|orig|swp|swo)", re.IGNORECASE | re.DOTALL)
BOMBS = (Image.DecompressionBombWarning, Image.DecompressionBombError)
FolderId = tuple[int, int]  # device and inode


@dataclass(frozen=True)
class ImageFile:
    """An image file with the facts of its header."""

    path: Path
    header: ImageHeader


def image_files(folder: Path, left_out: LeftOut, read_folders: set[FolderId]) -> list[ImageFile]:
    """Returns the images in a folder and in its subfolders, in the order of the bytes of names.

    Args:
        folder: The folder.
        left_out: Every file that is not an image is added to it.
        read_folders: Folders that are read already. Links may lead to them, also in a circle: such
            subfolders are added to `left_out`, and all others are added to this set.

    Raises:
        UsageError: For a file with the suffix of an image that is none, and for a folder that
            cannot be read.
    """
    images = []
    pending = [folder]
    while pending:
        path = pending.pop()
        is_folder = os.path.isdir(path)  # Path.is_dir raises errors for some links
        if path != folder and (is_hidden(path.name) or (not is_folder and is_backup(path.name))):
            left_out.add(Reason.HIDDEN, path)
        elif not is_folder:
            header = _header(path, left_out)
            if header is not None:
                images.append(ImageFile(path, header))
                IMAGE_FILES.check(f"the folder {printable(str(folder))}", len(images))
        elif path != folder and folder_id(path) in read_folders:
            left_out.add(Reason.READ_BEFORE, path)
        else:
            read_folders.add(folder_id(path))
            pending += reversed(entries(path))
    return images


def entries(folder: Path) -> list[Path]:
    """Returns what is in a folder, in the order of the bytes of the names.

    Raises:
        UsageError: For a folder that cannot be read.
    """
    try:
        names = sorted(os.listdir(folder), key=os.fsencode)
    except OSError as error:
        rule = f"must be readable: {error.strerror}"
        raise UsageError(f"the folder {printable(str(folder))}", rule) from error
    return [folder / name for name in names]


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder is hidden, or is one that systems and archives add.

    >>> is_hidden("._cat.png"), is_hidden("Thumbs.db"), is_hidden("cat.png")
    (True, True, False)
    """
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def is_backup(name: str) -> bool:
    """Returns whether a file is a copy that an editor made.

    >>> is_backup("cat.png~"), is_backup("#cat.png#"), is_backup("cat.png")
    (True, True, False)
    """
    return bool(BACKUP.fullmatch(name))


def folder_id(folder: Path) -> FolderId:
    """Returns what is the same for all links to a folder."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _header(path: Path, left_out: LeftOut) -> ImageHeader | None:
    """Returns the header of an image; other files are added to `left_out`.

    Raises:
        UsageError: For a file with the suffix of an image that is none.
    """
    try:
        header = read_header(path)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        if has_image_suffix(path) or isinstance(error, BOMBS):
            refuse_image(path, error)
        unidentified = isinstance(error, UnidentifiedImageError) or not isinstance(error, OSError)
        left_out.add(Reason.NOT_AN_IMAGE if unidentified else Reason.UNREADABLE, path)
        return None
    IMAGE_PIXELS.check(f"the image {printable(str(path))}", header.height * header.width)
    return header


def refuse_image(path: Path, error: Exception) -> NoReturn:
    """Raises UsageError for an image on which Pillow raised `error`."""
    way_out = "repair the image or leave it out"
    if isinstance(error, BOMBS):
        reason = one_line(error)
        way_out = "make the image smaller or leave it out"
    elif isinstance(error, UnidentifiedImageError):
        is_empty = path.stat().st_size == 0
        reason = "the file is empty" if is_empty else "it is damaged or not in a format of Pillow"
    elif isinstance(error, OSError) and error.errno == errno.ELOOP:
        reason = "the link leads to itself in a loop"
    elif isinstance(error, OSError) and error.errno == errno.ENOENT and path.is_symlink():
        reason = "the link leads to no file"
    elif isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    else:
        reason = printable(one_line(error))
    key = f"the image {printable(str(path))}"
    raise UsageError(key, f"cannot be read: {reason}", None, way_out) from error
