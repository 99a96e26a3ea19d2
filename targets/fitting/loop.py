"""The training loop for a stack, that is, for models that are trained together.

All examples are in memory, and a batch is a tensor of indices.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mgaudit.targets.fitting.batches import shuffled_order
from mgaudit.targets.fitting.drawn_batches import drawn_batches, steps_at_once
from mgaudit.targets.fitting.examples import Streams, TrainingExamples, fresh_part
from mgaudit.targets.fitting.optimisation import build_optimizer, build_schedule, mean_losses
from mgaudit.targets.fitting.precision import autocast
from mgaudit.targets.fitting.stack import ModelStack, Weights
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.schemes.scheme import overrides
from mgaudit.targets.training import Training


@dataclass(frozen=True)
class Fitted:
    """What training returns: whether each model's loss stayed finite, and the steps of a model."""

    finite: list[bool]
    steps: int


@dataclass(frozen=True)
class Moment:
    """The state of training at one point in time, after `done` steps.

    `losses` (models,) are the mean losses of the last step's batches, computed before its update;
    None after 0 steps.
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
    draws: bool = False,
) -> Fitted:
    """Trains a stack of models in place; a model is the same in every stack, up to rounding.

    Args:
        models: The networks with their initial weights, of one architecture.
        examples: The examples of all models, with the noise that is drawn once.
        scheme: The scheme; its noise that is drawn for each batch is added here.
        training, streams: The settings as modified by the scheme; the random streams of each model.
        members: The average number of examples of a model.
        watch, steps: Called before the first and after every step; steps per epoch, if not default.
        draws: Whether layers draw random numbers; then there is one model, which has its own.

    Returns:
        Which of the models had a finite loss at every step, and the number of steps.
    """
    stack = ModelStack(models, streams[0].layers if draws else None)
    fresh = fresh_part(scheme)
    device = examples.inputs.device
    steps = training.steps_per_epoch(members) if steps is None else steps
    optimizer = build_optimizer(training, stack.weights.values())
    schedule = build_schedule(training, optimizer, training.epochs * steps)
    sizes = [len(rows) for rows in examples.rows]
    generators = [stream.batches for stream in streams]
    finite = torch.ones(len(models), dtype=torch.bool, device=device)
    if watch is not None:
        watch(Moment(0, None, stack, optimizer))
    at_once = steps_at_once(fresh, training, examples.inputs, members / steps)
    epochs_at_once = max(1, at_once // steps)
    for first in range(0, training.last_epoch, epochs_at_once):
        epochs = min(epochs_at_once, training.last_epoch - first)
        order = shuffled_order(sizes, members, steps, generators, epochs)
        batches = drawn_batches(examples, order, at_once, fresh, training, streams)
        for done, batch in enumerate(batches, start=first * steps):
            weights = _perturbed_weights(stack, fresh, done, done // steps, streams)
            with autocast(training.precision, device):
                logits = stack.logits(weights, batch.inputs, batch.node_values)
            logits = logits.to(batch.counted.dtype)
            losses = mean_losses(training, logits, batch.labels, batch.counted)
            finite &= losses.detach().isfinite()
            optimizer.zero_grad()
            torch.autograd.backward(losses.sum())
            optimizer.step()
            schedule.step()
            if watch is not None:
                watch(Moment(done + 1, losses.detach(), stack, optimizer))
    stack.close()
    return Fitted(finite.tolist(), training.last_epoch * steps)


def _perturbed_weights(
    stack: ModelStack, fresh: Scheme, done: int, epoch: int, streams: Sequence[Streams]
) -> Weights:
    """Returns the weights of all models with the noise of one step added, if there is any.

    `done` is the number of steps before this one, in all epochs. Without noise, the weights of the
    stack are returned, not a copy of them.
    """
    if not overrides(fresh, "weight_noise"):
        return stack.weights
    noises = [
        fresh.weight_noise(stack.of_model(model), done, epoch, stream.weights)
        for model, stream in enumerate(streams)
    ]
    return stack.with_noise(noises) if any(noises) else stack.weights
