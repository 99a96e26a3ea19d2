"""From a recipe to one trained model."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from targets.datasets import Dataset
from targets.dp_training import PrivacyPlan, fit_privately
from targets.schemes import Scheme
from targets.seeds import stream, torch_generator
from targets.training import Training, fit

Target = Callable[[tuple[int, ...], int], nn.Module]


@dataclass(frozen=True)
class Recipe:
    """All that determines a trained model besides its data and its number.

    `target` builds the network from (input_shape, classes); `plan` is there for DP-SGD and only for it.
    """

    target: Target
    scheme: Scheme
    training: Training
    plan: PrivacyPlan | None
    seed: int


@dataclass(frozen=True)
class TrainedModel:
    """One trained model: its weights by name, the optimizer steps it took and the seconds they took."""

    weights: dict[str, NDArray[np.float32]]
    steps: int
    seconds: float


def initial_model(target: Target, input_shape: tuple[int, ...], classes: int, seed: int) -> nn.Module:
    """Returns a new network whose initial weights are determined by `seed`.

    Layers draw their initial weights from torch's global generator and offer no other way, so it is seeded for
    the construction and put back as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return target(input_shape, classes)


def train(recipe: Recipe, dataset: Dataset, members: NDArray[np.bool_], index: int, device: str) -> TrainedModel:
    """Returns model `index` of the ensemble, trained on the `members` (examples,) of the standardised `dataset`.

    One thread, so that the weights do not depend on how many workers share the machine.
    """
    started = time.perf_counter()
    with _one_thread():
        model = initial_model(
            recipe.target, dataset.input_shape, len(dataset.classes), stream(recipe.seed, "weights", index)
        ).to(device)
        inputs = torch.from_numpy(dataset.inputs[members]).to(device)
        labels = torch.from_numpy(dataset.labels[members]).to(device)
        batches = torch_generator(recipe.seed, "batches", index)
        noise = torch_generator(recipe.seed, "noise", index, device)
        if recipe.plan is None:
            if inputs.ndim == 4:  # oneDNN and cuDNN convolve faster with the channels last
                model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                inputs = inputs.to(memory_format=torch.channels_last)
            steps = fit(model, inputs, labels, recipe.scheme, recipe.training, batches, noise)
        else:
            dp_noise = torch_generator(recipe.seed, "dp-noise", index, device)
            steps = fit_privately(
                model, inputs, labels, recipe.scheme, recipe.training, recipe.plan, batches, noise, dp_noise
            )
    weights = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in model.state_dict().items()}
    broken = [name for name, values in weights.items() if not np.isfinite(values).all()]
    if broken:
        raise FloatingPointError(
            f"model {index} diverged: {', '.join(broken)} hold NaN or infinity after {steps} steps; "
            "try a lower --learning-rate or less noise"
        )
    return TrainedModel(weights, steps, time.perf_counter() - started)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
