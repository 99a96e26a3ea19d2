"""What a network must return: finite float32 logits, and nothing else that it does to its data."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mgaudit.errors import UsageError
from mgaudit.targets.own_module import RAISED, error_line

SUM_TOLERANCE = 1e-4  # of the sum of probabilities
SCALES = (1.0, -1.0, 10.0, -10.0)  # of all weights, which change nothing about probabilities


def logits_of(model: Callable[[Tensor], object], x: Tensor) -> Tensor:
    """Returns what `model` returns for `x` (batch, *input_shape), without gradients.

    Raises:
        UsageError: If the model fails, changes `x` or does not return a tensor.
    """
    batch = x.clone()
    try:
        with torch.no_grad():
            logits = model(batch)
    except RAISED as error:
        shape = tuple(x.shape)
        rule = f"must accept a batch of shape {shape}, but fails: {error_line(error)}"
        way_out = "its inputs are standardised numbers, float32, on the device of its weights"
        raise UsageError("", rule, None, way_out) from error
    if not torch.equal(batch, x):
        way_out = "write x = x + 1 in place of x += 1, and inplace=False for its first layer"
        raise UsageError("", "must not change its inputs in place", None, way_out)
    if not isinstance(logits, Tensor):
        way_out = "return the logits alone from forward"
        if isinstance(getattr(logits, "logits", None), Tensor):
            way_out = "return output.logits from forward, in a class around the network"
        raise UsageError("", "must return a tensor of logits", type(logits).__name__, way_out)
    return logits


def require_logits(examples: str, logits: Tensor, shape: tuple[int, int]) -> None:
    """Raises UsageError unless `logits` are finite float32 of the shape (batch, classes).

    `examples` describes the inputs in the message.
    """
    batch, classes = shape
    if classes == 2 and tuple(logits.shape) in ((batch,), (batch, 1)):
        rule = "must return 2 logits, one for each class of the data"
        way_out = "build its last layer with 2 outputs in place of 1"
        raise UsageError("", rule, "1", way_out)
    if logits.ndim == 2 and len(logits) == batch and logits.shape[1] != classes:
        rule = f"must return {classes} logits, one for each class of the data"
        way_out = "build it from a parameter num_classes, which mgaudit supplies"
        raise UsageError("", rule, str(logits.shape[1]), way_out)
    if tuple(logits.shape) != shape:
        rule = f"must return logits of shape {shape} for {examples}"
        raise UsageError("", rule, str(tuple(logits.shape)))
    if logits.dtype != torch.float32:
        way_out = "build it with float32 weights, or end forward with .float()"
        raise UsageError(
            "", "must return logits of dtype torch.float32", str(logits.dtype), way_out
        )
    if not bool(logits.isfinite().all()):
        raise UsageError("", f"must return finite logits for {examples}", "NaN or infinity")


def refuse_probabilities(model: nn.Module, x: Tensor, outputs: Tensor) -> None:
    """Raises UsageError where the outputs are probabilities.

    Outputs are refused if they are so whatever the scale of the weights. Logarithms of
    probabilities are logits: their softmax gives the probabilities.

    Args:
        model: The network, in the mode of the outputs. Its buffers may change.
        x: Examples (batch, *input_shape).
        outputs: What the network returns for `x` (batch, classes).
    """
    way_out = "remove the softmax or sigmoid at its end, because the loss contains it"
    kinds = (
        (_are_probabilities, "probabilities that sum to 1", way_out),
        (_are_between_0_and_1, "values between 0 and 1", way_out),
    )
    for are_such, value, repair in kinds:
        if are_such(outputs) and _at_every_scale(model, x, are_such):
            raise UsageError("", "must return logits", value, repair)


def _are_probabilities(values: Tensor) -> bool:
    return bool((values >= 0).all()) and _sum_to_1(values)


def _are_between_0_and_1(values: Tensor) -> bool:
    """Returns whether values (batch, classes) lie between 0 and 1, and differ by example."""
    varies = bool((values != values[0]).any())
    return varies and bool(((values >= 0) & (values <= 1)).all())


def _sum_to_1(values: Tensor) -> bool:
    """Returns whether the values (batch, classes) of each example sum to 1."""
    return bool(((values.sum(dim=1) - 1).abs() <= SUM_TOLERANCE).all())


def _at_every_scale(model: nn.Module, x: Tensor, are_such: Callable[[Tensor], bool]) -> bool:
    """Returns whether the outputs for `x` have a property with weights of each scale."""
    for scale in SCALES:
        scaled = {name: scale * weight.detach() for name, weight in model.named_parameters()}
        try:
            with torch.no_grad():
                outputs: Tensor = functional_call(model, scaled, (x.clone(),))
        except RAISED:  # of a network that cannot be called with other weights
            return False
        if not are_such(outputs):
            return False
    return True
