"""DP-SGD: Poisson sampling, clipped per-example gradients, and noise."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace

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
from mgaudit.targets.schemes.scheme import overrides
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
    """Trains `model` in place with DP-SGD, as a stack of one model by `fit_stack_privately`.

    `observe` returns a white-box adversary for a model and its plan, who takes part in every step.
    """
    return fit_stack_privately(
        [model], examples, scheme, training, plan, [streams], [dp_noise], observe
    )


def fit_stack_privately(
    models: Sequence[nn.Module],
    examples: TrainingExamples,
    scheme: Scheme,
    training: Training,
    plan: PrivacyPlan,
    streams: Sequence[Streams],
    dp_noises: Sequence[Generator],
    observe: Observe | None = None,
) -> Fitted:
    """Trains a stack of models in place with DP-SGD; a model is the same in every stack.

    For an empty batch the step consists of noise only, as the accountant assumes. Networks with a
    layer that only Opacus clips are trained one by one.

    Args:
        models: The networks with their initial weights, of one architecture.
        examples: The examples of all models, with the noise that is drawn once.
        scheme: The scheme, whose other parts may add noise in training.
        training: The settings as modified by the scheme.
        plan: The parameters of DP-SGD.
        streams: The random streams of each model.
        dp_noises: Draw the gradient noise of each model on the device of the inputs.
        observe: Returns a white-box adversary for a single model.

    Returns:
        Which of the models had a finite loss at every step, and the number of noisy steps.
    """
    for model in models:
        model.train()
    witness = None if observe is None else observe(models[0], plan)
    clipper = _clipper_of_stack(models, examples.inputs)
    if clipper is None:
        return _one_by_one(models, examples, scheme, training, plan, streams, dp_noises)
    step = _Step(models, examples, fresh_part(scheme), training, plan, streams, clipper, witness)
    finite = _taken(step, NoisySums(models, plan, dp_noises))
    clipper.close()
    for model in models:
        node = node_in(model)
        if node is not None:
            node.values = None
    return Fitted(finite.tolist(), plan.steps)


def _taken(step: "_Step", sums: NoisySums) -> Tensor:
    """Takes all steps; returns which of the models had a finite loss at each of them."""
    training, plan, witness = step.training, step.plan, step.witness
    together = nn.ModuleList(step.models)
    optimizer = build_optimizer(training, together.parameters(), private=True)
    schedule = build_schedule(training, optimizer, _scheduled_steps(training, plan))
    average = WeightAverage(together, plan.averaging)
    examples = step.examples
    finite = torch.ones(len(step.models), dtype=torch.bool, device=examples.inputs.device)
    for taken, batches in enumerate(_batches_of_steps(examples, plan, step.streams)):
        sums.begin()
        if witness is not None:
            witness.begin(len(examples.rows[0]), batches[0])
        finite &= step.add_gradients(batches, taken)
        sums.complete()
        if witness is not None:
            witness.joins(step.clipper)
        sums.end()
        if witness is not None:
            witness.ends()
        optimizer.step()
        schedule.step()
        average.update()
    average.copy_to_weights()
    return finite


def _one_by_one(
    models: Sequence[nn.Module],
    examples: TrainingExamples,
    scheme: Scheme,
    training: Training,
    plan: PrivacyPlan,
    streams: Sequence[Streams],
    dp_noises: Sequence[Generator],
) -> Fitted:
    """Trains models one after the other; the arguments are those of `fit_stack_privately`."""
    fitted = []
    for model, rows, stream, noise in zip(models, examples.rows, streams, dp_noises, strict=True):
        own = replace(examples, rows=(rows,))
        fitted.append(fit_privately(model, own, scheme, training, plan, stream, noise))
    finite = [of_model for alone in fitted for of_model in alone.finite]
    return Fitted(finite, fitted[0].steps)


def _batches_of_steps(
    examples: TrainingExamples, plan: PrivacyPlan, streams: Sequence[Streams]
) -> Iterator[tuple[Tensor, ...]]:
    """Yields the batches of each step: indices (batch,) of each model's own examples."""
    of_models = [
        poisson_batches(len(own), plan.sample_rate, plan.steps, stream.batches)
        for own, stream in zip(examples.rows, streams, strict=True)
    ]
    return zip(*of_models, strict=True)


