"""A multilayer perceptron with a bounded activation, for the theory of noise nodes."""

from typing import Literal

from torch import Tensor, nn

from mgaudit.targets.networks.mlp import MLP

Activation = Literal["relu", "tanh", "sigmoid"]
_MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class BoundedMLP(nn.Module):
    """The layers of `MLP` with another activation, "tanh" or "sigmoid"; "relu" is that of `MLP`.

    The initial weights are those of `MLP` with the same seed.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        classes: int,
        hidden: tuple[int, ...] = (128,),
        activation: Activation = "tanh",
    ) -> None:
        if activation not in _MODULES:
            rule = f"activation must be one of {', '.join(_MODULES)}"
            raise ValueError(f"{rule}, got {activation!r}")
        super().__init__()
        module = _MODULES[activation]
        layers = MLP(input_shape, classes, hidden).layers
        self.layers = nn.Sequential(
            *(module() if type(layer) is nn.ReLU else layer for layer in layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns outputs (batch, classes) for `x` (batch, *input_shape)."""
        outputs: Tensor = self.layers(x)
        return outputs
