import pytest
import torch
from torch import nn

from targets import CNN, MLP, TARGETS


def test_the_mlp_has_the_layers_that_were_asked_for() -> None:
    widths = [tuple(layer.weight.shape) for layer in MLP((3, 32, 32), 10).modules() if isinstance(layer, nn.Linear)]
    assert widths == [(512, 3072), (256, 512), (10, 256)]
    widths = [tuple(layer.weight.shape) for layer in MLP((5,), 3, hidden=()).modules() if isinstance(layer, nn.Linear)]
    assert widths == [(3, 5)]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (2, 9, 13)])
@pytest.mark.parametrize("norm", ["none", "group"])
def test_the_cnn_takes_any_image_from_8_by_8(shape: tuple[int, ...], norm: str) -> None:
    model = CNN(shape, 4, norm=norm)  # type: ignore[arg-type]
    assert model(torch.zeros(2, *shape)).shape == (2, 4)
    assert any(isinstance(layer, nn.GroupNorm) for layer in model.modules()) == (norm == "group")


@pytest.mark.parametrize(
    ("shape", "message"), [((30,), "needs images of shape"), ((1, 7, 8), "at least 8x8 pixels, got 7x8")]
)
def test_the_cnn_refuses_what_is_no_image(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CNN(shape, 4)


@pytest.mark.parametrize("name", TARGETS)
def test_an_answer_does_not_depend_on_the_rest_of_the_batch(name: str) -> None:
    model = TARGETS[name]((1, 8, 8), 10).train()
    x = torch.randn(5, 1, 8, 8)
    assert torch.allclose(model(x)[:1], model(x[:1]), atol=1e-6)
