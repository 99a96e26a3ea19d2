"""What the networks of a stack see at each step: their batches, with the noise of the scheme.

The noise of several steps is drawn at once, for one model after the other, and the batches of all
models are gathered at once. So the number of operations of a step hardly depends on the stack.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mgaudit.targets.fitting.augmentation import AUGMENTATIONS
from mgaudit.targets.fitting.batches import Order
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.schemes.scheme import overrides
from mgaudit.targets.training import Training

BYTES_AT_ONCE, STEPS_AT_ONCE = 2**24, 1000  # at most; bytes of the inputs of one model


@dataclass(frozen=True)
class Batch:
    """The batches of all models of a stack at one step.

    `inputs` are (models, batch, *input_shape), `labels` (models, batch) int64 or, for regression,
    (models, batch, outputs), and `node_values` (models, batch) the values of the noise node, None
    without a node. `counted` (models, batch) is 1 for an example and 0 for padding; a single model
    has no padding.
    """

    inputs: Tensor
    labels: Tensor
    node_values: Tensor | None
    counted: Tensor


def steps_at_once(fresh: Scheme, training: Training, inputs: Tensor, batch_size: float) -> int:
    """Returns the number of steps whose noise is drawn at once.

    It does not depend on the stack, so that a model is the same in every stack. It is 1 if what a
    scheme does to an example may depend on the other examples of the batch, and if several draws
    alternate in one stream of random numbers, which would be others if they were drawn at once.

    Args:
        fresh: The part of the scheme whose noise is drawn for each batch.
        training: The settings, whose augmentation is drawn for each batch, too.
        inputs: The examples (rows, *input_shape).
        batch_size: The average number of examples in a batch.
    """
    on_inputs = [part for part in fresh.parts if overrides(part, "inputs")]
    alternates = len(on_inputs) > 1 or training.augment == "crops"
    if alternates or overrides(fresh, "node_values"):
        return 1
    if not all(part.acts_on_each_example for part in on_inputs):
        return 1
    of_example = inputs[:1].numel() * inputs.element_size()
    steps = int(BYTES_AT_ONCE // (math.ceil(batch_size) * of_example))
    return min(max(steps, 1), STEPS_AT_ONCE)


def drawn_batches(
    examples: TrainingExamples,
    order: Order,
    at_once: int,
    fresh: Scheme,
    training: Training,
    streams: Sequence[Streams],
) -> Iterator[Batch]:
    """Yields the batch of each step of an epoch, or of several.

    Args:
        examples: The examples of all models.
        order: Which of them each model sees at each step.
        at_once: The number of steps whose noise is drawn at once.
        fresh: The part of the scheme whose noise is drawn for each batch.
        training: The settings.
        streams: The random streams of each model, which draw its noise and its augmentation.
    """
    device = examples.inputs.device
    in_order = [own[seen.to(device)] for own, seen in zip(examples.rows, order.orders, strict=True)]
    starts = [0] * len(in_order)
    for first in range(0, len(order.sizes), at_once):
        sizes = order.sizes[first : first + at_once]
        stops = [start + sum(own) for start, *own in zip(starts, *sizes, strict=True)]
        rows = [own[start:stop] for own, start, stop in zip(in_order, starts, stops, strict=True)]
        drawn = _drawn(examples, rows, fresh, training, streams)
        yield from _alone(drawn, sizes) if len(rows) == 1 else _padded(drawn, sizes, order.length)
        starts = stops


@dataclass(frozen=True)
class _Drawn:
    """What the models of a stack see at several steps, one model after the other.

    `source` (examples, *input_shape) has the inputs, and `rows` (seen,) says which of them is seen;
    None stands for all in their order. `labels` (seen, ...) and `node_values` (seen,) are as in
    `Batch`.
    """

    source: Tensor
    rows: Tensor | None
    labels: Tensor
    node_values: Tensor | None

    def inputs(self, positions: Tensor | slice) -> Tensor:
        """Returns the inputs at these positions of what is seen."""
        return self.source[positions if self.rows is None else self.rows[positions]]

    def zeros(self) -> "_Drawn":
        """Returns one example of zeros, as padding where no model sees an example."""
        values = None if self.node_values is None else self.node_values.new_zeros(1)
        labels = self.labels.new_zeros((1, *self.labels.shape[1:]))
        return _Drawn(self.source.new_zeros((1, *self.source.shape[1:])), None, labels, values)


def _drawn(
    examples: TrainingExamples,
    rows: Sequence[Tensor],
    fresh: Scheme,
    training: Training,
    streams: Sequence[Streams],
) -> _Drawn:
    """Returns what the models see; `rows[m]` (seen by m,) are the indices of model m's examples."""
    all_rows = torch.cat(list(rows))
    labels = examples.labels[all_rows]
    fixed = None if examples.node_values is None else examples.node_values[all_rows]
    augments = training.augment != "none"
    has_node = examples.node_values is None and overrides(fresh, "node_values")
    if not (augments or has_node or overrides(fresh, "inputs")):
        return _Drawn(examples.inputs, all_rows, labels, fixed)
    augment = AUGMENTATIONS[training.augment]
    inputs, nodes = [], []
    for own, stream in zip(rows, streams, strict=True):
        x = fresh.inputs(augment(examples.inputs[own], stream.augmentation), stream.inputs)
        values = fresh.node_values(x, stream.nodes) if has_node else None
        inputs.append(x)
        if values is not None:
            nodes.append(values)
    return _Drawn(_joined(inputs), None, labels, _joined(nodes) if nodes else fixed)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _alone(drawn: _Drawn, sizes: Sequence[Sequence[int]]) -> Iterator[Batch]:
    """Yields the batches of a single model, whose sizes at each step are (steps, 1)."""
    start = 0
    for (size,) in sizes:
        step = slice(start, start + size)
        values = drawn.node_values
        inputs = drawn.inputs(step)
        yield Batch(
            inputs[None],
            drawn.labels[step][None],
            None if values is None else values[step][None],
            inputs.new_ones((1, size)),
        )
        start += size


def _padded(drawn: _Drawn, sizes: Sequence[Sequence[int]], length: int) -> Iterator[Batch]:
    """Yields the batches of several models, each padded to `length`.

    Padding does not count. It repeats the last example of a batch; a batch without an example
    consists of examples of other batches.
    `sizes` (steps, models) are the numbers of examples.
    """
    if not len(drawn.labels):
        drawn = drawn.zeros()
    counts = torch.tensor(sizes, device=drawn.labels.device)
    column = torch.arange(length, device=counts.device)
    counted = (column < counts[..., None]).to(drawn.source.dtype)
    # What model m sees at a step begins after what it sees before, and after all other models'.
    starts = counts.T.flatten().cumsum(0).view(counts.T.shape).T - counts
    last = (counts[..., None] - 1).clamp(min=0)
    positions = starts[..., None] + torch.minimum(column, last)
    positions = positions.clamp(max=len(drawn.labels) - 1)  # a model without an example at the end
    for step, here in enumerate(positions):
        values = drawn.node_values
        yield Batch(
            drawn.inputs(here).contiguous(),
            drawn.labels[here],
            None if values is None else values[here],
            counted[step],
        )
