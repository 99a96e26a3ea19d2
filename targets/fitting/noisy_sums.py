"""The noise of DP-SGD on the sums of clipped gradients."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from mgaudit.targets.fitting.privacy_plan import PrivacyPlan


class NoisySums:
    """The gradients of the weights of a stack of networks in a step of DP-SGD.

    There are none after `begin`. Sums of clipped gradients are added, `complete` sets those that
    are missing to 0, and `end` adds the noise of `plan` and divides by the expected size of a
    batch. `generators[m]` draws the noise of network m on the device of the weights, weight by
    weight, as the optimizers of Opacus do.
    """

    def __init__(
        self, models: Sequence[nn.Module], plan: PrivacyPlan, generators: Sequence[Generator]
    ) -> None:
        self._of_models = [
            [weight for weight in model.parameters() if weight.requires_grad] for model in models
        ]
        self._weights = [weight for weights in self._of_models for weight in weights]
        self._generators = generators
        self._plan = plan
        # In row-major order, whatever the order of the weights in memory.
        self._noises = [weight.new_empty(weight.shape) for weight in self._of_models[0]]

    def begin(self) -> None:
        """Removes the gradients."""
        for weight in self._weights:
            weight.grad = None

    def complete(self) -> None:
        """Sets gradients that are missing to 0, as all are without an example in the batch."""
        for weight in self._weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)

    @torch.no_grad()
    def end(self) -> None:
        """Makes the gradients the noisy mean. Without an example in the batch it is noise alone."""
        standard_deviation = self._plan.noise_multiplier * self._plan.max_grad_norm
        if standard_deviation > 0:
            for weights, generator in zip(self._of_models, self._generators, strict=True):
                for noise in self._noises:
                    noise.normal_(0.0, standard_deviation, generator=generator)
                torch._foreach_add_(_gradients(weights), self._noises)
        torch._foreach_div_(_gradients(self._weights), self._plan.batch_size)


def _gradients(weights: Sequence[nn.Parameter]) -> list[Tensor]:
    """Returns the gradients of weights, of which none is missing any longer."""
    return [weight.grad for weight in weights if weight.grad is not None]
