"""The convolutional networks of the weight-noise paper."""

import pytest
import torch

from mgaudit.errors import UsageError
from mgaudit.targets.networks.plain_cnn import PlainCNN


def weight_shapes(model: PlainCNN) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in model.parameters() if weight.ndim > 1]


def test_the_networks_of_the_paper_have_its_layers() -> None:
    toy = PlainCNN((3, 32, 32), 10, padded=False)
    assert weight_shapes(toy) == [(6, 3, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)]
    channels = (32, 64, 128, 128)
    wide = PlainCNN((3, 32, 32), 10, channels, kernel=3, pools=4, hidden=(), average=True)
    assert weight_shapes(wide) == [
        (32, 3, 3, 3),
        (64, 32, 3, 3),
        (128, 64, 3, 3),
        (128, 128, 3, 3),
        (10, 128),
    ]
    for model in (toy, wide):
        assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_averaging_forgets_where_a_pattern_is_and_flattening_does_not() -> None:
    torch.manual_seed(0)
    x = torch.zeros(1, 1, 16, 16)
    x[0, 0, 4, 4] = 1.0
    moved = x.roll((4, 4), dims=(2, 3))
    averaging = PlainCNN((1, 16, 16), 3, (4,), kernel=3, pools=1, hidden=(), average=True)
    flattening = PlainCNN((1, 16, 16), 3, (4,), kernel=3, pools=1, hidden=())
    torch.testing.assert_close(averaging(x), averaging(moved))
    assert not torch.allclose(flattening(x), flattening(moved))


@pytest.mark.parametrize(
    ("side", "padded", "pools"), [(16, False, 2), (4, True, 2), (9, False, 0), (14, False, 1)]
)
def test_the_smallest_image_that_is_accepted_leaves_one_pixel(
    side: int, padded: bool, pools: int
) -> None:
    model = PlainCNN((1, side, side), 3, (2, 2), pools=pools, hidden=(), padded=padded)
    assert weight_shapes(model)[-1] == (3, 2)
    assert model(torch.zeros(2, 1, side, side)).shape == (2, 3)
    with pytest.raises(UsageError, match=f"at least {side}x{side}"):
        PlainCNN((1, side - 1, side - 1), 3, (2, 2), pools=pools, hidden=(), padded=padded)


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="kernel must be odd, got 4"):
        PlainCNN((1, 16, 16), 3, kernel=4)
    with pytest.raises(ValueError, match="pools must be between 0 and 2, got 3"):
        PlainCNN((1, 16, 16), 3, pools=3)
    with pytest.raises(UsageError, match="needs images"):
        PlainCNN((16,), 3)
