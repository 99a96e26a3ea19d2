"""200 small image folders with random contents are read exactly, or refused with UsageError."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.images.printable_names import printable
from tests.image_folders import picture, pixels_of, png, read, write_split

FOLDERS = 200
MOST_CHANGES = 6
GREY = ("1", "L", "LA")
Outcome = Literal["read", "left out", "refused"]
Draw = np.random.Generator

NAMES = [
    *(
        b"caf\xe9",
        b"\xff\xfe",
        b"two\nlines",
        b"tab\t",
        b"\x1b[1m",
        b" blank ",
        b"a,b",
        b"#",
        b"-x",
    ),
    *("🐈".encode(), "e\u0301".encode(), "\u202e".encode(), b"%s{0}", b"<b>", b"n" * 240, b"\\xe9"),
]
FORMATS = [".png", ".bmp", ".webp", ".tif", ".gif", ".ppm", ".jpg", ".JPG", ".PNG", ".tga", ".jfif"]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"]


def path_of(folder: Path, name: bytes) -> Path:
    return Path(os.fsdecode(os.fsencode(folder) + b"/" + name))


def image_of_format(folder: Path, draw: Draw) -> None:
    suffix = FORMATS[draw.integers(len(FORMATS))]
    mode = "L" if suffix == ".gif" else "RGB"
    picture(int(draw.integers(10**6)), mode).save(folder / f"new{suffix}", lossless=True)


def image_of_mode(folder: Path, draw: Draw) -> None:
    mode = MODES[draw.integers(len(MODES))]
    picture(int(draw.integers(10**6)), mode).save(folder / "mode.tif")


def wrong_suffix(folder: Path, draw: Draw) -> None:
    kind = ("PNG", "GIF", "JPEG", "BMP", "WEBP", "TIFF")[draw.integers(6)]
    name = ("x.jpg", "x.png", "x.dat", "x", "x.txt", "x.gif")[draw.integers(6)]
    picture(int(draw.integers(10**6)), "L").save(folder / name, kind)


def strange_name(folder: Path, draw: Draw) -> None:
    suffix = (b".png", b"")[draw.integers(2)]
    path = path_of(folder, NAMES[draw.integers(len(NAMES))] + suffix)
    picture(int(draw.integers(10**6))).save(path, "PNG")


def nested(folder: Path, draw: Draw) -> None:
    inner = path_of(folder, NAMES[draw.integers(len(NAMES))] + b".d") / "x.png"
    inner.mkdir(parents=True, exist_ok=True)
    picture(int(draw.integers(10**6))).save(inner / f"{draw.integers(9)}.png")


def linked(folder: Path, draw: Draw) -> None:
    store = folder.parents[2] / "store"
    store.mkdir(exist_ok=True)
    picture(int(draw.integers(10**6))).save(store / f"{len(list(store.iterdir()))}.png")
    target = store / f"{len(list(store.iterdir())) - 1}.png"
    (folder / "link.png").unlink(missing_ok=True)
    (folder / "link.png").symlink_to(target)


def moving(folder: Path, draw: Draw) -> None:
    kind = ("GIF", "PNG", "WEBP", "TIFF")[draw.integers(4)]
    frames = [picture(int(draw.integers(10**6))) for _ in range(2)]
    frames[0].save(folder / "moving", kind, save_all=True, append_images=frames[1:])


def junk(folder: Path, draw: Draw) -> None:
    name = (".DS_Store", "Thumbs.db", "._0.png", "0.png~", "desktop.ini", ".x.png")[
        draw.integers(6)
    ]
    content = (folder / "0.png").read_bytes() if draw.integers(2) else b""
    (folder / name).write_bytes(content)


def junk_folder(folder: Path, draw: Draw) -> None:
    name = ("__MACOSX", ".ipynb_checkpoints", "@eaDir", ".thumbnails")[draw.integers(4)]
    (folder / name).mkdir(exist_ok=True)
    picture(1, size=(2, 2)).save(folder / name / "x.png")


def other_file(folder: Path, draw: Draw) -> None:
    name = (b"notes.txt", b"labels.csv", b"none", b"\xe9", b"P5", b"film.mp4")[draw.integers(6)]
    content = (b"", b"some text", b"P5 is not a header", b"\n\x03\x01", bytes(range(256)))
    path_of(folder, name).write_bytes(content[draw.integers(len(content))])


def not_regular(folder: Path, draw: Draw) -> None:
    path = folder / "special"
    path.unlink(missing_ok=True)
    target = ("", "nowhere", path, "/dev/zero")[draw.integers(4)]
    if target:
        path.symlink_to(target)
    else:
        os.mkfifo(path)


def circle(folder: Path, draw: Draw) -> None:
    (folder / "circle").unlink(missing_ok=True)
    (folder / "circle").symlink_to((".", "..", "../../..", "../dog")[draw.integers(4)])


def damaged(folder: Path, draw: Draw) -> None:
    path = folder / f"{draw.integers(2)}.png"
    content = path.read_bytes()
    path.write_bytes(content[: draw.integers(len(content) - 20)])


def noise(folder: Path, draw: Draw) -> None:
    name = ("x.jpg", "x.bmp", "x.tiff", "x.webp", "x.gif", "x.heic", "x.svg")[draw.integers(7)]
    (folder / name).write_bytes(b"\xf0" + draw.bytes(int(draw.integers(100))))


def other_size(folder: Path, draw: Draw) -> None:
    size = ((5, 6), (1, 1), (6, 6))[draw.integers(3)]
    picture(2, size=size).save(folder / "other.png")


def deep(folder: Path, draw: Draw) -> None:
    if draw.integers(2):
        Image.fromarray(np.zeros((5, 6), dtype=np.uint16)).save(folder / "deep.png")
    else:
        (folder / "deep").write_bytes(png(6, 5, 16, 2, (b"\0" + bytes(36)) * 5))


def huge(folder: Path, draw: Draw) -> None:
    side = (10_000, 200_000)[draw.integers(2)]
    (folder / ("huge.png", "huge")[draw.integers(2)]).write_bytes(png(side, side))


def special_image(folder: Path, draw: Draw) -> None:
    path = folder / "special.png"
    if not os.path.lexists(path):
        if draw.integers(2):
            os.mkfifo(path)
        else:
            path.symlink_to(("nowhere", path, "/dev/zero")[draw.integers(3)])


def second_class(folder: Path, draw: Draw) -> None:
    name = ("CAT", "cat ", "c\u200bat")[draw.integers(3)]
    (folder.parents[1] / ("train", "test")[draw.integers(2)] / name).mkdir(exist_ok=True)


CHANGES: list[tuple[Callable[[Path, Draw], None], Outcome]] = [
    *((change, "read") for change in (image_of_format, image_of_mode, wrong_suffix, strange_name)),
    *((change, "read") for change in (nested, linked, moving)),
    *((change, "left out") for change in (junk, junk_folder, other_file, not_regular, circle)),
    *((change, "refused") for change in (damaged, noise, other_size, deep, huge)),
    *((change, "refused") for change in (special_image, second_class)),
]
HARMLESS = [change for change, outcome in CHANGES if outcome != "refused"]
REFUSED = [change for change, outcome in CHANGES if outcome == "refused"]


def is_read(path: Path) -> bool:
    """Returns whether Pillow reads a file that is neither hidden nor special."""
    is_junk = path.name.startswith(".") or path.name.endswith(("~", ".db", ".ini"))
    if is_junk or not path.is_file():
        return False
    try:
        with Image.open(path) as image:
            image.load()
    except Exception:
        return False
    return True


def files_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns the images below a class folder, in order, and what must be named in notes."""
    images, others = [], []
    for name in sorted(os.listdir(folder), key=os.fsencode):
        path = folder / name
        is_link_to_folder = path.is_symlink() and os.path.isdir(path)
        is_hidden = name.startswith((".", "__", "@"))
        if path.is_dir() and not is_link_to_folder and not is_hidden:
            inner_images, inner_others = files_below(path)
            images += inner_images
            others += inner_others
        elif not is_link_to_folder and not is_hidden and is_read(path):
            images.append(path)
        else:
            others.append(path)
    return images, others


