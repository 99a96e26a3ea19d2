"""A white-box adversary in a training loop with Opacus that is not mgaudit's."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from torch import Tensor

from mgaudit.errors import UsageError
from mgaudit.targets.white_box.recorder import StepRecorder
from mgaudit.targets.white_box.reference import clipped

DIRECTIONS = 64

# Optimizers of Opacus whose steps are not those of one clip norm and one noise for all weights.
UNSUPPORTED = ("PerLayer", "AdaClip", "AdaptiveClipping", "Distributed", "FSDP", "KFDP", "DiskDP")


class OpacusLoop:
    """Adds canaries to the steps of an Opacus optimizer, and records them, while it is entered.

    With per-example gradients (Opacus' hooks) a canary enters before they are clipped, and the
    clipped sum is computed a second time. With ghost clipping it enters after that, and the clipped
    sum is Opacus' own: then the clipping is not audited. Canaries are taken out of the noisy sum
    before the weights move.
    """

    def __init__(
        self,
        optimizer: Any,
        data_loader: Any,
        directions: int | None,
        max_grad_norm: float,
        seed: int,
    ) -> None:
        """Prepares for the steps of `optimizer` on the batches of `data_loader`.

        `directions` None are 64, or as many as fit the weights. `max_grad_norm` is the norm to
        which the claim says that gradients are clipped.

        Raises:
            UsageError: For an optimizer that is not Opacus' with one clip norm, and for a number of
                directions that does not fit the weights.
        """
        check_optimizer(optimizer)
        self._optimizer = optimizer
        self._ghost = isinstance(optimizer, DPOptimizerFastGradientClipping)
        weights = list(optimizer.params)
        if directions is None:
            directions = min(DIRECTIONS, _most(weights))
        try:
            self.recorder = StepRecorder(weights, directions, max_grad_norm, seed)
        except ValueError as error:
            rule = f"must be between 1 and {_most(weights)}, the size of the largest weight tensor"
            raise UsageError("directions", rule, str(directions)) from error
        self._sampler = _SamplerRecord(data_loader)
        self._original: Any = None
        self._began = False
        self._batch_size = 0
        self._claimed = _claimed(optimizer)
        self.changed = ""
        self._rooms: dict[int, Tensor] = {}

    @property
    def audits_clipping(self) -> bool:
        """Whether canaries enter before the gradients are clipped."""
        return not self._ghost

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        device: torch.device = next(iter(self._optimizer.params)).device
        return device

    def __enter__(self) -> "OpacusLoop":
        if "pre_step" in vars(self._optimizer):
            rule = "must not be audited twice at once"
            raise UsageError("optimizer", rule, None, "leave the other auditor first")
        self._original = self._optimizer.pre_step
        self._optimizer.pre_step = self._pre_step
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        del self._optimizer.pre_step  # the method of the class shows again
        self._sampler.stop()

    def _pre_step(self, closure: Any = None) -> Any:
        """Takes the place of the optimizer's method, which clips, adds noise and scales."""
        if not self._began:
            self.recorder.begin()
            self._note_changes()
        if self._ghost:
            self._join_clipped()
        else:
            self._join_examples()
        self._began = True
        proceeds = self._original(closure)
        if proceeds:
            self._end()
        return proceeds

    def _note_changes(self) -> None:
        """Keeps the first change of what the claim is about, as by a scheduler."""
        own = _claimed(self._optimizer)
        for name, value in self._claimed.items():
            if own[name] != value and not self.changed:
                step = self.recorder.steps + 1
                self.changed = f"{name} was {value:g} and then {own[name]:g} in step {step}"

    def _join_examples(self) -> None:
        """Adds the canaries' gradients to those of the batch, which are not clipped yet."""
        samples = [_last(weight.grad_sample) for weight in self._optimizer.params]
        if any(getattr(sample, "_processed", False) for sample in samples):
            return  # Opacus refuses gradients that a step has used
        own = [_all(weight.grad_sample) for weight in self._optimizer.params]
        self._batch_size += len(own[0])
        with torch.no_grad():
            sums = clipped([part.detach() for part in own], self.recorder.max_grad_norm)
            self.recorder.add_reference(sums, independent=True)
        if self._began:
            return  # the canaries are in the step since its first part
        count = self.recorder.added
        joined_samples = self._joined(samples, count)
        self.recorder.write_rows(
            [joined[-count:] if count else joined[:0] for joined in joined_samples]
        )
        for weight, joined in zip(self._optimizer.params, joined_samples, strict=True):
            if isinstance(weight.grad_sample, list):
                weight.grad_sample[-1] = joined
            else:
                weight.grad_sample = joined

    def _joined(self, samples: Sequence[Tensor], count: int) -> list[Tensor]:
        """Returns per-example gradients with room for `count` more rows, for each weight.

        The memory is that of the step before, because new memory takes longer than the copy.
        """
        joined = []
        for number, sample in enumerate(samples):
            rows = len(sample) + count
            room = self._rooms.get(number)
            if room is None or len(room) < rows or room.dtype != sample.dtype:
                room = self._rooms[number] = sample.new_empty(rows + rows // 4, *sample.shape[1:])
            room[: len(sample)] = sample
            joined.append(room[:rows])
        return joined

    def _join_clipped(self) -> None:
        """Adds the canaries, clipped, to the sum of the clipped gradients."""
        gradients = [weight.grad for weight in self._optimizer.params]
        with torch.no_grad():
            self.recorder.add_reference(gradients, independent=False)
            if not self._began:
                self.recorder.add_clipped(gradients)

    def _end(self) -> None:
        """Records the noisy sum and takes the canaries out of it."""
        optimizer = self._optimizer
        scale = 1.0
        if optimizer.loss_reduction == "mean":
            scale = float(optimizer.expected_batch_size * optimizer.accumulated_iterations)
        gradients = [weight.grad for weight in optimizer.params]
        size = self._sampler.take(None if self._ghost else self._batch_size)
        if size is None and self._ghost:
            rule = "must be the one whose batches the loop uses, with a batch sampler"
            raise UsageError(
                "data_loader", rule, None, "use Opacus' hooks instead of ghost clipping"
            )
        with torch.no_grad():
            self.recorder.end(gradients, self._batch_size if size is None else size, scale)
            self.recorder.add_clipped(gradients, share=-1 / scale)
        self._began, self._batch_size = False, 0

    def arrays(self) -> dict[str, Any]:
        """Returns the record, as `StepRecorder.arrays`."""
        arrays = self.recorder.arrays()
        return {**arrays, "inclusions": self._sampler.inclusions}


def _most(weights: list[Any]) -> int:
    """Returns the largest number of directions, the size of the largest weight tensor."""
    return max(int(weight.numel()) for weight in weights)


def _claimed(optimizer: Any) -> dict[str, float]:
    """Returns what the optimizer says of its noise and of its clipping."""
    return {name: float(getattr(optimizer, name)) for name in ("noise_multiplier", "max_grad_norm")}


def check_optimizer(optimizer: Any) -> None:
    """Raises UsageError unless `optimizer` is one of Opacus' with one clip norm and noise."""
    kind = type(optimizer).__name__
    if not isinstance(optimizer, DPOptimizer):
        way_out = "pass the optimizer that PrivacyEngine.make_private returns"
        raise UsageError("optimizer", "must be a DPOptimizer of Opacus", kind, way_out)
    names = [base.__name__ for base in type(optimizer).__mro__]
    unsupported = any(word in name for name in names for word in UNSUPPORTED)
    if unsupported or isinstance(optimizer.max_grad_norm, list | tuple):
        rule = "must clip all weights together to one norm, in one process"
        raise UsageError("optimizer", rule, kind, 'use clipping="flat" and one process')
    if optimizer.noise_multiplier == 0:
        raise UsageError("optimizer", "must add noise", "a noise multiplier of 0")


class _SamplerRecord:
    """Keeps the indices of the batches of a data loader's sampler until a step uses them.

    While it is started, the sampler has a class of its own, derived from the one it had: loaders
    and batch splitters that hold the sampler then need not change.
    """

    def __init__(self, data_loader: Any) -> None:
        self._sampler = getattr(data_loader, "batch_sampler", None)
        self._class = type(self._sampler)
        self._waiting: deque[NDArray[np.int64]] = deque()
        self._examples = len(data_loader.dataset)
        self.inclusions: NDArray[np.int64] | None = np.zeros(self._examples, dtype=np.int64)

    def start(self) -> None:
        """Begins to keep the indices of batches."""
        waiting, own = self._waiting, cast(Any, self._class)

        def indices_kept(sampler: Any) -> Iterator[Any]:
            waiting.clear()  # of an epoch that was left before its end
            for batch in own.__iter__(sampler):
                waiting.append(np.asarray(batch, dtype=np.int64))
                yield batch

        try:
            self._sampler.__class__ = type(own.__name__, (own,), {"__iter__": indices_kept})
        except TypeError:  # no sampler, or one whose class cannot be changed
            self.inclusions = None

    def stop(self) -> None:
        """Gives the sampler its class back."""
        if type(self._sampler) is not self._class:
            self._sampler.__class__ = self._class

    def take(self, size: int | None) -> int | None:
        """Counts the examples of the batch of a step, and returns how many it had.

        Batches that the loop skipped are dropped. If none has the `size` that the step had, the
        indices are not known, and no examples are counted from then on. Returns None then.
        """
        while self._waiting and self.inclusions is not None:
            batch = self._waiting.popleft()
            if size is None or len(batch) == size:
                np.add.at(self.inclusions, batch, 1)
                return len(batch)
        self.inclusions = None
        return None


def _all(samples: Any) -> Tensor:
    """Returns per-example gradients of one or several backward passes as one tensor."""
    return torch.cat(samples) if isinstance(samples, list) else samples


def _last(samples: Any) -> Tensor:
    """Returns the per-example gradients of the last backward pass."""
    last: Tensor = samples[-1] if isinstance(samples, list) else samples
    return last
