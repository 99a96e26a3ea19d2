"""The training loop: in-memory tensors, index batches, one model."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from targets.schemes import Scheme

# Clipped gradients are small and the noise on them averages out over steps: DP-SGD wants the larger rate.
DEFAULT_LEARNING_RATES = {"sgd": 0.02, "adam": 0.001, "dp-sgd": 0.05, "dp-adam": 0.001}


@dataclass(frozen=True)
class Training:
    """How a target is fitted: minibatch cross-entropy under a learning rate that falls to 0 along a cosine.

    `momentum` is SGD's; Adam keeps torch's own betas. `learning_rate` None means DEFAULT_LEARNING_RATES.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    epochs: int = 30
    batch_size: int = 64
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: float | None = None
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"epochs must be >= 1, got {self.epochs}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {self.batch_size}")
        if self.optimizer not in ("sgd", "adam"):
            raise ValueError(f"optimizer must be sgd or adam, got {self.optimizer!r}")
        if self.learning_rate is not None and not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(f"learning_rate must be a finite number > 0, got {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be >= 0 and < 1, got {self.momentum}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be a finite number >= 0, got {self.weight_decay}")

    def rate(self, private: bool = False) -> float:
        """Returns the learning rate that training starts from; `private` says that it is DP-SGD's."""
        if self.learning_rate is not None:
            return self.learning_rate
        return DEFAULT_LEARNING_RATES[f"dp-{self.optimizer}" if private else self.optimizer]

    def build_optimizer(self, model: nn.Module, private: bool = False) -> Optimizer:
        """Returns the optimizer over all parameters of `model`."""
        rate = self.rate(private)
        if self.optimizer == "adam":
            return Adam(model.parameters(), lr=rate, weight_decay=self.weight_decay, fused=True)
        return SGD(model.parameters(), lr=rate, momentum=self.momentum, weight_decay=self.weight_decay, fused=True)


def shuffled_batches(examples: int, batch_size: int, epochs: int, generator: Generator) -> Iterator[Tensor]:
    """Yields index batches, each epoch a fresh permutation; the last batch of an epoch may be smaller."""
    for _ in range(epochs):
        yield from torch.split(torch.randperm(examples, generator=generator), batch_size)


def fit(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    scheme: Scheme,
    training: Training,
    batches: Generator,
    noise: Generator,
) -> int:
    """Trains `model` in place and returns the number of steps taken.

    The data are `inputs` (examples, *input_shape) and `labels` (examples,) int64.
    `batches` draws the order of the examples and lives on the CPU, so that it is the same on every device;
    `noise` draws the scheme's noise and lives where the inputs are.
    """
    model.train()
    optimizer = training.build_optimizer(model)
    steps = training.epochs * math.ceil(len(labels) / training.batch_size)
    schedule = CosineAnnealingLR(optimizer, T_max=steps)
    for batch in shuffled_batches(len(labels), training.batch_size, training.epochs, batches):
        index = batch.to(inputs.device)
        loss = cross_entropy(model(scheme.inputs(inputs[index], noise)), labels[index])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return steps
