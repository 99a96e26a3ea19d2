"""The clipped sum of a batch, computed by torch's per-example gradients."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap


def clipped_sum(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    x: Tensor,
    labels: Tensor,
    losses_of: Callable[[Tensor, Tensor], Tensor],
    views: int,
    max_norm: float,
) -> list[Tensor]:
    """Returns the sum of the examples' gradients, each clipped to `max_norm`, for each weight.

    It shares no code with the clipping of DP-SGD. `model` is evaluated with `weights`, by name. An
    example has `views` rows of `x` (rows, *input_shape) and of `labels` (rows, ...), one after the
    other. `losses_of` returns the losses (rows,) from logits (rows, classes) and labels; an
    example's loss is the mean over its rows.
    """

    def loss(own: dict[str, Tensor], rows: Tensor, targets: Tensor) -> Tensor:
        return losses_of(functional_call(model, own, (rows,)), targets).mean()

    of_examples = x.reshape(-1, views, *x.shape[1:])
    targets = labels.reshape(-1, views, *labels.shape[1:])
    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(dict(weights), of_examples, targets)
    return clipped(list(gradients.values()), max_norm)


def clipped(gradients: Sequence[Tensor], max_norm: float) -> list[Tensor]:
    """Returns the sum over examples of gradients that are clipped to `max_norm`, for each weight.

    A part of `gradients` is (examples, *weight.shape); the norm is that over all parts.
    """
    if len(gradients[0]) == 0:
        return [part.sum(dim=0) for part in gradients]
    norms = [torch.linalg.vector_norm(part.flatten(1), dim=1) for part in gradients]
    norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    factors = torch.where(norm > max_norm, max_norm / norm, torch.ones_like(norm))
    return [torch.tensordot(factors, part, dims=1) for part in gradients]
