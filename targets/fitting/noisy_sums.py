"""The noise of DP-SGD on the sums of clipped gradients."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from mgaudit.targets.fitting.privacy_plan import PrivacyPlan

# Numbers of a large weight whose noise is drawn at once on a CPU: about as many as its caches hold.
NUMBERS_AT_ONCE = 2**16
# torch draws normal numbers on a CPU in groups of 16, and draws the last 16 again if they are not a
# whole group. So a weight that is divided at multiples of 16, and not within its last 16 numbers,
# gets the numbers that it would get at once.
GROUP = 16


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
        self._generators = generators
        self._standard_deviation = plan.noise_multiplier * plan.max_grad_norm
        self._divisor = plan.batch_size
        # In row-major order, whatever the order of the weights in memory.
        self._noises = [
            weight.new_empty(NUMBERS_AT_ONCE + GROUP if _is_large(weight) else weight.shape)
            for weight in self._of_models[0]
        ]

    def begin(self) -> None:
        """Removes the gradients."""
        for weights in self._of_models:
            for weight in weights:
                weight.grad = None

    def complete(self) -> None:
        """Sets gradients that are missing to 0, as all are without an example in the batch."""
        for weights in self._of_models:
            for weight in weights:
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)

    @torch.no_grad()
    def end(self) -> None:
        """Makes the gradients the noisy mean. Without an example in the batch it is noise alone."""
        for weights, generator in zip(self._of_models, self._generators, strict=True):
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            if self._standard_deviation > 0:
                self._make_noisy_mean(gradients, generator)
            else:
                torch._foreach_div_(gradients, self._divisor)

    def _make_noisy_mean(self, gradients: Sequence[Tensor], generator: Generator) -> None:
        """Adds noise to the gradients of a network and divides them, large ones in parts."""
        small, noises = [], []
        for gradient, noise in zip(gradients, self._noises, strict=True):
            if noise.shape == gradient.shape:
                noise.normal_(0.0, self._standard_deviation, generator=generator)
                small.append(gradient)
                noises.append(noise)
                continue
            numbers = gradient.view(-1)
            for part in _parts(len(numbers)):
                drawn = noise[: part.stop - part.start]
                drawn.normal_(0.0, self._standard_deviation, generator=generator)
                numbers[part].add_(drawn).div_(self._divisor)
        torch._foreach_add_(small, noises)
        torch._foreach_div_(small, self._divisor)


def _is_large(weight: Tensor) -> bool:
    """Returns whether the noise of a weight is drawn in parts."""
    return (
        weight.device.type == "cpu"
        and weight.is_contiguous()
        and weight.numel() > NUMBERS_AT_ONCE + GROUP
    )


def _parts(numbers: int) -> list[slice]:
    """Returns slices of some numbers, of which the last has at least 16."""
    starts = list(range(0, numbers - GROUP + 1, NUMBERS_AT_ONCE))
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], numbers], strict=True)]
