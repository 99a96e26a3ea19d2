"""The exponential moving average of weights, which costs no privacy."""

import torch
from torch import nn


class WeightAverage:
    """An average of a model's weights over the steps; each step weighs `decay` times the next.

    After t steps the decay is at most (1 + t) / (10 + t), so that the initial weights fade early.
    A `decay` of 0 means no average: the weights stay those of the last step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._steps = 0
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._averages = [weight.detach().clone() for weight in self._weights] if decay else []

    def update(self) -> None:
        """Takes the weights after a step into the average."""
        self._steps += 1
        decay = min(self.decay, (1 + self._steps) / (10 + self._steps))
        with torch.no_grad():
            for average, weight in zip(self._averages, self._weights, strict=False):
                average.lerp_(weight, 1 - decay)

    def copy_to_weights(self) -> None:
        """Replaces the weights by their average."""
        with torch.no_grad():
            for average, weight in zip(self._averages, self._weights, strict=False):
                weight.copy_(average)
