"""Random flips and shifts of images, anew each time an image comes up, on the device where it lies."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

SHARE = 8  # an image is shifted by up to an eighth of its side: 4 pixels of 32

Augmentation = Callable[[Tensor, Generator], Tensor]


def unchanged(x: Tensor, generator: Generator) -> Tensor:
    """Returns `x`."""
    return x


def flips(x: Tensor, generator: Generator) -> Tensor:
    """Returns the images (batch, channels, height, width), each mirrored left for right by a fair coin."""
    mirrored = torch.rand(len(x), device=x.device, generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(-1), x)


def crops(x: Tensor, generator: Generator) -> Tensor:
    """Returns the images mirrored by a coin and shifted by up to an eighth of their side, up or down, left or right.

    What a shift uncovers is 0, the mean of standardised inputs.
    """
    x = flips(x, generator)
    batch, _, height, width = x.shape
    most = max(min(height, width) // SHARE, 1)
    shifts = torch.randint(-most, most + 1, (2, batch), device=x.device, generator=generator)
    rows = torch.arange(height, device=x.device) - shifts[0, :, None]
    columns = torch.arange(width, device=x.device) - shifts[1, :, None]
    seen = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    image = torch.arange(batch, device=x.device)[:, None, None]
    shifted = x.permute(0, 2, 3, 1)[image, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]]
    return torch.where(seen[:, None], shifted.permute(0, 3, 1, 2), torch.zeros((), dtype=x.dtype, device=x.device))


AUGMENTATIONS: dict[str, Augmentation] = {"none": unchanged, "flips": flips, "crops": crops}
