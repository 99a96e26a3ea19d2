"""What the weights of a network must be: trainable by gradients, and its own."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mgaudit.errors import UsageError
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.seeds import default_generators_seeded


def check_weights(model: nn.Module, again: nn.Module) -> None:
    """Raises UsageError unless `model` has trainable weights that its seed determines.

    `again` was built with the same seed.
    """
    trainable = any(parameter.requires_grad for parameter in model.parameters())
    if not trainable:
        rule = "must have weights that can be trained"
        raise UsageError("", rule, "none", "give it a parameter with requires_grad=True")
    if model is again or _shares_weights(model, again):
        rule = "must have weights of its own in each model"
        raise UsageError("", rule, None, "build a new network at each call")
    _refuse_tied_weights(model)
    state, state_again = model.state_dict(), again.state_dict()
    _check_dtypes(state)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not parameter.is_floating_point():
            value = f"{name} of dtype {parameter.dtype}"
            raise UsageError("", "must have weights that are real numbers", value)
    if not is_same_state(state, state_again):
        rule = "must have weights that the seed determines"
        raise UsageError("", rule, None, "draw them from torch's generator and no other")


def _shares_weights(model: nn.Module, other: nn.Module) -> bool:
    """Returns whether a parameter of one network is a parameter of the other."""
    own = {id(parameter) for parameter in model.parameters()}
    return any(id(parameter) in own for parameter in other.parameters())


def _refuse_tied_weights(model: nn.Module) -> None:
    """Raises UsageError where two names stand for one weight, which cannot be set by name."""
    names: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        first = names.setdefault(id(parameter), name)
        if first != name:
            rule = "must have one name for each weight, so that weights can be loaded by name"
            value = f"{first} and {name}, which are tied"
            way_out = "give each layer its own weight, or use one layer twice in forward"
            raise UsageError("", rule, value, way_out)


def _check_dtypes(state: dict[str, Tensor]) -> None:
    """Raises UsageError for a tensor of a dtype that numpy does not have, such as bfloat16."""
    for name, tensor in state.items():
        try:
            tensor.detach().numpy()
        except RAISED as error:
            rule = f"must have weights and buffers that can be kept: {error_line(error)}"
            value = f"{name} of dtype {tensor.dtype}"
            raise UsageError("", rule, value, "build it with float32 weights") from error


def is_same(first: Tensor, second: Tensor) -> bool:
    """Returns whether two tensors on one device are equal, where NaN equals NaN."""
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if torch.equal(first, second):
        return True
    return bool(((first == second) | ((first != first) & (second != second))).all())


def is_same_state(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Returns whether two state_dicts have the same names and values."""
    return first.keys() == second.keys() and all(
        is_same(tensor, second[name]) for name, tensor in first.items()
    )


def check_gradients(model: nn.Module, x: Tensor, classes: int) -> None:
    """Raises UsageError where the loss of `x` (batch, *input_shape) has no gradient.

    The gradient is that of one step of training; the buffers of `model` change as in training.
    """
    try:
        gradients = _gradients(model, x, classes)
    except RAISED as error:
        rule = f"must be trained by gradients of its loss, but fails: {error_line(error)}"
        way_out = "change no tensor in place that the gradient needs"
        raise UsageError("", rule, None, way_out) from error
    for name, gradient in gradients.items():
        if gradient is not None and gradient.layout != torch.strided:
            value = f"a sparse gradient of {name}"
            raise UsageError("", "must have dense gradients", value, "use sparse=False")
    if all(gradient is None for gradient in gradients.values()):
        rule = "must compute its logits from its weights by operations with gradients"
        way_out = "remove detach, no_grad, inference_mode and argmax from forward"
        raise UsageError("", rule, "no gradient of any weight", way_out)


def unused_weights(model: nn.Module, x: Tensor, classes: int) -> list[str]:
    """Returns the names of trainable weights that the loss of `x` does not depend on."""
    gradients = _gradients(model, x, classes)
    return [name for name, gradient in gradients.items() if gradient is None]


def _gradients(model: nn.Module, x: Tensor, classes: int) -> dict[str, Tensor | None]:
    """Returns the gradient of each trainable weight by name, in training mode; None without one."""
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    labels = torch.arange(len(x), device=x.device) % classes
    with default_generators_seeded(0, x.device):
        loss = cross_entropy(model.train()(x.clone()), labels)
        if not loss.requires_grad:
            return dict.fromkeys(trainable)
        model.zero_grad()
        torch.autograd.backward(loss)  # calls hooks that `torch.autograd.grad` does not call
    gradients = {name: weight.grad for name, weight in trainable.items()}
    model.zero_grad()
    return gradients
