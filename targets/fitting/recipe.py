"""Training of models from a recipe, the settings that all models of an ensemble share."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.parameter import is_lazy

from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.federated import client_streams, fit_federated
from mgaudit.targets.fitting.loop import Fitted, Watch, fit
from mgaudit.targets.fitting.precision import exactness
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.fitting.stack import without_vmap_warnings
from mgaudit.targets.fitting.traits import PER_EXAMPLE, Traits
from mgaudit.targets.networks import MLP
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.schemes.noise_nodes import without_node
from mgaudit.targets.schemes.scheme import overrides
from mgaudit.targets.seeds import default_generators_seeded, stream, torch_generator
from mgaudit.targets.training import Training

if TYPE_CHECKING:
    from mgaudit.targets.fitting.dp_sgd import Observe

Target = Callable[[tuple[int, ...], int], nn.Module]


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a trained model except its data and its index.

    `target` builds the network from (input_shape, classes); `training` are the settings as modified
    by the scheme; `plan` holds the parameters of DP-SGD and is None without DP-SGD. `members` is
    the average number of examples of a model, and `stack` the number of models that are trained as
    one stack, that is, together by vectorised operations. `traits` are those of the network.
    """

    target: Target
    scheme: Scheme
    training: Training
    plan: PrivacyPlan | None
    seed: int
    members: float
    stack: int = 1
    traits: Traits = PER_EXAMPLE


@dataclass(frozen=True)
class TrainedModel:
    """A trained model: weights and buffers by name, number of steps, and seconds of training.

    A `diverged` model, whose loss or weights became NaN or infinite, has no weights.
    """

    weights: dict[str, NDArray[np.float32]]
    steps: int
    seconds: float = 0.0
    diverged: bool = False


def initial_model(
    target: Target, input_shape: tuple[int, ...], classes: int, seed: int
) -> nn.Module:
    """Returns a new network whose initial weights are determined by `seed`.

    Layers always draw their initial weights from torch's global generator, so it is seeded for the
    construction and restored afterwards.
    """
    with default_generators_seeded(seed):
        model = target(input_shape, classes)
        if isinstance(model, nn.Module) and any(map(is_lazy, model.parameters())):
            with torch.no_grad():  # the first batch gives lazy layers their shapes and weights
                model.eval()(torch.zeros(2, *input_shape))
            model.train()
        return model


def train(
    recipe: Recipe,
    dataset: Dataset,
    membership: NDArray[np.bool_],
    indices: Sequence[int],
    device: str,
) -> list[TrainedModel]:
    """Returns the models with these `indices` in the ensemble, trained as one stack.

    `dataset` is standardised, and row i of `membership` (models, examples) marks the training
    examples of model `indices[i]`. There are 1 to `recipe.stack` indices. A stack that is not full
    is padded with copies of its last model, so that a model is the same, bit for bit, whichever
    other models are missing; with DP-SGD it is the same without padding. A stack that does not fit
    into the memory of the GPU is split in half, which can change the rounding.
    Training uses one thread, so that the weights do not depend on the number of workers on the
    machine.
    """
    missing = recipe.stack - len(indices) if recipe.plan is None else 0
    padded = [*indices, *[indices[-1]] * missing]
    padding = np.repeat(membership[-1:], missing, axis=0)
    rows = np.concatenate([membership, padding])
    started = time.perf_counter()
    with one_thread(), without_vmap_warnings():
        trained = _train(recipe, dataset, rows, padded, torch.device(device))
    seconds = (time.perf_counter() - started) / len(indices)
    return [replace(model, seconds=seconds) for model in trained[: len(indices)]]


def _train(
    recipe: Recipe,
    dataset: Dataset,
    membership: NDArray[np.bool_],
    indices: Sequence[int],
    device: torch.device,
) -> list[TrainedModel]:
    """Returns the models of `train_at_once`, in smaller stacks if memory is short."""
    try:
        return train_at_once(recipe, dataset, membership, indices, device)
    except torch.OutOfMemoryError:
        if len(indices) == 1:
            raise
    half = len(indices) // 2
    torch.cuda.empty_cache()
    trained = []
    for part in (slice(None, half), slice(half, None)):
        trained += _train(recipe, dataset, membership[part], indices[part], device)
    return trained


