"""DP-SGD: Poisson sampling, clipped per-example gradients, and noise by Opacus."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from opacus.optimizers import DPOptimizerFastGradientClipping
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from mgaudit.targets.fitting.augmentation import AUGMENTATIONS
from mgaudit.targets.fitting.averaging import WeightAverage
from mgaudit.targets.fitting.batches import poisson_batches
from mgaudit.targets.fitting.clipping import Clipper, OneBackward
from mgaudit.targets.fitting.examples import Streams, TrainingExamples, fresh_part
from mgaudit.targets.fitting.ghost_clipping import GhostClipping
from mgaudit.targets.fitting.loop import Fitted
from mgaudit.targets.fitting.optimisation import build_optimizer, build_schedule
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.schemes.noise_nodes import node_in
from mgaudit.targets.training import Training


def fit_privately(
    model: nn.Module,
    examples: TrainingExamples,
    scheme: Scheme,
    training: Training,
    plan: PrivacyPlan,
    streams: Streams,
    dp_noise: Generator,
) -> Fitted:
    """Trains `model` in place with DP-SGD.

    `examples` are those of this model alone, with the noise that is drawn once. The other parts of
    `scheme` may add noise in training. `dp_noise` draws the gradient noise on the device of the
    inputs. A batch is processed in parts that fit into memory, and noise is added once to their
    sum. For an empty batch the step consists of noise only, as the accountant assumes. Returns
    whether the loss stayed finite, and the number of noisy steps.
    """
    model.train()
    (own,) = examples.rows
    fresh = fresh_part(scheme)
    augment = AUGMENTATIONS[training.augment]
    node = node_in(model)
    weights: dict[str, Tensor] = dict(model.named_parameters())
    clipper = clipper_of(model, examples.inputs)
    optimizer = _noisy_optimizer(model, training, plan, dp_noise)
    steps = _scheduled_steps(training, plan)
    schedule = build_schedule(training, optimizer.original_optimizer, steps)
    average = WeightAverage(model, plan.averaging)
    finite = torch.ones((), dtype=torch.bool, device=examples.inputs.device)
    taken = 0
    for batch in poisson_batches(len(own), plan.sample_rate, plan.steps, streams.batches):
        rows = own[batch.to(own.device)].repeat_interleave(plan.views)
        optimizer.zero_grad()
        _set_zero_gradients(model)
        x = fresh.inputs(augment(examples.inputs[rows], streams.augmentation), streams.inputs)
        fixed = examples.node_values
        values = fresh.node_values(x, streams.nodes) if fixed is None else fixed[rows]
        epoch = taken * plan.sample_rate
        noise = fresh.weight_noise(weights, taken, epoch, streams.weights) if len(rows) else {}
        with _perturbed(weights, noise):
            for part in _parts(len(rows), clipper.rows_at_once, plan.views):
                if node is not None:
                    node.values = None if values is None else values[part]
                losses = cross_entropy(
                    clipper.logits(x[part]),
                    examples.labels[rows[part]],
                    reduction="none",
                    label_smoothing=training.label_smoothing,
                )
                finite &= losses.detach().isfinite().all()
                clipper.backward(losses, plan.max_grad_norm, plan.views)
        optimizer.step()
        schedule.step()
        average.update()
        taken += 1
    clipper.close()
    average.copy_to_weights()
    if node is not None:
        node.values = None
    return Fitted([bool(finite)], taken)


def clipper_of(model: nn.Module, x: Tensor) -> Clipper:
    """Returns the clipper of `model`, that of one backward pass where it knows the layers.

    `x` (1 or more, *input_shape) are some inputs.
    """
    return OneBackward.of_network(model, x) or GhostClipping(model)


def _parts(rows: int, at_once: int, views: int) -> Iterator[slice]:
    """Yields slices of `rows` rows, of at most `at_once` rows but at least the views of one."""
    length = max(at_once // views, 1) * views
    for start in range(0, rows, length):
        yield slice(start, start + length)


def _noisy_optimizer(
    model: nn.Module, training: Training, plan: PrivacyPlan, dp_noise: Generator
) -> DPOptimizerFastGradientClipping:
    """Returns the optimizer that adds the noise of `plan` to the sum of clipped gradients."""
    return DPOptimizerFastGradientClipping(
        build_optimizer(training, model.parameters(), private=True),
        noise_multiplier=plan.noise_multiplier,
        max_grad_norm=plan.max_grad_norm,
        expected_batch_size=plan.batch_size,
        generator=dp_noise,
    )


def _set_zero_gradients(model: nn.Module) -> None:
    """Sets the gradients of all weights to 0, which remain noise alone if no example follows."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)


def _scheduled_steps(training: Training, plan: PrivacyPlan) -> int:
    """Returns the number of steps of all epochs, also those after an early stop.

    The learning rate decreases over this number of steps.
    """
    if training.last_epoch == training.epochs:
        return plan.steps
    return round(training.epochs / plan.sample_rate)


@contextmanager
def _perturbed(weights: dict[str, Tensor], noise: dict[str, Tensor]) -> Iterator[None]:
    """Adds the noise to the weights temporarily, and restores them bit for bit."""
    before = {name: weights[name].detach().clone() for name in noise}
    with torch.no_grad():
        for name, shift in noise.items():
            weights[name].add_(shift)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in before.items():
                weights[name].copy_(value)
