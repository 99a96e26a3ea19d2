"""The training loop: in-memory tensors, index batches, stacks of models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mgaudit.targets.fitting.augmentation import AUGMENTATIONS
from mgaudit.targets.fitting.batches import stacked_batches
from mgaudit.targets.fitting.examples import Streams, TrainingExamples, fresh_part
from mgaudit.targets.fitting.optimisation import build_optimizer, build_schedule, mean_losses
from mgaudit.targets.fitting.precision import autocast
from mgaudit.targets.fitting.stack import ModelStack
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.training import Training


@dataclass(frozen=True)
class Fitted:
    """How training went: whether the loss of each model of the stack stayed finite, and the steps that each took."""

    finite: list[bool]
    steps: int


@dataclass(frozen=True)
class Moment:
    """Where training stands: the steps `done`, the `losses` (models,) of the last of them, before it was made.

    At 0 steps there are no losses.
    """

    done: int
    losses: Tensor | None
    stack: ModelStack
    optimizer: Optimizer


Watch = Callable[[Moment], None]


def fit(
    models: Sequence[nn.Module],
    examples: TrainingExamples,
    scheme: Scheme,
    training: Training,
    members: float,
    streams: Sequence[Streams],
    watch: Watch | None = None,
    steps: int | None = None,
) -> Fitted:
    """Trains a stack of models in place and returns which of them kept a finite loss, and the steps taken.

    `members` is the number of examples that a model has on average. What the scheme draws once is on the `examples`
    already. A model comes out the same in every stack, up to rounding. `watch` is called before the first step and
    after every one. `steps` are those of an epoch where the batch size does not say so.
    """
    for model in models:
        model.train()
    stack, fresh, device = ModelStack(models), fresh_part(scheme), examples.inputs.device
    steps = training.steps_per_epoch(members) if steps is None else steps
    optimizer = build_optimizer(training, stack.weights.values())
    schedule = build_schedule(training, optimizer, training.epochs * steps)
    finite = torch.ones(len(models), dtype=torch.bool, device=device)
    sizes, orders = [len(rows) for rows in examples.rows], [one.batches for one in streams]
    if watch is not None:
        watch(Moment(0, None, stack, optimizer))
    for epoch in range(training.last_epoch):
        indices, counted = stacked_batches(sizes, members, steps, orders)
        filled = counted.sum(dim=-1).int().tolist()
        indices, counted = indices.to(device), counted.to(device, examples.inputs.dtype)
        for step in range(steps):
            x, y, nodes = _seen(examples, indices[step], filled[step], fresh, training, streams)
            noises = [
                fresh.weight_noise(stack.of_model(model), epoch * steps + step, epoch, one.weights)
                for model, one in enumerate(streams)
            ]
            with autocast(training.precision, device):
                logits = stack.logits(stack.with_noise(noises) if any(noises) else stack.weights, x, nodes)
            losses = mean_losses(training, logits.to(counted.dtype), y, counted[step, :, : y.shape[1]])
            finite &= losses.detach().isfinite()
            optimizer.zero_grad()
            torch.autograd.backward(losses.sum())
            optimizer.step()
            schedule.step()
            if watch is not None:
                watch(Moment(epoch * steps + step + 1, losses.detach(), stack, optimizer))
    stack.close()
    return Fitted(finite.tolist(), training.last_epoch * steps)


def _seen(
    examples: TrainingExamples,
    indices: Tensor,
    filled: Sequence[int],
    fresh: Scheme,
    training: Training,
    streams: Sequence[Streams],
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Returns what the networks see at one step: inputs (models, batch, *input_shape), labels and node values.

    `indices` (models, batch) count within each model's own examples, and of each row only the first `filled` are real.
    """
    batch = indices.shape[1]
    inputs, labels, nodes = [], [], []
    for own, index, size, one in zip(examples.rows, indices, filled, streams, strict=True):
        rows = own[index[:size]]
        x = AUGMENTATIONS[training.augment](examples.inputs[rows], one.augmentation)
        x = fresh.inputs(x, one.inputs)
        values = fresh.node_values(x, one.nodes) if examples.node_values is None else examples.node_values[rows]
        inputs.append(x)
        labels.append(examples.labels[rows])
        nodes += [] if values is None else [values]
    return _filled_up(inputs, batch), _filled_up(labels, batch), _filled_up(nodes, batch) if nodes else None


def _filled_up(rows: Sequence[Tensor], length: int) -> Tensor:
    """Returns the rows as one tensor (rows, length, ...), each with zeros behind it; a single one as it is."""
    if len(rows) == 1:
        return rows[0][None]
    out = rows[0].new_zeros((len(rows), length, *rows[0].shape[1:]))
    for place, row in zip(out, rows, strict=True):
        place[: len(row)] = row
    return out
