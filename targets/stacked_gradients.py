"""Gradients of a network in a stack, compared with those of its models alone.

Hooks on gradients (`Tensor.register_hook`) have no effect in a stack, because vmap calls the
network with tensors of its own.
"""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mgaudit.targets.fitting.stack import ModelStack, without_vmap_warnings
from mgaudit.targets.own_module import RAISED

RELATIVE = 1e-2  # of the largest gradient of a weight; float16 networks differ by 1e-3
ABSOLUTE = 1e-5  # of the largest gradient of all weights, for gradients that are 0 but for rounding
# Of the loss. Hooks that clip gradients may change nothing but large gradients.
LOSS_SCALES = (1.0, 1e4)


def hooked_weights(model: nn.Module) -> list[str]:
    """Returns the names of the weights that have hooks on their gradients."""
    return [
        name
        for name, weight in model.named_parameters()
        if weight._backward_hooks or getattr(weight, "_post_accumulate_grad_hooks", None)
    ]


def has_gradient_hooks(model: nn.Module, x: Tensor, classes: int) -> bool:
    """Returns whether hooks change the gradients of a network that computes each example by itself.

    `model` is in training mode afterwards, and `x` is (batch, *input_shape). False where the model
    cannot be stacked and its weights have no hooks.
    """
    if hooked_weights(model):
        return True
    try:
        return not same_gradients([model, model], x, classes)
    except RAISED:  # torch raises many kinds of errors for what vmap does not support
        return False


def same_gradients(models: Sequence[nn.Module], x: Tensor, classes: int) -> bool:
    """Returns whether the models have the same gradients in a stack as alone.

    The gradients are those of the cross-entropy of `x` (batch, *input_shape). There are at least
    two models of one architecture, which are in training mode afterwards. Gradients that are not
    finite alone are not compared.
    """
    labels = torch.arange(len(x), device=x.device) % classes
    with without_vmap_warnings():
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        for scale in LOSS_SCALES:
            stack = ModelStack(models)
            logits = stack.logits(stack.weights, torch.stack([x] * len(models)), None)
            losses = [_loss(of_model, labels, scale) for of_model in logits]
            torch.autograd.backward(losses)
            for index, model in enumerate(models):
                alone = _gradients_alone(model, x, labels, scale)
                stacked = {
                    name: weight.grad[index]
                    for name, weight in stack.weights.items()
                    if weight.grad is not None
                }
                if not _all_close(alone, stacked):
                    return False
    return True


def proportional_gradients(model: nn.Module, x: Tensor, classes: int) -> bool:
    """Returns whether the gradients of a loss that is scaled are the scaled gradients.

    The clipping of DP-SGD scales the loss of each example. The arguments are those of
    `has_gradient_hooks`.
    """
    labels = torch.arange(len(x), device=x.device) % classes
    first, second = LOSS_SCALES
    gradients = _gradients_alone(model, x, labels, first)
    expected = {name: second / first * gradient for name, gradient in gradients.items()}
    return _all_close(expected, _gradients_alone(model, x, labels, second))


def _loss(logits: Tensor, labels: Tensor, scale: float) -> Tensor:
    """Returns the scaled sum of the cross-entropy of logits (batch, classes)."""
    return scale * cross_entropy(logits, labels, reduction="sum")


def _gradients_alone(
    model: nn.Module, x: Tensor, labels: Tensor, scale: float
) -> dict[str, Tensor]:
    """Returns the gradients that `backward` gives the weights, by name; those before are removed.

    `torch.autograd.grad` would not call hooks that run after a gradient is accumulated.
    """
    model.zero_grad()
    torch.autograd.backward(_loss(model.train()(x.clone()), labels, scale))
    gradients = {
        name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None
    }
    model.zero_grad()
    return gradients


def _all_close(alone: dict[str, Tensor], stacked: dict[str, Tensor]) -> bool:
    """Returns whether gradients are equal up to rounding; a missing gradient is one of zeros."""
    finite = [gradient for gradient in alone.values() if bool(gradient.isfinite().all())]
    largest = max((float(gradient.abs().max()) for gradient in finite), default=0.0)
    for name in alone.keys() | stacked.keys():
        present = alone[name] if name in alone else stacked[name]
        expected = alone.get(name, torch.zeros_like(present))
        gradient = stacked.get(name, torch.zeros_like(present))
        if not bool(expected.isfinite().all()):
            continue
        bound = RELATIVE * float(expected.abs().max()) + ABSOLUTE * largest
        if not bool(((gradient - expected).abs() <= bound).all()):
            return False
    return True
