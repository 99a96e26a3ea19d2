"""The noise of DP-SGD on the sums of clipped gradients."""

import torch
from torch import Generator, Tensor, nn

from mgaudit.targets.fitting.privacy_plan import PrivacyPlan


class NoisySums:
    """The gradients of a network's weights in a step of DP-SGD.

    They are 0 after `begin`. Clipped gradients of the examples are added, and `end` adds the noise
    of `plan` and divides by the expected size of a batch. `generator` draws the noise on the device
    of the weights, weight by weight, as the optimizers of Opacus do.
    """

    def __init__(self, model: nn.Module, plan: PrivacyPlan, generator: Generator) -> None:
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._plan = plan
        self._generator = generator
        for weight in self._weights:
            weight.grad = torch.zeros_like(weight)

    def begin(self) -> None:
        """Sets the gradients to 0."""
        torch._foreach_zero_(self._gradients())

    @torch.no_grad()
    def end(self) -> None:
        """Makes the gradients the noisy mean. Without an example in the batch it is noise alone."""
        standard_deviation = self._plan.noise_multiplier * self._plan.max_grad_norm
        gradients = self._gradients()
        if standard_deviation > 0:
            for gradient in gradients:
                gradient += torch.normal(
                    mean=0.0,
                    std=standard_deviation,
                    size=gradient.shape,
                    generator=self._generator,
                    device=gradient.device,
                    dtype=gradient.dtype,
                )
        torch._foreach_div_(gradients, self._plan.batch_size)

    def _gradients(self) -> list[Tensor]:
        """Returns the gradients of the weights, which a clipper may have replaced by others."""
        return [weight.grad for weight in self._weights if weight.grad is not None]
