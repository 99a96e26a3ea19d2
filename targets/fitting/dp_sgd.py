"""DP-SGD through Opacus: Poisson sampling, ghost clipping, the PRV accountant."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from opacus.accountants import PRVAccountant
from opacus.accountants.utils import get_noise_multiplier
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from mgaudit.errors import UsageError
from mgaudit.targets.fitting.augmentation import AUGMENTATIONS
from mgaudit.targets.fitting.batches import poisson_batches
from mgaudit.targets.fitting.examples import Examples, Streams, fresh_part
from mgaudit.targets.fitting.loop import Fitted
from mgaudit.targets.fitting.optimisation import build_optimizer, build_schedule
from mgaudit.targets.schemes import DPSGD, Scheme
from mgaudit.targets.schemes.noise_nodes import node_in
from mgaudit.targets.training import Training


@contextmanager
def _without_opacus_chatter() -> Iterator[None]:
    """Silences two warnings that say nothing about the result.

    Ghost clipping hooks the first layer, whose inputs need no gradient; and the PRV accountant asks the RDP one
    for a domain that is wide enough, for which its grid of orders is good enough.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        warnings.filterwarnings("ignore", message="Optimal order is the (largest|smallest) alpha")
        yield


@dataclass(frozen=True)
class PrivacyPlan:
    """What DP-SGD does to every model of an ensemble, fixed before any membership is looked at.

    `noise_multiplier` is in units of `max_grad_norm`; each of the `steps` takes each example with probability
    `sample_rate`; gradient sums are divided by `batch_size`, the expected size of a batch. `epsilon` (nats) is the
    accountant's upper bound after all steps, infinite without noise.
    """

    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    steps: int
    batch_size: int
    delta: float
    epsilon: float


def plan_privacy(scheme: DPSGD, training: Training, n: float) -> PrivacyPlan:
    """Returns the plan for models whose expected number of training examples is `n`.

    Sample rate, steps and delta follow from n, which is known beforehand: a rate that followed a model's true number
    would itself depend on the private data. The noise multiplier for a given
    epsilon is found by bisection on the PRV accountant (Gopi et al. 2021), to within 0.01 below epsilon.
    """
    delta = default_delta(n) if scheme.delta is None else scheme.delta
    if delta >= 1 / n:
        raise ValueError(
            f"delta must be < 1/n = {1 / n:.3g} for n = {n:g} expected training examples, got {delta}: "
            "at 1/n a mechanism may publish one whole example and still comply"
        )
    if training.loss != "cross-entropy":
        raise ValueError(f"loss must be cross-entropy for DP-SGD, got {training.loss!r}; leave DP-SGD out with --no-dp")
    if training.batch_size > n:
        raise ValueError(
            f"batch_size must be <= {n:g}, the expected number of training examples, for DP-SGD, "
            f"got {training.batch_size}; use a smaller --batch-size or more examples"
        )
    sample_rate = training.batch_size / n
    steps = round(training.last_epoch / sample_rate)
    with _limits_of_the_accountant(scheme, delta, training.epochs):
        noise_multiplier = _noise_multiplier(scheme, delta, sample_rate, steps)
        epsilon = epsilon_spent(noise_multiplier, sample_rate, steps, delta)
    return PrivacyPlan(
        noise_multiplier=noise_multiplier,
        max_grad_norm=scheme.max_grad_norm,
        sample_rate=sample_rate,
        steps=steps,
        batch_size=training.batch_size,
        delta=delta,
        epsilon=epsilon,
    )


def _noise_multiplier(scheme: DPSGD, delta: float, sample_rate: float, steps: int) -> float:
    if scheme.epsilon is None:
        assert scheme.noise_multiplier is not None  # DPSGD holds exactly one of the two
        return scheme.noise_multiplier
    with _without_opacus_chatter():
        multiplier = get_noise_multiplier(
            target_epsilon=scheme.epsilon,
            target_delta=delta,
            sample_rate=sample_rate,
            steps=steps,
            accountant="prv",
        )
    return float(multiplier)


@contextmanager
def _limits_of_the_accountant(scheme: DPSGD, delta: float, epochs: int) -> Iterator[None]:
    """Names the setting that the accountant cannot compute with, where its arithmetic fails."""
    try:
        with np.errstate(divide="ignore"):
            yield
    except MemoryError as error:
        rule = "must be so few that the accountant of DP-SGD can hold their steps in memory"
        raise UsageError("epochs", rule, str(epochs), "use fewer, or a larger --batch-size") from error
    except OverflowError as error:
        rule = "must be a number that the accountant of DP-SGD can compute with"
        multiplier = f"{scheme.noise_multiplier}"
        raise UsageError("noise_multiplier", rule, multiplier, "use a smaller one, such as 100") from error
    except (ZeroDivisionError, ValueError) as error:
        rule = "must be so large that rounding errors of the accountant of DP-SGD do not exceed it"
        raise UsageError("delta", rule, str(delta), "use a larger --delta, such as 1e-6") from error


def default_delta(n: float) -> float:
    """Returns 1 / n^1.1, a little less than one in the number of training examples."""
    return float(n**-1.1)


def epsilon_spent(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """Returns the PRV accountant's upper bound on epsilon (nats, add/remove adjacency) after `steps` steps."""
    if noise_multiplier == 0:
        return math.inf
    accountant = PRVAccountant()
    accountant.history = [(noise_multiplier, sample_rate, steps)]
    with _without_opacus_chatter():
        return float(accountant.get_epsilon(delta))


def fit_privately(
    model: nn.Module,
    examples: Examples,
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
                with _without_opacus_chatter():
                    DPTensorFastGradientClipping(wrapped, optimizer, losses).backward()
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