def train_at_once(
    recipe: Recipe,
    dataset: Dataset,
    membership: NDArray[np.bool_],
    indices: Sequence[int],
    device: torch.device,
    watch: Watch | None = None,
    observe: "Observe | None" = None,
) -> list[TrainedModel]:
    """Returns the models with these `indices`, trained as one stack whatever the recipe's size.

    `dataset` and `membership` are as for `train`. `watch` is called before the first step and after
    every step. `observe` returns a white-box adversary for a single model with DP-SGD; others have
    none.

    Raises:
        ValueError: For `watch` with DP-SGD or clients, which do not call it, and for a network with
            BatchNorm, dropout or the like in a stack, with clients or with DP-SGD.
    """
    together = len(indices) > 1 or recipe.training.clients > 1 or recipe.plan is not None
    if together and not recipe.traits.per_example:
        raise ValueError(
            f"recipe must train one model at a time, without clients and DP-SGD, for a network "
            f"with {recipe.traits.cause}"
        )
    if watch is not None and (recipe.plan is not None or recipe.training.clients > 1):
        raise ValueError(
            "recipe must be one of plain training to be watched, without DP-SGD and without clients"
        )
    models = _initial_models(recipe, dataset, indices, device)
    streams = [Streams.of_model(recipe.seed, index, device) for index in indices]
    examples = _training_examples(dataset, membership, device)
    if examples.inputs.ndim == 4 and _needs_channels_last(recipe, models[0]):
        # oneDNN and cuDNN convolve faster in channels-last order. Noise is drawn in memory order,
        # so a stack must store its inputs as a single model does; vmap does not support such
        # weights.
        inputs = examples.inputs.to(memory_format=torch.channels_last)
        examples = replace(examples, inputs=inputs)
        alone = len(models) == 1 and recipe.training.clients == 1
        if alone or recipe.plan is not None:
            last = torch.channels_last
            models = [model.to(memory_format=last) for model in models]  # type: ignore[call-overload]
    examples = examples.with_fixed_noise(recipe.scheme, len(dataset.classes), streams)
    with exactness(recipe.training.precision, device):
        fitted = _fit(recipe, models, examples, indices, streams, watch, observe)
    return [
        _trained_model(model, finite, fitted.steps)
        for model, finite in zip(models, fitted.finite, strict=True)
    ]


def _initial_models(
    recipe: Recipe, dataset: Dataset, indices: Sequence[int], device: torch.device
) -> list[nn.Module]:
    """Returns the models with their initial weights and the scheme's extension, on the device."""

    def extended(input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return recipe.scheme.extend(recipe.target(input_shape, classes))

    models = []
    for index in indices:
        seed = stream(recipe.seed, "weights", index)
        model = initial_model(extended, dataset.input_shape, len(dataset.classes), seed)
        models.append(model.to(device))
    return models


def _needs_channels_last(recipe: Recipe, model: nn.Module) -> bool:
    """Returns whether images are stored in channels-last order.

    An MLP flattens images, which takes a copy in this order. But noise on the inputs is drawn in
    the order of memory, which must stay the same.
    """
    only_flattens = type(model) is MLP and not overrides(recipe.scheme, "inputs")
    return recipe.traits.channels_last and not only_flattens


def _training_examples(
    dataset: Dataset, membership: NDArray[np.bool_], device: torch.device
) -> TrainingExamples:
    """Returns the examples on which at least one model trains, on the device.

    `membership` is (models, examples).
    """
    needed = np.flatnonzero(membership.any(axis=0))
    inputs = torch.from_numpy(dataset.inputs[needed]).to(device)
    labels = torch.from_numpy(dataset.labels[needed]).to(device)
    rows = []
    for members in membership:
        own = np.flatnonzero(members[needed])
        rows.append(torch.from_numpy(own).to(device))
    return TrainingExamples(inputs, labels, tuple(rows))


def _fit(
    recipe: Recipe,
    models: Sequence[nn.Module],
    examples: TrainingExamples,
    indices: Sequence[int],
    streams: Sequence[Streams],
    watch: Watch | None,
    observe: "Observe | None",
) -> Fitted:
    """Trains the models in place: with DP-SGD if there is a plan, with clients, or plainly.

    With clients or `observe` there must be exactly one model.
    """
    scheme, training, members = recipe.scheme, recipe.training, recipe.members
    device = examples.inputs.device
    if recipe.plan is None and training.clients == 1:
        draws = recipe.traits.draws
        return fit(models, examples, scheme, training, members, streams, watch, draws=draws)
    if recipe.plan is None:
        (model,), (own,) = models, streams
        clients = client_streams(recipe.seed, indices[0], training.clients, device)
        return fit_federated(model, examples, scheme, training, members, own, clients)
    # Imported here, because only DP-SGD needs it.
    from mgaudit.targets.fitting.dp_sgd import fit_stack_privately

    dp_noises = [torch_generator(recipe.seed, "dp-noise", index, device) for index in indices]
    return fit_stack_privately(
        models, examples, scheme, training, recipe.plan, streams, dp_noises, observe
    )


def _trained_model(model: nn.Module, finite: bool, steps: int) -> TrainedModel:
    """Returns the weights of `model` without its noise node.

    `finite` states whether the loss stayed finite. Otherwise the model has diverged.
    """
    weights = {}
    for name, tensor in without_node(model).state_dict().items():
        weights[name] = tensor.detach().cpu().contiguous().numpy()
    finite_weights = all(np.isfinite(values).all() for values in weights.values())
    if not finite or not finite_weights:
        return TrainedModel({}, steps, diverged=True)
    return TrainedModel(weights, steps)


@contextmanager
def one_thread() -> Iterator[None]:
    """Computes with one thread, so that sums do not depend on the number of workers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
