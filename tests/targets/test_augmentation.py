import torch
from scipy import stats

from mgaudit.targets.fitting.augmentation import crops, flips
from mgaudit.targets.seeds import torch_generator


def numbered(images: int) -> torch.Tensor:
    """Images (images, 2, 16, 16) whose pixels all differ."""
    return torch.arange(images * 2 * 256.0).reshape(images, 2, 16, 16) + 1


def test_flips_mirror_each_image_by_its_own_coin() -> None:
    x = numbered(400)
    flipped = flips(x, torch_generator(0, "augmentation"))
    mirrored = torch.tensor(
        [torch.equal(image, other.flip(-1)) for image, other in zip(flipped, x, strict=True)]
    )
    kept = torch.tensor(
        [torch.equal(image, other) for image, other in zip(flipped, x, strict=True)]
    )
    assert bool((mirrored ^ kept).all())
    assert stats.binomtest(int(mirrored.sum()), 400, 0.5).pvalue > 1e-3


def test_crops_shift_each_image_by_its_own_draw_and_fill_with_zeros() -> None:
    x = numbered(600)
    shifted = crops(x, torch_generator(0, "augmentation"))
    shifts = []
    for image, other in zip(shifted, x, strict=True):
        matches = []
        for flipped in (other, other.flip(-1)):
            for down in range(-2, 3):
                for right in range(-2, 3):
                    expected = torch.zeros_like(flipped)
                    expected[
                        :, max(down, 0) : 16 + min(down, 0), max(right, 0) : 16 + min(right, 0)
                    ] = flipped[
                        :, max(-down, 0) : 16 + min(-down, 0), max(-right, 0) : 16 + min(-right, 0)
                    ]
                    if torch.equal(image, expected):
                        matches.append((down, right))
        assert len(matches) == 1
        shifts += matches
    for axis in (0, 1):
        counts = [sum(shift[axis] == value for shift in shifts) for value in range(-2, 3)]
        assert stats.chisquare(counts).pvalue > 1e-3


def test_the_images_stay_as_they_were() -> None:
    x = numbered(5)
    crops(x, torch_generator(0, "augmentation"))
    assert torch.equal(x, numbered(5))
