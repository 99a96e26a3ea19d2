"""A white-box adversary in mgaudit's own training with DP-SGD."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mgaudit.targets.white_box.directions import SparseRows
from mgaudit.targets.white_box.recorder import StepRecorder
from mgaudit.targets.white_box.reference import clipped_sum

# The clipped sum is computed a second time, by other code, in the first steps and in one of 100
# after them: it takes about as long as the step itself.
FIRST_STEPS = 5
ONE_STEP_IN = 100


class Witness:
    """Adds canaries to the steps of `mgaudit.targets.fitting.dp_sgd`, and records them.

    In a step, `begin` is called first, `sees` with each part of the batch while the weights are
    those of the step, `joins` before the noise is added, and `ends` before the optimizer moves the
    weights. Canaries are taken out of the noisy sum afterwards, so that they do not disturb the
    training.
    """

    def __init__(
        self,
        model: nn.Module,
        recorder: StepRecorder,
        max_grad_norm: float,
        expected_batch_size: float,
    ) -> None:
        self.recorder = recorder
        self._model = model
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
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
        if self._is_checked:
            sums = clipped_sum(self._model, x, labels, losses_of, views, self._max_grad_norm)
            self.recorder.add_reference(sums, independent=True)

    def joins(self, add: Callable[[list[tuple[nn.Parameter, SparseRows]], float], None]) -> None:
        """Adds the canaries by `add`, which clips their gradients as those of the batch."""
        if self._batch_size and not self._is_checked:
            gradients = [weight.grad for weight in self._weights if weight.grad is not None]
            self.recorder.add_reference(gradients, independent=False)
        rows = zip(self._weights, self.recorder.rows(), strict=True)
        add(list(rows), self._max_grad_norm)

    def ends(self) -> None:
        """Records the noisy sum, which is the gradient times the expected batch size."""
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        with torch.no_grad():
            self.recorder.end(gradients, self._batch_size, self._expected_batch_size)
            self.recorder.add_clipped(gradients, share=-1 / self._expected_batch_size)
