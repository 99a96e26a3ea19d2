"""What the header of an image file says, without decoding its pixels."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from stat import S_ISREG

from PIL import ExifTags, Image

# Formats of still images that the first bytes of a file identify.
FORMATS_BY_CONTENT = (
    *("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF", "QOI"),
    *("PSD", "DDS", "FITS", "ICNS"),
)
# Formats of still images that files of other kinds can resemble: only files with their suffixes.
FORMATS_BY_SUFFIX = (
    *("DIB", "ICO", "CUR", "IM", "MSP", "PCX", "DCX", "SGI", "SUN", "TGA", "XBM", "XPM"),
)
# Camera files: TIFF files of which Pillow would read a preview.
CAMERA_SUFFIXES = frozenset({".dng", ".cr2", ".nef", ".arw", ".orf", ".rw2"})
# Other images that Pillow does not read, or reads only with another program.
OTHER_SUFFIXES = frozenset(
    {".heic", ".heif", ".hif", ".svg", ".svgz", ".jxl", ".eps", ".wmf", ".emf", ".xcf"}
    | {".cr3", ".raf"}
)
# Pillow logs some errors that it also raises. Without a handler, Python prints them.
logging.getLogger("PIL").addHandler(logging.NullHandler())

GREY_MODES = ("1", "L", "LA")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


@dataclass(frozen=True)
class ImageHeader:
    """The facts about an image that decide how it is read.

    Args:
        mode: Pillow's mode of the pixels, such as "L" or "RGB", or its raw mode, such as
            "RGB;16B", for more than 8 bits per channel.
        height: Number of rows of pixels.
        width: Number of columns of pixels.
        is_transparent: Whether there is an alpha channel or a transparent colour.
        is_animated: Whether there are several frames or pages.
        is_turned: Whether EXIF data ask a viewer to turn or mirror the image.
    """

    mode: str
    height: int
    width: int
    is_transparent: bool = False
    is_animated: bool = False
    is_turned: bool = False

    @property
    def is_grey(self) -> bool:
        """Whether the image is stored without colours."""
        return self.mode in GREY_MODES

    @property
    def size(self) -> tuple[int, int]:
        """The height and the width in pixels."""
        return self.height, self.width


def has_image_suffix(path: Path) -> bool:
    """Returns whether the suffix of a file is that of a format of images, ignoring case."""
    suffix = path.suffix.lower()
    return suffix in CAMERA_SUFFIXES | OTHER_SUFFIXES | _formats_of_suffixes().keys()


def read_header(path: Path) -> ImageHeader:
    """Returns the header of an image file.

    The content decides on the format. The suffix only adds formats that the content alone does not
    identify with certainty.

    Raises:
        OSError: For a file that cannot be opened, is not a regular file or is not an image.
        Exception: Decoders raise many kinds of errors for damaged files.
    """
    with opened_image(path) as image:
        return ImageHeader(
            _mode(image),
            image.height,
            image.width,
            is_transparent="A" in image.getbands() or "transparency" in image.info,
            is_animated=bool(getattr(image, "is_animated", False)),
            is_turned=_is_turned(image),
        )


@contextmanager
def opened_image(path: Path) -> Iterator[Image.Image]:
    """Opens an image file, of which the pixels are decoded on access. Raises as `read_header`."""
    if not S_ISREG(path.stat().st_mode):  # opening a pipe would wait for a writer
        raise OSError("it is not a regular file")
    formats = _formats(path.suffix.lower())
    # Warnings would be printed. The one for an extremely large image, possibly an attack, is an
    # error.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with path.open("rb") as file, Image.open(file, formats=formats) as image:
            yield image


@cache
def _formats(suffix: str) -> tuple[str, ...]:
    """Returns the formats that a file with this suffix may have, the one of the suffix first."""
    by_suffix = _formats_of_suffixes().get(suffix)
    first = () if by_suffix is None else (by_suffix,)
    unfit = {*first, "TIFF"} if suffix in CAMERA_SUFFIXES else {*first}
    others = [name for name in FORMATS_BY_CONTENT if name in Image.OPEN and name not in unfit]
    return (*first, *others)


@cache
def _formats_of_suffixes() -> dict[str, str]:
    """Returns the formats of still images by suffix, as far as this installation reads them."""
    Image.init()
    known = {*FORMATS_BY_CONTENT, *FORMATS_BY_SUFFIX} & Image.OPEN.keys()
    return {suffix: name for suffix, name in Image.EXTENSION.items() if name in known}


def _mode(image: Image.Image) -> str:
    """Returns the mode, or the raw mode of an image whose channels have more than 8 bits."""
    for decoder, _, _, arguments in getattr(image, "tile", []):
        values = arguments if isinstance(arguments, tuple) else (arguments,)
        for value in values:
            if isinstance(value, str) and ";16" in value:
                return value
        # The arguments of the decoder of PPM end with the largest value of a pixel.
        if decoder.startswith("ppm") and isinstance(values[-1], int) and values[-1] > 255:
            return f"{image.mode} with values up to {values[-1]}"
    return image.mode


def _is_turned(image: Image.Image) -> bool:
    """Returns whether the pixels are not stored as a viewer shows them.

    Pillow itself turns TIFF images when it decodes them.
    """
    if image.format == "TIFF" or not {"exif", "xmp", "XML:com.adobe.xmp"} & image.info.keys():
        return False
    try:
        # The method of PNG images decodes the pixels first.
        orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata do not change the pixels
        return False
    return orientation in range(2, 9)
