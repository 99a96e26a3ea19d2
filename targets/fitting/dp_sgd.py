"""DP-SGD: Poisson sampling, clipped per-example gradients, and noise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy

from mgaudit.targets.fitting.augmentation import AUGMENTATIONS
from mgaudit.targets.fitting.averaging import WeightAverage
from mgaudit.targets.fitting.batches import parts_of_rows, poisson_batches
from mgaudit.targets.fitting.clipping import Clipper, OneBackward
from mgaudit.targets.fitting.examples import Streams, TrainingExamples, fresh_part
from mgaudit.targets.fitting.loop import Fitted
from mgaudit.targets.fitting.noisy_sums import NoisySums
from mgaudit.targets.fitting.optimisation import build_optimizer, build_schedule
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.schemes.noise_nodes import node_in
from mgaudit.targets.training import Training
from mgaudit.targets.white_box.witness import Witness

Observe = Callable[[nn.Module, PrivacyPlan], Witness]


def fit_privately(
    model: nn.Module,
    examples: TrainingExamples,
    scheme: Scheme,
    training: Training,
    plan: PrivacyPlan,
    streams: Streams,
    dp_noise: Generator,
    observe: Observe | None = None,
) -> Fitted:
    """Trains `model` in place with DP-SGD.

    `examples` are those of this model alone, with the noise that is drawn once. The other parts of
    `scheme` may add noise in training. `dp_noise` draws the gradient noise on the device of the
    inputs. A batch is processed in parts that fit into memory, and noise is added once to their
    sum. For an empty batch the step consists of noise only, as the accountant assumes. `observe`
    returns a white-box adversary for a model and its plan, who takes part in every step. Returns
    whether the loss stayed finite, and the number of noisy steps.
    """
    model.train()
    (own,) = examples.rows
    witness = None if observe is None else observe(model, plan)
    clipper = clipper_of(model, examples.inputs)
    step = _Step(model, examples, fresh_part(scheme), training, plan, streams, clipper, witness)
    sums = NoisySums(model, plan, dp_noise)
    optimizer = build_optimizer(training, model.parameters(), private=True)
    schedule = build_schedule(training, optimizer, _scheduled_steps(training, plan))
    average = WeightAverage(model, plan.averaging)
    finite = torch.ones((), dtype=torch.bool, device=examples.inputs.device)
    taken = 0
    for batch in poisson_batches(len(own), plan.sample_rate, plan.steps, streams.batches):
        sums.begin()
        if witness is not None:
            witness.begin(len(own), batch)
        if len(batch):  # a scheme of the user's own may not expect an empty batch
            rows = own[batch.to(own.device)].repeat_interleave(plan.views)
            finite &= step.add_gradients(rows, taken)
        if witness is not None:
            witness.joins(clipper)
        sums.end()
        if witness is not None:
            witness.ends()
        optimizer.step()
        schedule.step()
        average.update()
        taken += 1
    clipper.close()
    average.copy_to_weights()
    node = node_in(model)
    if node is not None:
        node.values = None
    return Fitted([bool(finite)], taken)


@dataclass(frozen=True)
class _Step:
    """What the steps of a training share; the arguments are those of `fit_privately`.

    `fresh` is the part of the scheme whose noise is drawn for each batch.
    """

    model: nn.Module
    examples: TrainingExamples
    fresh: Scheme
    training: Training
    plan: PrivacyPlan
    streams: Streams
    clipper: Clipper
    witness: Witness | None = None

    def add_gradients(self, rows: Tensor, taken: int) -> Tensor:
        """Adds the sum of the clipped gradients of a batch to the gradients of the weights.

        `rows` (views,) are the indices of the examples, each as often as it has views, and `taken`
        is the number of steps before. Returns whether all losses are finite.
        """
        examples, fresh, streams, plan = self.examples, self.fresh, self.streams, self.plan
        augment = AUGMENTATIONS[self.training.augment]
        x = fresh.inputs(augment(examples.inputs[rows], streams.augmentation), streams.inputs)
        node, fixed = node_in(self.model), examples.node_values
        values = fresh.node_values(x, streams.nodes) if fixed is None else fixed[rows]
        weights: dict[str, Tensor] = dict(self.model.named_parameters())
        noise = fresh.weight_noise(weights, taken, taken * plan.sample_rate, streams.weights)
        finite = torch.ones((), dtype=torch.bool, device=x.device)
        with _perturbed(weights, noise):
            for part in parts_of_rows(len(rows), self.clipper.rows_at_once, plan.views):
                if node is not None:
                    node.values = None if values is None else values[part]
                labels = examples.labels[rows[part]]
                losses = self._losses(self.clipper.logits(x[part]), labels)
                finite &= losses.detach().isfinite().all()
                if self.witness is not None:
                    self.witness.sees(x[part], labels, self._losses, plan.views)
                self.clipper.backward(losses, plan.max_grad_norm, plan.views)
        return finite

    def _losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the losses (rows,) of logits (rows, classes)."""
        smoothing = self.training.label_smoothing
        return cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)


def clipper_of(model: nn.Module, x: Tensor) -> Clipper:
    """Returns the clipper of `model`, that of one backward pass where it knows the layers.

    `x` (1 or more, *input_shape) are some inputs.
    """
    known = OneBackward.of_network(model, x)
    if known is not None:
        return known
    # Imported here: Opacus takes as long to import as torch, and few networks need it.
    from mgaudit.targets.fitting.ghost_clipping import GhostClipping

    return GhostClipping(model)


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
