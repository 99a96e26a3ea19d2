"""A white-box adversary in mgaudit's own training with DP-SGD."""

import math
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from mgaudit.targets.fitting.clipping import Clipper
from mgaudit.targets.white_box.leave_one_out import Batch, largest_contribution
from mgaudit.targets.white_box.recorder import StepRecorder
from mgaudit.targets.white_box.reference import clipped_sum

# The clipped sum is computed a second time, by other code, in the first steps and in one of 100
# after them: it takes about as long as the step itself.
FIRST_STEPS = 5
ONE_STEP_IN = 100

MOST_EXAMPLES = 64  # of the batch whose examples are left out in turn


class Witness:
    """Adds canaries to the steps of `mgaudit.targets.fitting.dp_sgd`, and records them.

    In a step, `begin` is called first, `sees` with each part of the batch while the weights are
    those of the step, `joins` before the noise is added, and `ends` before the optimizer moves the
    weights. Canaries are taken out of the noisy sum afterwards, so that they do not disturb the
    training. In the first step with examples, up to 64 of them are a batch of which `left_out` are
    left out in turn; `largest_contribution` is their largest contribution to the clipped sum in
    units of the clip norm, and NaN if none was left out.
    """

    def __init__(
        self,
        model: nn.Module,
        recorder: StepRecorder,
        max_grad_norm: float,
        expected_batch_size: float,
        left_out: int,
    ) -> None:
        """Prepares for the steps of `model`, to which no clipper has added hooks yet."""
        self.recorder = recorder
        self.largest_contribution = math.nan
        self._left_out = left_out
        self._batch: Batch | None = None  # whose examples are still to be left out
        self._named = {
            name: weight for name, weight in model.named_parameters() if weight.requires_grad
        }
        self._weights = list(self._named.values())
        self._unhooked = deepcopy(model)  # Opacus' hooks, which the clipper may add, refuse vmap
        self._max_grad_norm = max_grad_norm
        self._expected_batch_size = expected_batch_size
        self._batch_size = 0

    @property
    def _is_checked(self) -> bool:
        """Whether the clipped sum of this step is computed a second time."""
        taken = self.recorder.steps
        return taken < FIRST_STEPS or taken % ONE_STEP_IN == 0

    def begin(self, examples: int, batch: Tensor) -> None:
        """Begins a step whose `batch` (batch,) are indices below the number of `examples`."""
        self._batch_size = len(batch)
        self.recorder.include(examples, batch.cpu().numpy())
        self.recorder.begin()

    def sees(
        self,
        x: Tensor,
        labels: Tensor,
        losses_of: Callable[[Tensor, Tensor], Tensor],
        views: int,
    ) -> None:
        """Sees a part of the batch; the arguments are those of `clipped_sum`."""
        if self._left_out:
            self._keep(Batch(x, labels, losses_of, views))
        if self._is_checked:
            weights = {name: weight.detach() for name, weight in self._named.items()}
            norm = self._max_grad_norm
            sums = clipped_sum(self._unhooked, weights, x, labels, losses_of, views, norm)
            self.recorder.add_reference(sums, independent=True)

    def _keep(self, part: Batch) -> None:
        """Keeps the first examples of the batch."""
        if self._batch is None:
            self._batch = part.first(MOST_EXAMPLES)
        elif self._batch.examples < MOST_EXAMPLES:
            self._batch = self._batch.joined(part).first(MOST_EXAMPLES)

    def joins(self, clipper: Clipper) -> None:
        """Adds the canaries by `clipper`, which clips their gradients as those of the batch."""
        if self._batch is not None:
            self.largest_contribution = largest_contribution(
                clipper, self._weights, self._batch, self._max_grad_norm, self._left_out
            )
            self._left_out, self._batch = 0, None
        if self._batch_size and not self._is_checked:
            gradients = [weight.grad for weight in self._weights if weight.grad is not None]
            self.recorder.add_reference(gradients, independent=False)
        rows = zip(self._weights, self.recorder.rows(), strict=True)
        clipper.add(list(rows), self._max_grad_norm)

    def ends(self) -> None:
        """Records the noisy sum, which is the gradient times the expected batch size."""
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        with torch.no_grad():
            self.recorder.end(gradients, self._batch_size, self._expected_batch_size)
            self.recorder.add_clipped(gradients, share=-1 / self._expected_batch_size)