def is_grey(path: Path) -> bool:
    with Image.open(path) as image:
        return image.mode in GREY


def check(root: Path) -> None:
    """Compares the dataset in `root` with what Pillow reads of each file."""
    dataset = read(root)
    files = {
        split: [files_below(root / split / name) for name in ("cat", "dog")]
        for split in ("train", "test")
    }
    every_image = [path for pairs in files.values() for images, _ in pairs for path in images]
    mode = "L" if all(is_grey(path) for path in every_image) else "RGB"
    train = [(path, label) for label, (images, _) in enumerate(files["train"]) for path in images]
    test = [(path, label) for label, (images, _) in enumerate(files["test"]) for path in images]
    assert len(dataset.inputs) == len(train) == len(set(dataset.origins))
    for row, index in enumerate(dataset.indices):
        path, label = train[index]
        assert np.array_equal(dataset.inputs[row], pixels_of(path, mode)), path
        assert dataset.labels[row] == label
        assert dataset.origins[row].startswith(printable(path.relative_to(root).as_posix()))
    assert np.array_equal(dataset.test_inputs, [pixels_of(path, mode) for path, _ in test])
    assert dataset.test_labels.tolist() == [label for _, label in test]
    notes = " ".join(dataset.notes)
    for path in [other for pairs in files.values() for _, others in pairs for other in others]:
        assert printable(path.relative_to(root).as_posix()) in notes, path
    assert "\n".join((*dataset.origins, *dataset.notes)).encode()


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_random_folders_are_read_exactly_or_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = 0
    for number in range(FOLDERS):
        draw = np.random.default_rng(number)
        grey = bool(draw.integers(4) == 0)
        root = write_split(tmp_path / str(number) / "data", each=2, mode="L" if grey else "RGB")
        changes = [
            HARMLESS[draw.integers(len(HARMLESS))] for _ in range(draw.integers(MOST_CHANGES))
        ]
        if draw.integers(4) == 0:
            changes.insert(int(draw.integers(len(changes) + 1)), REFUSED[number % len(REFUSED)])
        for change in changes:
            folder = root / ("train", "test")[draw.integers(2)] / ("cat", "dog")[draw.integers(2)]
            change(folder, draw)
        names = [change.__name__ for change in changes]
        if set(changes) & set(REFUSED):
            refused += 1
            with pytest.raises(UsageError) as error:
                read(root)
            assert str(error.value).encode(), (number, names)
        else:
            try:
                check(root)
            except Exception as error:
                raise AssertionError(f"folder {number}: {', '.join(names)}") from error
    assert 20 < refused < 100
    gc.collect()  # a file that is still open would be a ResourceWarning
    assert capfd.readouterr() == ("", "")
