"""Image folders that people have: rows A8, A9 and B12 to B14 of the list of public reports."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.errors import UsageError
from tests.image_folders import channels_first, image_of, picture, pixels_of, png, read, write_split

NOT_UTF8 = b"caf\xe9"


def run(root: Path, tmp_path: Path) -> Any:
    """Runs a small audit of the images with `--json`."""
    options = "--models 3 --epochs 1 --target mlp:hidden=4 --no-dp --stack 1 --jobs 1 --json"
    out = ["--out", str(tmp_path / "runs"), "--dataset", f"folder:{root}"]
    return CliRunner().invoke(app, ["run", *options.split(), *out])


def strings(value: Any) -> list[str]:
    """Returns all texts in a JSON value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.usefixtures("blank_figures")
def test_a08_names_that_are_not_utf8(tmp_path: Path) -> None:
    root = write_split(tmp_path / "data", each=30, mode="L", size=(3, 3))
    for split in ("train", "test"):
        folder = os.fsencode(root / split)
        os.rename(folder + b"/dog", folder + b"/" + NOT_UTF8)
    for index in range(30):
        os.rename(root / f"train/cat/{index}.png", os.fsencode(root) + b"/train/cat/\xff%d" % index)
    result = run(root, tmp_path)
    assert result.exit_code == 0, result.output
    texts = strings(json.loads(result.stdout))
    assert r"caf\xe9" in texts
    assert all(isinstance(text.encode(), bytes) for text in texts)
    assert any(text.startswith((r"train/cat/\xff", r"train/caf\xe9/")) for text in texts)


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        (b"\xe9.png", r"\xe9.png"),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"two\nlines.png", r"two\nlines.png"),
        (b"\x1b[31m.png", r"\x1b[31m.png"),
        ("🐈.png".encode(), "🐈.png"),
        ("e\u0301.png".encode(), "e\u0301.png"),
        (b"\xed\xa0\x80.png", r"\xed\xa0\x80.png"),  # a surrogate in UTF-8
        (b"n" * 251 + b".png", "n" * 251 + ".png"),
        (b" blank .png ", " blank .png "),
        (rb"back\slash.png", r"back\slash.png"),
    ],
)
def test_a08_every_name_has_an_origin_that_can_be_printed(
    tmp_path: Path, name: bytes, origin: str
) -> None:
    root = write_split(tmp_path)
    folder = os.fsencode(root / "train" / "cat")
    os.rename(folder + b"/1.png", folder + b"/" + name)
    dataset = read(root)
    assert f"train/cat/{origin}" in dataset.origins
    assert np.array_equal(image_of(dataset, f"train/cat/{origin}"), channels_first(picture(2)))
    assert origin.encode() == name or any("escaped" in note for note in dataset.notes)


def test_a08_escaped_names_stay_unique(tmp_path: Path) -> None:
    root = write_split(tmp_path, each=4)
    folder = os.fsencode(root / "train" / "cat")
    os.rename(folder + b"/0.png", folder + b"/\xe9.png")
    os.rename(folder + b"/1.png", folder + rb"/\xe9.png")
    dataset = read(root)
    assert len(set(dataset.origins)) == 8
    assert np.array_equal(image_of(dataset, r"train/cat/\xe9.png"), channels_first(picture(2)))
    assert np.array_equal(image_of(dataset, r"train/cat/\xe9.png (2)"), channels_first(picture(1)))


