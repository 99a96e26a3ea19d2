"""The pixels of images in one colour mode and of one size."""

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mgaudit.errors import UsageError
from mgaudit.targets.datasets.images.files import ImageFile, refuse_image
from mgaudit.targets.datasets.images.header import COLOUR_MODES, GREY_MODES, opened_image
from mgaudit.targets.datasets.images.left_out import names_of
from mgaudit.targets.datasets.images.native_messages import without_native_messages
from mgaudit.targets.datasets.images.printable_names import printable
from mgaudit.targets.free_memory import check_memory
from mgaudit.targets.limits import IMAGE_SIDE

# Bytes: a byte of the file, two copies as float32 while they are standardised, and a picture.
MEMORY_OF_A_VALUE = 10
MOST_SIZES = 5  # that a message shows


@dataclass(frozen=True)
class PixelFormat:
    """What all images of a dataset are converted to.

    Args:
        is_grey: Whether the images have one channel, otherwise red, green and blue.
        size: Height and width in pixels.
        resizes: Whether images of another size are resized, otherwise they are refused.
    """

    is_grey: bool
    size: tuple[int, int]
    resizes: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image: channels, height, width."""
        return 1 if self.is_grey else 3, *self.size


def requested_size(key: str, size: tuple[int, ...]) -> tuple[int, int] | None:
    """Returns the height and width of the option `size`, a side or both; None if it is empty.

    Raises:
        UsageError: For other numbers of sides, and for sides out of range; `key` begins the
            message.
    """
    if not size:
        return None
    sides = size * 2 if len(size) == 1 else size
    if len(sides) != 2 or not all(1 <= side <= IMAGE_SIDE.most for side in sides):
        rule = f"must have a size of 1 to {IMAGE_SIDE.most} pixels, as a side or as HEIGHTxWIDTH"
        raise UsageError(key, rule, size_text(size), "use size=32 or size=32x48")
    height, width = sides
    return height, width


def common_format(images: Sequence[ImageFile], size: tuple[int, int] | None) -> PixelFormat:
    """Returns the format of all images: grey if all are stored without colours.

    `size` is the requested height and width. None means the size that all images have.

    Raises:
        UsageError: For images with more than 8 bits per channel or an unknown colour model, for
            images that do not fit into the memory, and, if no size is requested, for images of
            several sizes.
    """
    for image in images:
        _check_mode(image)
    is_grey = all(image.header.is_grey for image in images)
    if size is not None:
        return _checked_memory(PixelFormat(is_grey, size, resizes=True), images)
    counts = Counter(image.header.size for image in images)
    usual_size, _ = counts.most_common(1)[0]
    for image in images:
        if image.header.size != usual_size:
            _refuse_size(image, usual_size, counts)
    return _checked_memory(PixelFormat(is_grey, usual_size, resizes=False), images)


def _checked_memory(pixel_format: PixelFormat, images: Sequence[ImageFile]) -> PixelFormat:
    """Returns the format. Raises UsageError where the images do not fit into the free memory."""
    values = len(images) * math.prod(pixel_format.shape)
    what = f"{len(images):,} images of {size_text(pixel_format.size)}"
    way_out = "use fewer images, or a smaller size such as size=32"
    folder = printable(os.path.commonpath([image.path for image in images]))
    check_memory(f"the images in {folder}", MEMORY_OF_A_VALUE * values, what, way_out)
    return pixel_format


def _check_mode(image: ImageFile) -> None:
    """Raises UsageError for more than 8 bits per channel, and for an unknown colour model."""
    mode = image.header.mode
    if mode in GREY_MODES + COLOUR_MODES:
        return
    rule = "must be grey, RGB or CMYK" if mode in ("LAB", "HSV") else "must have 8 bits per channel"
    way_out = "convert the image or leave it out"
    raise UsageError(f"the image {printable(str(image.path))}", rule, f"mode {mode}", way_out)


def _refuse_size(
    image: ImageFile, usual_size: tuple[int, int], counts: Counter[tuple[int, int]]
) -> None:
    """Raises UsageError for an image that has another size than most; `counts` are of all sizes."""
    sizes = [f"{count} of {size_text(size)}" for size, count in counts.most_common(MOST_SIZES)]
    more = len(counts) - len(sizes)
    if more:
        sizes.append(f"{more} other {'size' if more == 1 else 'sizes'}")
    raise UsageError(
        f"the image {printable(str(image.path))}",
        f"must have the size of most images, {size_text(usual_size)}",
        f"{size_text(image.header.size)} (height x width; there are {', '.join(sizes)})",
        f"bring all images to one size, or use the option size={size_text(usual_size)}",
    )


def size_text(size: tuple[int, ...]) -> str:
    """Returns a size as text.

    >>> size_text((32, 48))
    '32x48'
    """
    return "x".join(str(side) for side in size)


def read_images(images: Sequence[ImageFile], pixel_format: PixelFormat) -> NDArray[np.uint8]:
    """Returns the pixels as uint8 (images, channels, height, width). Raises as `read_image`."""
    pixels = np.empty((len(images), *pixel_format.shape), dtype=np.uint8)
    for row, image in zip(pixels, images, strict=True):
        row[:] = read_image(image, pixel_format)
    return pixels


def read_image(image: ImageFile, pixel_format: PixelFormat) -> NDArray[np.uint8]:
    """Returns the pixels of an image as uint8 (channels, height, width).

    Alpha channels are dropped, the first frame is read, and EXIF data do not turn the image, as in
    torchvision's ImageFolder.

    Raises:
        UsageError: For an image that cannot be decoded.
    """
    try:
        pixels = _decoded(image.path, pixel_format)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise many kinds of errors for damaged files
        refuse_image(image.path, error)
    if pixel_format.is_grey:
        return pixels[np.newaxis]
    return pixels.transpose(2, 0, 1)


def _decoded(path: Path, pixel_format: PixelFormat) -> NDArray[np.uint8]:
    """Returns the pixels as uint8, (height, width) if grey or (height, width, 3) in colour."""
    height, width = pixel_format.size
    with opened_image(path) as image:
        # libtiff prints messages about damaged files.
        with without_native_messages() if image.format == "TIFF" else nullcontext():
            converted = image.convert("L" if pixel_format.is_grey else "RGB")
        if pixel_format.resizes and converted.size != (width, height):
            converted = converted.resize((width, height), Image.Resampling.BILINEAR)
        if converted.size != (width, height):
            raise ValueError("the pixels have another size than the header states")
        return np.asarray(converted)


def conversion_notes(
    images: Sequence[ImageFile], pixel_format: PixelFormat, root: Path
) -> tuple[str, ...]:
    """Returns a sentence for each kind of conversion, with the names of the first images."""
    is_grey, size = pixel_format.is_grey, pixel_format.size
    selections: list[tuple[str, Callable[[ImageFile], bool]]] = [
        ("converted {} from grey to RGB", lambda image: image.header.is_grey and not is_grey),
        ("converted {} from CMYK to RGB", lambda image: image.header.mode == "CMYK"),
        ("ignored the transparency of {}", lambda image: image.header.is_transparent),
        ("read only the first frame of {}", lambda image: image.header.is_animated),
        ("did not turn {} as EXIF data ask", lambda image: image.header.is_turned),
        (f"resized {{}} to {size_text(size)}", lambda image: image.header.size != size),
    ]
    notes = []
    for sentence, is_selected in selections:
        paths = [image.path for image in images if is_selected(image)]
        if paths:
            count = f"{len(paths)} of {len(images)} images"
            notes.append(f"{sentence.format(count)}: {names_of(paths, root)}")
    return tuple(notes)
