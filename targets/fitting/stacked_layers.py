"""Layers that compute all models of a stack at once, with few operations and without vmap.

The models are chains of known layers. `vmap` dispatches about twice as many operations for such a
chain, and each costs some microseconds.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, relu

from mgaudit.targets.networks import CNN, MLP
from mgaudit.targets.schemes.noise_nodes import NoiseNode

# The outputs of a stack for the weights of all models by name, (models, *shape), the inputs, and
# the values of the noise node.
Stacked = Callable[[Mapping[str, Tensor], Tensor, Tensor | None], Tensor]
CHAINS = (MLP, CNN)  # networks that evaluate `layers` and nothing else


def stacked_chain(network: nn.Module) -> Stacked | None:
    """Returns a function that evaluates a stack of such networks; None for other networks.

    Its arguments are the weights by name, each (models, *shape), the inputs (models, batch,
    *input_shape), and the values of the noise node (models, batch) or None. It returns the logits
    (models, batch, classes).
    """
    layers = getattr(network, "layers", None)
    if type(network) not in CHAINS or type(layers) is not nn.Sequential or _is_unusual(network):
        return None
    steps: list[Stacked] = []
    in_channels = False
    for name, layer in layers._modules.items():  # also a layer that is evaluated twice
        if layer is None:
            return None
        if _is_convolution(layer) and not in_channels:
            steps.append(_to_channels)
            in_channels = True
        step = _step(layer, f"layers.{name}", in_channels)
        if step is None:
            return None
        steps.append(step)
        in_channels = in_channels and type(layer) is not nn.Flatten
    return partial(_evaluated, steps)


def _evaluated(
    steps: Sequence[Stacked], weights: Mapping[str, Tensor], x: Tensor, values: Tensor | None
) -> Tensor:
    for step in steps:
        x = step(weights, x, values)
    return x


def _is_unusual(network: nn.Module) -> bool:
    """Returns whether layers have hooks, share a weight, or have one that is not trained."""
    weights = 0
    for layer in network.modules():
        if layer._forward_hooks or layer._forward_pre_hooks or layer._buffers:
            return True
        weights += sum(weight is not None for weight in layer._parameters.values())
    return weights != len(list(network.parameters()))


def _is_convolution(layer: nn.Module) -> bool:
    return type(layer.layer if type(layer) is NoiseNode else layer) is nn.Conv2d


def _to_channels(weights: Mapping[str, Tensor], x: Tensor, values: Tensor | None) -> Tensor:
    """Returns images (models, batch, channels, ...) as (batch, models * channels, ...).

    Convolutions, and the layers between them, evaluate the models as groups of channels.
    """
    return x.transpose(0, 1).flatten(1, 2)


def _step(layer: nn.Module, name: str, in_channels: bool) -> Stacked | None:
    """Returns the evaluation of a layer for a stack, or None if the layer is not known.

    `in_channels` states whether the models are groups of channels there.
    """
    if type(layer) is NoiseNode:
        inner = _step(layer.layer, f"{name}.layer", in_channels)
        return None if inner is None else partial(_with_node, inner, f"{name}.node.weight")
    if type(layer) is nn.Linear and layer.bias is not None:
        return partial(_linear, name)
    if type(layer) is nn.Conv2d and layer.bias is not None and layer.groups == 1:
        return partial(_convolution, name, layer) if layer.padding_mode == "zeros" else None
    if type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1):
        return _from_channels if in_channels else lambda weights, x, values: x.flatten(2)
    if type(layer) is nn.ReLU:
        return lambda weights, x, values: relu(x)
    if type(layer) is nn.MaxPool2d and in_channels:
        return lambda weights, x, values: layer(x)
    return None


def _linear(name: str, weights: Mapping[str, Tensor], x: Tensor, values: Tensor | None) -> Tensor:
    product = torch.bmm(x, weights[f"{name}.weight"].mT)
    return product + weights[f"{name}.bias"].to(product.dtype)[:, None]


def _convolution(
    name: str, layer: nn.Conv2d, weights: Mapping[str, Tensor], x: Tensor, values: Tensor | None
) -> Tensor:
    """Convolves the channels of each model with its own weights, as groups."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    joint, models = weight.flatten(0, 1), len(weight)
    convolved = conv2d(x, joint, None, layer.stride, layer.padding, layer.dilation, models)
    return convolved + bias.to(convolved.dtype).view(-1, 1, 1)


def _from_channels(weights: Mapping[str, Tensor], x: Tensor, values: Tensor | None) -> Tensor:
    """Returns images (batch, models * channels, ...) as (models, batch, numbers)."""
    models = len(next(iter(weights.values())))
    return x.reshape(len(x), models, -1).transpose(0, 1)


def _with_node(
    inner: Stacked, name: str, weights: Mapping[str, Tensor], x: Tensor, values: Tensor | None
) -> Tensor:
    """Adds the contribution of the noise node to the outputs of its layer."""
    outputs = inner(weights, x, values)
    if values is None:
        return outputs
    shift = torch.bmm(values[..., None], weights[name].mT).to(outputs.dtype)
    if outputs.ndim == 4:
        return outputs + shift.transpose(0, 1).flatten(1)[..., None, None]
    return outputs + shift
