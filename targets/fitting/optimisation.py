"""The optimizer, the learning rate schedule and the loss of a training's settings."""

from collections.abc import Iterable

from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from mgaudit.targets.optimizers import SGD, Adam
from mgaudit.targets.training import Training


def build_optimizer(
    training: Training, weights: Iterable[Tensor], private: bool = False
) -> Optimizer:
    """Returns the optimizer of `weights`; `private` selects the default learning rate of DP-SGD."""
    rate = training.rate(private)
    if training.optimizer == "adam":
        return Adam(weights, lr=rate, weight_decay=training.weight_decay, fused=True)
    return SGD(
        weights, lr=rate, momentum=training.momentum, weight_decay=training.weight_decay, fused=True
    )


def build_schedule(training: Training, optimizer: Optimizer, steps: int) -> LRScheduler:
    """Returns the schedule of the learning rate; `steps` is the number of steps of all epochs."""
    if training.schedule == "constant":
        return LambdaLR(optimizer, lambda _: 1.0)
    return CosineAnnealingLR(optimizer, T_max=steps)


def mean_losses(training: Training, outputs: Tensor, labels: Tensor, counted: Tensor) -> Tensor:
    """Returns the mean loss (models,) over the examples for which `counted` (models, batch) is 1.

    `outputs` are (models, batch, classes) and `labels` (models, batch) int64, or, for the squared
    loss, target outputs (models, batch, classes). `counted` is 0 for padding and 1 for examples.
    The mean is 0 for a model without an example in the batch. Cross-entropy is in nats.
    """
    smoothing = training.label_smoothing
    if training.loss == "cross-entropy":
        flat_losses = cross_entropy(
            outputs.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=smoothing
        )
        losses = flat_losses.view(counted.shape)
    else:
        expected = labels
        if not expected.is_floating_point():
            classes = outputs.shape[-1]
            exact = one_hot(labels, classes).to(outputs.dtype)
            expected = exact * (1 - smoothing) + smoothing / classes
        losses = (outputs - expected).square().sum(dim=-1) / 2
    total = (losses * counted).sum(dim=1)
    return total / counted.sum(dim=1).clamp(min=1)