@dataclass(frozen=True)
class _Step:
    """What the steps of a training share; the arguments are those of `fit_stack_privately`.

    `fresh` is the part of the scheme whose noise is drawn for each batch.
    """

    models: Sequence[nn.Module]
    examples: TrainingExamples
    fresh: Scheme
    training: Training
    plan: PrivacyPlan
    streams: Sequence[Streams]
    clipper: Clipper
    witness: Witness | None = None

    def add_gradients(self, batches: Sequence[Tensor], taken: int) -> Tensor:
        """Adds the sums of the clipped gradients of batches to the gradients of the weights.

        `batches` are those of each model, and `taken` is the number of steps before. Returns
        whether all losses of each model are finite.
        """
        finite = torch.ones(len(self.models), dtype=torch.bool, device=self.examples.inputs.device)
        views, at_once = self.plan.views, self.clipper.rows_at_once
        seen = [self._seen(model, batch) for model, batch in enumerate(batches)]
        parts = [list(parts_of_rows(len(own.rows), at_once, views)) for own in seen]
        with ExitStack() as perturbations:
            for model, own in enumerate(seen):
                if len(own.rows) and overrides(self.fresh, "weight_noise"):
                    perturbations.enter_context(self._perturbed(model, taken))
            for number in range(max(map(len, parts))):
                present = [
                    own.part(of_model[number] if number < len(of_model) else slice(0, 0))
                    for own, of_model in zip(seen, parts, strict=True)
                ]
                finite &= self._add_part(present)
        return finite

    def _seen(self, model: int, batch: Tensor) -> "_Seen":
        """Returns what a model sees of its `batch`; `inputs` are None if they are the examples'."""
        examples, fresh, stream = self.examples, self.fresh, self.streams[model]
        own = examples.rows[model]
        rows = own[batch.to(own.device)]
        if self.plan.views > 1:
            rows = rows.repeat_interleave(self.plan.views)
        if not len(rows):  # a scheme of the user's own may not expect an empty batch
            return _Seen(rows, None, None)
        changes = self.training.augment != "none" or overrides(fresh, "inputs")
        has_node = overrides(fresh, "node_values")
        fixed = examples.node_values
        if not (changes or has_node):
            return _Seen(rows, None, None if fixed is None else fixed[rows])
        augment = AUGMENTATIONS[self.training.augment]
        x = fresh.inputs(augment(examples.inputs[rows], stream.augmentation), stream.inputs)
        values = fresh.node_values(x, stream.nodes) if fixed is None else fixed[rows]
        return _Seen(rows, x, values)

    def _perturbed(self, model: int, taken: int) -> AbstractContextManager[None]:
        """Returns the context in which the weights of a model have the noise of the step."""
        weights: dict[str, Tensor] = dict(self.models[model].named_parameters())
        stream, epochs = self.streams[model].weights, taken * self.plan.sample_rate
        return _perturbed(weights, self.fresh.weight_noise(weights, taken, epochs, stream))

    def _add_part(self, seen: Sequence["_Seen"]) -> Tensor:
        """Adds the gradients of what the models see; returns which losses are finite."""
        examples, plan = self.examples, self.plan
        sizes = [len(own.rows) for own in seen]
        rows = _joined([own.rows for own in seen])
        changed = [own.inputs for own in seen if own.inputs is not None]
        x = _joined(changed) if changed else examples.inputs[rows]
        labels = examples.labels[rows]
        node = node_in(self.models[0])
        if node is not None:
            values = [own.node_values for own in seen if own.node_values is not None]
            node.values = _joined(values) if values else None
        losses = self._losses(self.clipper.logits(x, sizes), labels)
        finite = _all_finite(losses.detach(), sizes)
        if self.witness is not None:
            self.witness.sees(x, labels, self._losses, plan.views)
        self.clipper.backward(losses, plan.max_grad_norm, plan.views)
        return finite

    def _losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the losses (rows,) of logits (rows, classes)."""
        smoothing = self.training.label_smoothing
        return cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)


@dataclass(frozen=True)
class _Seen:
    """What a model sees at a step, or of a part of it.

    `rows` (seen,) are the indices of the examples, each as often as it has views. `inputs` (seen,
    *input_shape) are None if they are those of the examples, and `node_values` (seen,) are None
    without a node.
    """

    rows: Tensor
    inputs: Tensor | None
    node_values: Tensor | None

    def part(self, seen: slice) -> "_Seen":
        """Returns a part of what the model sees."""
        inputs, values = self.inputs, self.node_values
        return _Seen(
            self.rows[seen],
            None if inputs is None else inputs[seen],
            None if values is None else values[seen],
        )


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _all_finite(losses: Tensor, sizes: Sequence[int]) -> Tensor:
    """Returns whether all losses of each model (models,) are finite.

    `losses` are (rows,), of which the first `sizes[0]` are those of the first model, and so on.
    """
    finite = losses.isfinite()
    if len(sizes) == 1:
        return finite.all()[None]
    return torch.stack([of_model.all() for of_model in torch.split(finite, list(sizes))])


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


def _clipper_of_stack(models: Sequence[nn.Module], x: Tensor) -> Clipper | None:
    """Returns the clipper of a stack, or None for several models that only Opacus clips."""
    if len(models) == 1:
        return clipper_of(models[0], x)
    return OneBackward.of_stack(models, x)


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
