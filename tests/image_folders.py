"""Folders of small images for tests."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mgaudit.targets.datasets import Dataset
from mgaudit.targets.datasets.images.folder import read_folder


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (6, 5)) -> Image.Image:
    """Returns noise in a colour mode; `size` is (width, height)."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    if mode == "RGBA":
        alpha = Image.fromarray(draw.integers(0, 256, (size[1], size[0]), dtype=np.uint8))
        image.putalpha(alpha)
        return image
    return image.convert(mode)


def write_split(
    root: Path,
    classes: Sequence[str] = ("cat", "dog"),
    each: int = 3,
    mode: str = "RGB",
    size: tuple[int, int] = (6, 5),
    splits: Sequence[str] = ("train", "test"),
) -> Path:
    """Writes `each` PNG images of each class and split, which all differ. Returns `root`."""
    seed = 0
    for split in splits:
        for name in classes:
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(each):
                seed += 1
                picture(seed, mode, size).save(folder / f"{index}.png")
    return root


def read(root: Path, examples: int | None = None, seed: int = 0, **options: Any) -> Dataset:
    return read_folder(str(root), examples, np.random.default_rng(seed), **options)


def image_of(dataset: Dataset, origin: str) -> np.ndarray:
    """Returns the pixels (channels, height, width) of the training image with this origin."""
    return dataset.inputs[dataset.origins.index(origin)]


def channels_first(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def pixels_of(path: Path, mode: str = "RGB") -> np.ndarray:
    """Returns the pixels (channels, height, width) of a file as Pillow converts them to a mode."""
    with Image.open(path) as image:
        return channels_first(image.convert(mode))


def png(width: int, height: int, bits: int = 8, colour: int = 2, rows: bytes = b"") -> bytes:
    """Returns a PNG file with this header and these rows of pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
