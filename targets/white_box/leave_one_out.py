"""What an example contributes to the clipped sum of a batch, measured by leaving it out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mgaudit.targets.fitting.batches import parts_of_rows
from mgaudit.targets.fitting.clipping import Clipper


@dataclass(frozen=True)
class Batch:
    """Examples with `views` rows each, one after the other, as a clipper processes them.

    `x` is (rows, *input_shape) and `labels` (rows, ...). `losses_of` returns the losses (rows,)
    from logits (rows, classes) and labels.
    """

    x: Tensor
    labels: Tensor
    losses_of: Callable[[Tensor, Tensor], Tensor]
    views: int

    @property
    def examples(self) -> int:
        """The number of examples."""
        return len(self.x) // self.views

    def joined(self, other: "Batch") -> "Batch":
        """Returns the batch with the examples of another one after its own."""
        x, labels = torch.cat([self.x, other.x]), torch.cat([self.labels, other.labels])
        return Batch(x, labels, self.losses_of, self.views)

    def first(self, examples: int) -> "Batch":
        """Returns the batch of at most so many of the first examples."""
        rows = slice(None, examples * self.views)
        return Batch(self.x[rows], self.labels[rows], self.losses_of, self.views)

    def without(self, example: int) -> "Batch":
        """Returns the batch without the example of this index."""
        owners = torch.arange(len(self.x), device=self.x.device) // self.views
        others = owners != example
        return Batch(self.x[others], self.labels[others], self.losses_of, self.views)


def largest_contribution(
    clipper: Clipper,
    weights: Sequence[nn.Parameter],
    batch: Batch,
    max_norm: float,
    left_out: int,
) -> float:
    """Returns the largest norm by which leaving out one example changes the clipped sum.

    Noise is not added. The gradients of the weights are left as they are.

    Args:
        clipper: The code under test, which computes clipped sums.
        weights: The weights that are trained.
        batch: The examples, at least 1.
        max_norm: The norm to which the clipper clips, the unit of the returned norm.
        left_out: Number of examples that are left out in turn, at least 1. They are spaced evenly
            from the first to the last; those of a smaller batch are all left out.
    """
    before = [weight.grad for weight in weights]
    whole = _sum_by(clipper, weights, batch, max_norm)
    last = batch.examples - 1
    chosen = torch.linspace(0, last, min(left_out, batch.examples)).round().long()
    norms = [
        (whole - _sum_by(clipper, weights, batch.without(example), max_norm)).norm()
        for example in chosen.tolist()
    ]
    for weight, gradient in zip(weights, before, strict=True):
        weight.grad = gradient
    return float(torch.stack(norms).max()) / max_norm


def _sum_by(
    clipper: Clipper, weights: Sequence[nn.Parameter], batch: Batch, max_norm: float
) -> Tensor:
    """Returns the sum of the clipped gradients (weights,), float64, by the clipper."""
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    for part in parts_of_rows(len(batch.x), clipper.rows_at_once, batch.views):
        losses = batch.losses_of(clipper.logits(batch.x[part]), batch.labels[part])
        clipper.backward(losses, max_norm, batch.views)
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    return torch.cat([gradient.detach().reshape(-1).double() for gradient in gradients])
