"""DP-SGD through Opacus: Poisson sampling and ghost clipping."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping
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
    """Trains `model` in place under `plan` and returns whether its loss stayed finite, and the noisy steps taken.

    `examples` are those of one model; `dp_noise` draws the gradient noise and lives where the inputs are. A batch may
    be empty: its step adds noise alone, as the accountant assumes.
    """
    # Opacus 1.6 unfolds convolution inputs with the strides of the contiguous layout, whatever theirs are. With the
    # channels last its per-example norms are wrong, and nothing is clipped as it should be.
    model.to(memory_format=torch.contiguous_format).train()  # type: ignore[call-overload]
    # contiguous() would leave the strides of grey images as they are.
    inputs, (own,) = examples.inputs.clone(memory_format=torch.contiguous_format), examples.rows
    fresh, augment, node = fresh_part(scheme), AUGMENTATIONS[training.augment], node_in(model)
    weights: dict[str, Tensor] = dict(model.named_parameters())
    wrapped = GradSampleModuleFastGradientClipping(model, max_grad_norm=plan.max_grad_norm)
    optimizer = DPOptimizerFastGradientClipping(
        build_optimizer(training, model.parameters(), private=True),
        noise_multiplier=plan.noise_multiplier,
        max_grad_norm=plan.max_grad_norm,
        expected_batch_size=plan.batch_size,
        generator=dp_noise,
    )
    # The rate falls as if training went on to its last epoch.
    whole = plan.steps if training.last_epoch == training.epochs else round(training.epochs / plan.sample_rate)
    schedule = build_schedule(training, optimizer.original_optimizer, whole)
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
            noise = fresh.weight_noise(weights, taken, taken * plan.sample_rate, streams.weights)
            with _moved(weights, noise):
                losses = cross_entropy(
                    wrapped(x), examples.labels[rows], reduction="none", label_smoothing=training.label_smoothing
                )
                finite &= losses.detach().isfinite().all()
                _clipped_backward(wrapped, optimizer, losses)
        else:
            for parameter in wrapped.parameters():
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        schedule.step()
        taken += 1
    wrapped.to_standard_module()
    if node is not None:
        node.values = None
    return Fitted([bool(finite)], taken)


def _clipped_backward(
    wrapped: GradSampleModuleFastGradientClipping, optimizer: DPOptimizerFastGradientClipping, losses: Tensor
) -> None:
    """Fills in the sum of the clipped gradients of the `losses` (batch,)."""
    with warnings.catch_warnings():
        # Ghost clipping hooks the first layer too, whose inputs need no gradient.
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        DPTensorFastGradientClipping(wrapped, optimizer, losses).backward()


@contextmanager
def _moved(weights: dict[str, Tensor], noise: dict[str, Tensor]) -> Iterator[None]:
    """Holds the weights at weights + noise, and puts them back bit for bit."""
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