def test_a08_escaped_classes_stay_unique(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    for split in (b"train", b"test"):
        folder = os.fsencode(root) + b"/" + split
        os.rename(folder + b"/cat", folder + b"/\xe9")
        os.rename(folder + b"/dog", folder + rb"/\xe9")
    dataset = read(root)
    assert dataset.classes == (r"\xe9", r"\xe9 (2)")
    first = dataset.inputs[dataset.labels == 0]
    dogs = [channels_first(picture(seed)) for seed in (4, 5, 6)]
    assert all(any(np.array_equal(image, dog) for dog in dogs) for image in first)


def test_a08_errors_about_such_files_are_printable(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    Path(os.fsdecode(os.fsencode(root) + b"/train/cat/\xe9.png")).write_bytes(b"")
    with pytest.raises(UsageError, match=r"cat/\\xe9\.png cannot be read: the file is empty"):
        read(root)


SYSTEM_FILES = [
    *(".DS_Store", "Thumbs.db", "thumbs.DB", "desktop.ini", "._0.png", ".hidden.png"),
    *("0.png~", "#0.png#", "0.png.bak", ".0.png.swp", ".gitkeep"),
]
SYSTEM_FOLDERS = [
    *("__MACOSX", ".ipynb_checkpoints", "@eaDir", ".thumbnails", "lost+found", ".git"),
]


@pytest.mark.parametrize("place", ["train/cat", "test/dog", "train/cat/sub"])
@pytest.mark.parametrize("name", SYSTEM_FILES)
@pytest.mark.parametrize("is_image", [True, False])
def test_a09_files_of_the_system_are_left_out(
    tmp_path: Path, name: str, place: str, is_image: bool
) -> None:
    root = write_split(tmp_path)
    before = read(root)
    (root / place).mkdir(exist_ok=True)
    content = (root / "train/cat/0.png").read_bytes() if is_image else b"Mac OS X"
    (root / place / name).write_bytes(content)
    dataset = read(root)
    assert dataset.digest() == before.digest()
    assert dataset.origins == before.origins
    (note,) = dataset.notes
    assert note.startswith("left out 1 hidden file or file of the system")
    assert f"{place}/{name}" in note


@pytest.mark.parametrize("place", ["", "train", "test", "train/cat"])
@pytest.mark.parametrize("name", SYSTEM_FOLDERS)
def test_a09_folders_of_the_system_are_neither_classes_nor_read(
    tmp_path: Path, name: str, place: str
) -> None:
    root = write_split(tmp_path)
    before = read(root)
    folder = root / place / name
    folder.mkdir()
    picture(90, size=(2, 2)).save(folder / "thumbnail.png")
    dataset = read(root)
    assert (dataset.digest(), dataset.classes) == (before.digest(), ("cat", "dog"))
    (note,) = dataset.notes
    assert (Path(place) / name).as_posix() in note


def test_a09_many_such_files_are_one_note(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    for index in range(30):
        (root / "train" / "cat" / f"._{index}.png").write_bytes(b"")
    (note,) = read(root).notes
    assert note.startswith("left out 30 hidden files and files of the system or an editor: ")
    assert note.endswith(" and 20 more")


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
@pytest.mark.parametrize("place", ["train/cat/0.png", "train/dog/2.png", "test/cat/0.png"])
def test_b12_one_grey_image_turns_no_other_grey(tmp_path: Path, place: str, mode: str) -> None:
    root = write_split(tmp_path)
    picture(80, mode).save(root / place)
    dataset = read(root)
    assert dataset.inputs.shape[1:] == dataset.test_inputs.shape[1:] == (3, 5, 6)
    for origin in dataset.origins:
        assert np.array_equal(image_of(dataset, origin), pixels_of(root / origin)), origin
    assert any(note.startswith("converted 1 of 12 images from grey") for note in dataset.notes)


@pytest.mark.parametrize("place", ["train/cat/0.png", "train/dog/2.png", "test/dog/1.png"])
def test_b12_one_colour_image_makes_all_rgb(tmp_path: Path, place: str) -> None:
    root = write_split(tmp_path, mode="L")
    picture(80).save(root / place)
    dataset = read(root)
    assert dataset.inputs.shape[1:] == dataset.test_inputs.shape[1:] == (3, 5, 6)
    (grey,) = pixels_of(root / "train/cat/1.png", "L")
    assert np.array_equal(image_of(dataset, "train/cat/1.png"), np.stack([grey] * 3))


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_b12_grey_images_have_one_channel(tmp_path: Path, mode: str) -> None:
    root = write_split(tmp_path, mode=mode)
    dataset = read(root)
    assert dataset.inputs.shape == (6, 1, 5, 6)
    expected = pixels_of(root / "train/dog/1.png", "L")
    assert np.array_equal(image_of(dataset, "train/dog/1.png"), expected)


def test_b12_the_mode_does_not_depend_on_the_images_that_are_drawn(tmp_path: Path) -> None:
    root = write_split(tmp_path, mode="L", each=10)
    picture(80).save(root / "train/dog/7.png")
    for seed in range(5):
        assert read(root, 2, seed).inputs.shape == (2, 3, 5, 6)


@pytest.mark.parametrize(
    "name",
    [
        *("x.bmp", "x.webp", "x.tif", "x.tiff", "x.gif", "x.ppm", "x.jpg", "x.jpeg", "x.jfif"),
        *(
            "x.BMP",
            "x.Tiff",
            "x.JPG",
            "x.PNG",
            "x.tga",
            "x.pcx",
            "x.jp2",
            "x.qoi",
            "x.dib",
            "x.sgi",
        ),
    ],
)
def test_b13_images_of_every_format_are_read(tmp_path: Path, name: str) -> None:
    root = write_split(tmp_path)
    path = root / "train" / "cat" / name
    picture(80).save(path, lossless=True)
    dataset = read(root)
    assert dataset.inputs.shape == (7, 3, 5, 6)
    expected = pixels_of(path)
    assert np.array_equal(image_of(dataset, f"train/cat/{name}"), expected)
    assert not dataset.notes


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM"])
@pytest.mark.parametrize("name", ["x", "x.dat", "x.jpg", "x.png", "x.txt", "x.png.1", "x.heic"])
def test_b13_the_content_decides_on_the_format(tmp_path: Path, name: str, kind: str) -> None:
    root = write_split(tmp_path)
    picture(80).save(root / "test" / "dog" / name, kind)
    dataset = read(root)
    assert len(dataset.test_inputs) == 7
    expected = pixels_of(root / "test" / "dog" / name)
    assert np.array_equal(dataset.test_inputs[6], expected)


def test_b13_no_class_loses_images(tmp_path: Path) -> None:
    root = write_split(tmp_path, each=30)
    for index in range(29):
        path = root / "train" / "cat" / f"{index}.png"
        picture(index).save(path.with_suffix((".bmp", ".webp", ".tif")[index % 3]), lossless=True)
        path.unlink()
    assert np.bincount(read(root).labels).tolist() == [30, 30]


def test_b13_files_that_are_no_images_are_named(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    for name in ("notes.txt", "labels.csv", "README", "empty", "page.html", "data.zip"):
        (root / "train" / "cat" / name).write_bytes(b"" if name == "empty" else b"no image")
    (root / "train" / "dog" / "film.mp4").write_bytes(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2")
    dataset = read(root)
    assert len(dataset.inputs) == 6
    (note,) = dataset.notes
    assert note == (
        "left out 7 files that are not images: train/cat/README, train/cat/data.zip, "
        "train/cat/empty, train/cat/labels.csv, train/cat/notes.txt, train/cat/page.html, "
        "train/dog/film.mp4"
    )


@pytest.mark.parametrize("name", ["x.heic", "x.svg", "x.jxl", "x.eps", "x.cr2", "x.png", "x.tga"])
@pytest.mark.parametrize("content", [b"", b"<svg/>", b"II*\0\x08\0\0\0\0\0"])
def test_b13_images_that_cannot_be_read_are_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    root = write_split(tmp_path)
    (root / "train" / "dog" / name).write_bytes(content)
    with pytest.raises(UsageError, match=rf"the image .*/dog/{name} cannot be read: ") as error:
        read(root)
    assert error.value.way_out == "repair the image or leave it out"


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *(("RGBA", ".png"), ("RGBA", ".webp"), ("RGBA", ".tif"), ("LA", ".png"), ("P", ".png")),
        *(("P", ".gif"), ("P", ".bmp"), ("CMYK", ".jpg"), ("CMYK", ".tif"), ("1", ".png")),
        *(("1", ".tif"), ("YCbCr", ".tif"), ("L", ".jpg")),
    ],
)
def test_b14_every_mode_is_read_as_pillow_converts_it(
    tmp_path: Path, mode: str, suffix: str
) -> None:
    root = write_split(tmp_path)
    path = root / "train" / "cat" / f"x{suffix}"
    picture(80, mode).save(path, lossless=True)
    dataset = read(root)
    expected = pixels_of(path)
    assert np.array_equal(image_of(dataset, f"train/cat/x{suffix}"), expected)


def test_b14_transparency_is_ignored_and_noted(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    picture(80, "RGBA").save(root / "train/cat/alpha.png")
    picture(81, "P").save(root / "train/cat/index.png", transparency=3)
    picture(82).save(root / "test/cat/colour.png", transparency=(1, 2, 3))
    picture(83, "P").save(root / "test/cat/bytes.png", transparency=bytes(range(200)))
    dataset = read(root)
    alpha = image_of(dataset, "train/cat/alpha.png")
    assert np.array_equal(alpha, np.asarray(picture(80, "RGBA"))[..., :3].transpose(2, 0, 1))
    (note,) = dataset.notes
    assert note.startswith("ignored the transparency of 4 of 16 images: train/cat/alpha.png, ")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_b14_the_first_frame_is_read_and_noted(tmp_path: Path, kind: str) -> None:
    root = write_split(tmp_path)
    path = root / "train" / "cat" / "moving"
    frames = [picture(81), picture(82)]
    picture(80).save(path, kind, save_all=True, append_images=frames, lossless=True)
    dataset = read(root)
    assert np.array_equal(image_of(dataset, "train/cat/moving"), pixels_of(path))
    (note,) = dataset.notes
    assert note == "read only the first frame of 1 of 13 images: train/cat/moving"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_b14_exif_does_not_turn_images(tmp_path: Path, suffix: str) -> None:
    root = write_split(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = root / "train" / "cat" / f"x{suffix}"
    picture(80).save(path, exif=exif)
    dataset = read(root)
    expected = pixels_of(path)
    assert np.array_equal(image_of(dataset, f"train/cat/x{suffix}"), expected)
    (note,) = dataset.notes
    assert note == f"did not turn 1 of 13 images as EXIF data ask: train/cat/x{suffix}"


def test_b14_exif_that_asks_for_nothing_or_is_damaged_is_no_note(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 1
    picture(80).save(root / "train/cat/x.jpg", exif=exif)
    picture(81).save(root / "train/cat/y.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert not read(root).notes


def deep_images(folder: Path) -> dict[str, Any]:
    """Returns functions that write images with more than 8 bits per channel, by file name."""
    grey = Image.fromarray(np.full((5, 6), 40_000, dtype=np.uint16))
    return {
        "grey.png": grey.save,
        "grey.tif": grey.save,
        "whole.tif": Image.fromarray(np.full((5, 6), 70_000, dtype=np.int32)).save,
        "float.tif": Image.fromarray(np.ones((5, 6), dtype=np.float32)).save,
        "colour.png": lambda path: path.write_bytes(png(6, 5, 16, 2, (b"\0" + bytes(36)) * 5)),
        "alpha.png": lambda path: path.write_bytes(png(6, 5, 16, 6, (b"\0" + bytes(48)) * 5)),
        "grey.pgm": lambda path: path.write_bytes(b"P5 6 5 65535\n" + bytes(60)),
        "colour.ppm": lambda path: path.write_bytes(b"P6 6 5 1000\n" + bytes(180)),
        "lab.tif": Image.new("LAB", (6, 5)).save,
    }


@pytest.mark.parametrize("name", deep_images(Path()))
@pytest.mark.parametrize("place", ["train/cat", "test/dog"])
def test_b14_images_of_more_than_8_bits_are_refused(tmp_path: Path, name: str, place: str) -> None:
    root = write_split(tmp_path, each=8)
    deep_images(root)[name](root / place / name)
    rule = "must be grey, RGB or CMYK" if name == "lab.tif" else "must have 8 bits per channel"
    with pytest.raises(UsageError, match=rf"the image .*{place}/{name} {rule}, got mode "):
        read(root, examples=1)


def test_b14_images_of_fewer_bits_are_scaled(tmp_path: Path) -> None:
    root = write_split(tmp_path, mode="L")
    (root / "train/cat/x.pgm").write_bytes(b"P5 6 5 15\n" + bytes([0, 15, 7] * 10))
    image = image_of(read(root), "train/cat/x.pgm")
    assert image[0, 0, :3].tolist() == [0, 255, 119]


@pytest.mark.parametrize("side", [10_000, 176_000])  # the limits of a warning and of an error
@pytest.mark.parametrize("name", ["0.png", "without-suffix"])
def test_b14_a_header_of_a_huge_image_is_one_line(tmp_path: Path, side: int, name: str) -> None:
    root = write_split(tmp_path, mode="L")
    (root / "train" / "cat" / name).write_bytes(png(side, side, 8, 0))
    result = CliRunner().invoke(app, ["run", "--dataset", f"folder:{root}", "--quiet"])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert f"{name} cannot be read: Image size ({side * side} pixels) exceeds" in result.stderr
    with pytest.raises(UsageError, match="make the image smaller"):
        read(root, size=(4,))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[:-30],
        lambda content: b"not an image",
        lambda content: content[:60] + bytes(20) + content[80:],
    ],
    ids=["empty", "header cut", "end cut", "text", "changed"],
)
@pytest.mark.parametrize("place", ["train/cat/0.png", "test/dog/2.png"])
def test_b14_damaged_images_are_refused(tmp_path: Path, damage: Any, place: str) -> None:
    root = write_split(tmp_path)
    content = (root / place).read_bytes()
    (root / place).write_bytes(damage(content))
    with pytest.raises(UsageError, match=rf"the image .*{place} cannot be read: ") as error:
        read(root)
    assert error.value.way_out == "repair the image or leave it out"


def test_b14_a_damaged_tiff_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = write_split(tmp_path)
    path = root / "train" / "cat" / "x.tif"
    picture(80, size=(60, 50)).save(path, compression="tiff_lzw")
    content = path.read_bytes()
    path.write_bytes(content[:200] + b"\xff" * 400 + content[600:])
    with pytest.raises(UsageError, match=r"x\.tif cannot be read: "):
        read(root, size=(5, 6))
    assert capfd.readouterr() == ("", "")  # libtiff writes to the file descriptor
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


def test_b14_sizes_are_counted_in_the_error(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    picture(80, size=(2, 3)).save(root / "test/cat/thumb_1.png")
    with pytest.raises(UsageError, match=r"thumb_1\.png must have the size of most") as error:
        read(root)
    assert "5x6" in error.value.rule
    assert error.value.value == "3x2 (height x width; there are 12 of 5x6, 1 of 3x2)"
    assert "size=5x6" in error.value.way_out


def test_b14_the_odd_image_is_named_where_it_is_first(tmp_path: Path) -> None:
    root = write_split(tmp_path)
    picture(80, size=(2, 3)).save(root / "train/cat/0.png")
    with pytest.raises(UsageError, match=r"cat/0\.png must have the size of most images, 5x6"):
        read(root, examples=1)


@pytest.mark.parametrize(
    ("size", "shape"), [((4,), (4, 4)), ((4, 9), (4, 9)), ((5, 6), (5, 6)), ((1,), (1, 1))]
)
def test_b14_images_are_resized_on_request(
    tmp_path: Path, size: tuple[int, ...], shape: tuple[int, int]
) -> None:
    root = write_split(tmp_path)
    picture(80, "P", size=(20, 30)).save(root / "train/cat/other.png")
    dataset = read(root, size=size)
    assert dataset.inputs.shape == (7, 3, *shape)
    for origin in dataset.origins:
        image = Image.open(root / origin).convert("RGB")
        expected = image.resize(shape[::-1], Image.Resampling.BILINEAR)
        assert np.array_equal(image_of(dataset, origin), channels_first(expected)), origin
    changed = 1 if shape == (5, 6) else 13
    assert any(
        note.startswith(f"resized {changed} of 13 images to {shape[0]}x{shape[1]}: ")
        for note in dataset.notes
    )


@pytest.mark.parametrize("size", [(0,), (4, 0), (-1,), (4, 4, 4), (10**6,)])
def test_b14_sizes_out_of_range_are_refused(tmp_path: Path, size: tuple[int, ...]) -> None:
    root = write_split(tmp_path)
    with pytest.raises(UsageError, match="must have a size of 1 to 4096 pixels") as error:
        read(root, size=size)
    assert error.value.way_out == "use size=32 or size=32x48"
