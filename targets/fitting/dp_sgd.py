"""DP-SGD with Opacus: Poisson sampling and ghost clipping."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
    GradSampleModuleFastGradientClipping,
)
from opacus.optimizers import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from mgaudit.targets.fitting.augmentation import AUGMENTATIONS
from mgaudit.targets.fitting.batches import poisson_batches
from mgaudit.targets.fitting.examples import Streams, TrainingExamples, fresh_part
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
    inputs. For an empty batch the step consists of noise only, as the accountant assumes. Returns
    whether the loss stayed finite, and the number of noisy steps.
    """
    _use_contiguous_layout(model)
    model.train()
    # contiguous() would not change the strides of grey images.
    inputs = examples.inputs.clone(memory_format=torch.contiguous_format)
    (own,) = examples.rows
    fresh = fresh_part(scheme)
    augment = AUGMENTATIONS[training.augment]
    node = node_in(model)
    weights: dict[str, Tensor] = dict(model.named_parameters())
    wrapped = GradSampleModuleFastGradientClipping(model, max_grad_norm=plan.max_grad_norm)
    optimizer = _noisy_optimizer(model, training, plan, dp_noise)
    steps = _scheduled_steps(training, plan)
    schedule = build_schedule(training, optimizer.original_optimizer, steps)
    finite = torch.ones((), dtype=torch.bool, device=inputs.device)
    taken = 0
    for batch in poisson_batches(len(own), plan.sample_rate, plan.steps, streams.batches):
        rows = own[batch.to(own.device)]
        optimizer.zero_grad()
        if len(rows):
            x = fresh.inputs(augment(inputs[rows], streams.augmentation), streams.inputs)
            if node is not None:
                fixed = examples.node_values
                node.values = fresh.node_values(x, streams.nodes) if fixed is None else fixed[rows]
            epoch = taken * plan.sample_rate
            noise = fresh.weight_noise(weights, taken, epoch, streams.weights)
            with _perturbed(weights, noise):
                losses = cross_entropy(
                    wrapped(x),
                    examples.labels[rows],
                    reduction="none",
                    label_smoothing=training.label_smoothing,
                )
                finite &= losses.detach().isfinite().all()
                _clipped_backward(wrapped, optimizer, losses)
        else:
            _set_zero_gradients(wrapped)
        optimizer.step()
        schedule.step()
        taken += 1
    wrapped.to_standard_module()
    if node is not None:
        node.values = None
    return Fitted([bool(finite)], taken)


def _use_contiguous_layout(model: nn.Module) -> None:
    """Stores the weights of `model` in row-major order, in place."""
    # Opacus 1.6 unfolds convolution inputs with the strides of the contiguous layout, whatever
    # their own. In channels-last order, its per-example norms would be wrong, and therefore the
    # clipping.
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


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
    """Sets all gradients to 0, so that a step consists of noise only."""
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)


def _scheduled_steps(training: Training, plan: PrivacyPlan) -> int:
    """Returns the number of steps of all epochs, also those after an early stop.

    The learning rate decreases over this number of steps.
    """
    if training.last_epoch == training.epochs:
        return plan.steps
    return round(training.epochs / plan.sample_rate)


def _clipped_backward(
    wrapped: GradSampleModuleFastGradientClipping,
    optimizer: DPOptimizerFastGradientClipping,
    losses: Tensor,
) -> None:
    """Sets the gradient of each weight to the sum of the clipped gradients of `losses` (batch,)."""
    with warnings.catch_warnings():
        # Ghost clipping also hooks the first layer, whose inputs need no gradient.
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        DPTensorFastGradientClipping(wrapped, optimizer, losses).backward()


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
