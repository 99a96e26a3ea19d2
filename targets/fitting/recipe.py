"""From a recipe to trained models."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.examples import Streams, TrainingExamples
from mgaudit.targets.fitting.federated import client_streams, fit_federated
from mgaudit.targets.fitting.loop import Watch, fit
from mgaudit.targets.fitting.precision import exactness
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.schemes.noise_nodes import without_node
from mgaudit.targets.seeds import stream, torch_generator
from mgaudit.targets.training import Training

Target = Callable[[tuple[int, ...], int], nn.Module]


@dataclass(frozen=True)
class Recipe:
    """All that determines a trained model besides its data and its number.

    `target` builds the network from (input_shape, classes); `training` is as the scheme has it; `plan` is there for
    DP-SGD and only for it. `members` is the number of examples that a model has on average, and `stack` how many models
    are trained as one.
    """

    target: Target
    scheme: Scheme
    training: Training
    plan: PrivacyPlan | None
    seed: int
    members: float
    stack: int = 1


@dataclass(frozen=True)
class TrainedModel:
    """One trained model: its weights by name, the steps and seconds it took; `diverged` ones have no weights."""

    weights: dict[str, NDArray[np.float32]]
    steps: int
    seconds: float = 0.0
    diverged: bool = False


def initial_model(target: Target, input_shape: tuple[int, ...], classes: int, seed: int) -> nn.Module:
    """Returns a new network whose initial weights are determined by `seed`.

    Layers draw their initial weights from torch's global generator and offer no other way, so it is seeded for
    the construction and put back as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return target(input_shape, classes)


def train(
    recipe: Recipe, dataset: Dataset, membership: NDArray[np.bool_], indices: Sequence[int], device: str
) -> list[TrainedModel]:
    """Returns models number `indices` of the ensemble, trained as one stack on the standardised `dataset`.

    `membership` (models, examples) says what each of them is trained on. A stack that is not full is filled up with
    copies of its last model, so that a model is the same, bit for bit, whatever others are missing; one that does not
    fit into memory is cut in half. One thread, so that the weights do not depend on how many workers share the machine.
    """
    missing = recipe.stack - len(indices)
    padded = [*indices, *[indices[-1]] * missing]
    rows = np.concatenate([membership, np.repeat(membership[-1:], missing, axis=0)])
    started = time.perf_counter()
    with one_thread():
        trained = _train(recipe, dataset, rows, padded, torch.device(device))[: len(indices)]
    seconds = (time.perf_counter() - started) / len(indices)
    return [replace(model, seconds=seconds) for model in trained]


def _train(
    recipe: Recipe, dataset: Dataset, membership: NDArray[np.bool_], indices: Sequence[int], device: torch.device
) -> list[TrainedModel]:
    try:
        return train_at_once(recipe, dataset, membership, indices, device)
    except torch.OutOfMemoryError:
        if len(indices) == 1:
            raise
    half = len(indices) // 2
    torch.cuda.empty_cache()
    return [
        trained
        for part in (slice(None, half), slice(half, None))
        for trained in _train(recipe, dataset, membership[part], indices[part], device)
    ]


def train_at_once(
    recipe: Recipe,
    dataset: Dataset,
    membership: NDArray[np.bool_],
    indices: Sequence[int],
    device: torch.device,
    watch: Watch | None = None,
) -> list[TrainedModel]:
    """Returns models number `indices`, trained as one stack whatever the recipe says, `watch` hearing of each step.

    Raises ValueError where there is something to watch that it does not hear of: DP-SGD, and clients.
    """
    if watch is not None and (recipe.plan is not None or recipe.training.clients > 1):
        raise ValueError("recipe must be one of plain training to be watched, without DP-SGD and without clients")
    scheme, classes = recipe.scheme, len(dataset.classes)

    def extended(input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return scheme.extend(recipe.target(input_shape, classes))

    models = [
        initial_model(extended, dataset.input_shape, classes, stream(recipe.seed, "weights", index)).to(device)
        for index in indices
    ]
    streams = [Streams.of_model(recipe.seed, index, device) for index in indices]
    needed = np.flatnonzero(membership.any(axis=0))  # what none of them is trained on stays where it is
    inputs = torch.from_numpy(dataset.inputs[needed]).to(device)
    if inputs.ndim == 4 and recipe.plan is None:
        # oneDNN and cuDNN convolve faster with the channels last. Noise is drawn in the order of memory, so a stack
        # must hold its inputs as a single model does; vmap takes no such weights.
        inputs = inputs.to(memory_format=torch.channels_last)
        if len(models) == 1 and recipe.training.clients == 1:
            models = [models[0].to(memory_format=torch.channels_last)]  # type: ignore[call-overload]
    examples = TrainingExamples(
        inputs,
        torch.from_numpy(dataset.labels[needed]).to(device),
        tuple(torch.from_numpy(np.flatnonzero(row[needed])).to(device) for row in membership),
    ).with_fixed_noise(scheme, classes, streams)
    with exactness(recipe.training.precision, device):
        if recipe.plan is None and recipe.training.clients > 1:
            (model,), (own,) = models, streams
            clients = client_streams(recipe.seed, indices[0], recipe.training.clients, device)
            fitted = fit_federated(model, examples, scheme, recipe.training, recipe.members, own, clients)
        elif recipe.plan is None:
            fitted = fit(models, examples, scheme, recipe.training, recipe.members, streams, watch)
        else:
            # Opacus takes as long to import as torch, and workers that train without DP-SGD start sooner without it.
            from mgaudit.targets.fitting.dp_sgd import fit_privately

            (model,), (own,) = models, streams
            dp_noise = torch_generator(recipe.seed, "dp-noise", indices[0], device)
            fitted = fit_privately(model, examples, scheme, recipe.training, recipe.plan, own, dp_noise)
    return [_taken(model, finite, fitted.steps) for model, finite in zip(models, fitted.finite, strict=True)]


def _taken(model: nn.Module, finite: bool, steps: int) -> TrainedModel:
    """Returns what is kept of a model after training: the noise node is not part of it."""
    state = without_node(model).state_dict()
    weights = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in state.items()}
    if not finite or not all(np.isfinite(values).all() for values in weights.values()):
        return TrainedModel({}, steps, diverged=True)
    return TrainedModel(weights, steps)


@contextmanager
def one_thread() -> Iterator[None]:
    """Computes with one thread, so that sums do not depend on how many workers share the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
