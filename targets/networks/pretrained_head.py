"""A network with given weights, of which only the last linear layer is trained."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from mgaudit.errors import UsageError


@dataclass(frozen=True)
class PretrainedHead:
    """Builds the networks of `target` with these `weights`, and freezes all but their last layer.

    The last layer is the last `nn.Linear` of the network's modules: a linear head on the features
    that the layers before it compute.

    Raises:
        UsageError: When called, for a network without a linear layer.
    """

    target: Callable[[tuple[int, ...], int], nn.Module]
    weights: dict[str, NDArray[Any]]

    def __call__(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """Returns the network with its weights for these inputs and this number of classes."""
        model = self.target(input_shape, classes)
        model.load_state_dict({name: torch.tensor(own) for name, own in self.weights.items()})
        layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
        if not layers:
            rule = "must have a linear layer, which is the part that is trained"
            raise UsageError("target", rule, type(model).__name__)
        for weight in model.parameters():
            weight.requires_grad_(False)
        for weight in layers[-1].parameters():
            weight.requires_grad_(True)
        return model
