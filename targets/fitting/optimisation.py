"""The optimizer, the schedule of its learning rate, and the loss that a training's settings name."""

from collections.abc import Iterable

from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler

from mgaudit.targets.training import Training


def build_optimizer(training: Training, weights: Iterable[Tensor], private: bool = False) -> Optimizer:
    """Returns the optimizer over `weights`."""
    rate = training.rate(private)
    if training.optimizer == "adam":
        return Adam(weights, lr=rate, weight_decay=training.weight_decay, fused=True)
    return SGD(weights, lr=rate, momentum=training.momentum, weight_decay=training.weight_decay, fused=True)


def build_schedule(training: Training, optimizer: Optimizer, steps: int) -> LRScheduler:
    """Returns what changes the learning rate after each step, `steps` being those of all epochs."""
    if training.schedule == "constant":
        return LambdaLR(optimizer, lambda _: 1.0)
    return CosineAnnealingLR(optimizer, T_max=steps)


def mean_losses(training: Training, outputs: Tensor, labels: Tensor, counted: Tensor) -> Tensor:
    """Returns the mean loss (models,) over the examples that count, `counted` (models, batch) being 0 or 1.

    `outputs` are (models, batch, classes) and `labels` (models, batch) int64, or for the squared loss the values
    (models, batch, classes) that the outputs should have. All examples count where it is a stack of one.
    """
    if training.loss == "cross-entropy":
        losses = cross_entropy(
            outputs.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=training.label_smoothing
        ).view(counted.shape)
    else:
        classes, expected = outputs.shape[-1], labels
        if not expected.is_floating_point():
            smooth = training.label_smoothing
            expected = one_hot(labels, classes).to(outputs.dtype) * (1 - smooth) + smooth / classes
        losses = (outputs - expected).square().sum(dim=-1) / 2
    return (losses * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
