"""Random flips and shifts of images, drawn again each time that an image is used."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

SHARE = 8  # an image is shifted by up to an eighth of its smaller side: 4 pixels of 32

Augmentation = Callable[[Tensor, Generator], Tensor]


def unchanged(x: Tensor, generator: Generator) -> Tensor:
    """Returns `x` (batch, *input_shape) itself, and draws nothing."""
    return x


def flips(x: Tensor, generator: Generator) -> Tensor:
    """Returns the images `x` (batch, channels, height, width), each mirrored at random or not."""
    mirrored = torch.rand(len(x), device=x.device, generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(-1), x)


def crops(x: Tensor, generator: Generator) -> Tensor:
    """Returns the images `x` (batch, channels, height, width), mirrored and shifted at random.

    The vertical and the horizontal shift are up to an eighth of the smaller side, and at least up
    to one pixel. Uncovered pixels are 0, the mean of standardised inputs.
    """
    x = flips(x, generator)
    batch, _, height, width = x.shape
    most = max(min(height, width) // SHARE, 1)
    shifts = torch.randint(-most, most + 1, (2, batch), device=x.device, generator=generator)
    # The row and the column of the original image that each pixel shows.
    rows = torch.arange(height, device=x.device) - shifts[0, :, None]
    columns = torch.arange(width, device=x.device) - shifts[1, :, None]
    rows_inside = (rows >= 0) & (rows < height)
    columns_inside = (columns >= 0) & (columns < width)
    inside = rows_inside[:, :, None] & columns_inside[:, None, :]
    image = torch.arange(batch, device=x.device)[:, None, None]
    row = rows.clamp(0, height - 1)[:, :, None]
    column = columns.clamp(0, width - 1)[:, None]
    shifted = x.permute(0, 2, 3, 1)[image, row, column]
    zero = torch.zeros((), dtype=x.dtype, device=x.device)
    return torch.where(inside[:, None], shifted.permute(0, 3, 1, 2), zero)


AUGMENTATIONS: dict[str, Augmentation] = {"none": unchanged, "flips": flips, "crops": crops}
