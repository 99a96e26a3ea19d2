"""Times the training of target models against the loop that everybody writes first.

    python benchmarks/training.py --images folder:PATH

In each round, one after the other, the same models are trained by: the plain loop (one model at a
time, a `DataLoader` that normalises each item, `num_workers=0`, all threads); the plain loop in as
many processes as there are cores, one thread each; and mgaudit (as many worker processes, stacks of
the size that `--stack auto` finds). Worker processes are started beforehand, and data lie in
memory. Shown are medians over rounds, and medians of the ratios within a round, which a noisy
machine disturbs least. The share of the peak is that of the floating-point operations in matrix
products and convolutions, forward and backward, against float32 products of 1024 x 1024 matrices
measured in the same rounds. On a GPU (`--device cuda`) one model at a time is compared with stacks.
"""

import argparse
import importlib
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torch.utils.flop_counter import FlopCounterMode

from mgaudit.compute import parallel
from mgaudit.settings.datasets import load
from mgaudit.targets import CNN, MLP
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.device import device_name
from mgaudit.targets.fitting.clipping import OneBackward
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.fitting.recipe import Recipe, Target, initial_model, train
from mgaudit.targets.fitting.stack_size import forward_operations, stack_size
from mgaudit.targets.membership import fair_coins
from mgaudit.targets.schemes import Scheme
from mgaudit.targets.seeds import numpy_generator, stream
from mgaudit.targets.training import Training

MATRIX = 1024


@dataclass(frozen=True)
class Case:
    """A network on a dataset, and the speed-up over the plain loop that is the goal."""

    name: str
    target: Target
    dataset: str
    epochs: int
    goal: float


CASES = (
    Case("digits MLP 64-256-10", partial(MLP, hidden=(256,)), "digits", 30, 5.0),
    Case("digits CNN 32-64, 128", CNN, "digits", 10, 2.0),
    Case("images MLP 3072-512-256-10", MLP, "images", 5, 1.8),
    Case("images CNN 32-64, 128", CNN, "images", 2, 1.3),
)
DP_GOALS = {"images MLP 3072-512-256-10": 3.5, "images CNN 32-64, 128": 2.2}


@dataclass(frozen=True)
class Work:
    """One unit of work for a worker process."""

    recipe: Recipe
    dataset: Dataset
    membership: NDArray[np.bool_]
    indices: Sequence[int]
    device: str


def ours(work: Work) -> int:
    """Trains a stack as an audit does, and returns the worker's peak memory in bytes."""
    train(work.recipe, work.dataset, work.membership, work.indices, work.device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Normalised(TorchDataset[tuple[Tensor, Tensor]]):
    """Items that are normalised each time they are asked for, as a transform does it."""

    def __init__(self, inputs: NDArray[np.generic], labels: NDArray[np.int64]) -> None:
        axes = (0, *range(2, inputs.ndim))
        self.inputs, self.labels = torch.from_numpy(inputs), torch.from_numpy(labels)
        self.mean = torch.from_numpy(inputs.mean(axis=axes, keepdims=True)[0].astype(np.float32))
        self.sd = (
            torch.from_numpy(inputs.std(axis=axes, keepdims=True)[0].astype(np.float32)) + 1e-6
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        return (self.inputs[place].float() - self.mean) / self.sd, self.labels[place]


def plain(work: Work) -> int:
    """Trains one model with a DataLoader."""
    (index,), (members,) = work.indices, work.membership
    own = Normalised(work.dataset.inputs[members], work.dataset.labels[members])
    loader = DataLoader(
        own, batch_size=work.recipe.training.batch_size, shuffle=True, num_workers=0
    )
    shape, classes = work.dataset.input_shape, len(work.dataset.classes)
    model = initial_model(work.recipe.target, shape, classes, stream(0, "weights", index))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for _ in range(work.recipe.training.epochs):
        for x, y in loader:
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()
    return index


def flops_per_model_epoch(recipe: Recipe, dataset: Dataset) -> float:
    """Returns the operations of products and convolutions in an epoch of one model, both passes."""
    model = initial_model(recipe.target, dataset.input_shape, len(dataset.classes), 0)
    x, y = torch.zeros(8, *dataset.input_shape), torch.zeros(8, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        cross_entropy(model(x), y).backward()
    return counter.get_total_flops() / 8 * recipe.members


def multiply(seconds: float) -> float:
    """Returns the float32 operations a second of matrix products with one thread."""
    torch.set_num_threads(1)
    a, b = (torch.rand(MATRIX, MATRIX) for _ in range(2))
    done, started = 0, time.perf_counter()
    while (taken := time.perf_counter() - started) < seconds:
        a @ b
        done += 1
    return done * 2 * MATRIX**3 / taken


def timed(function: Callable[[Work], int], works: Sequence[Work], pool: Executor | None) -> float:
    """Returns the seconds that all units take, one after the other or in a pool of processes."""
    started = time.perf_counter()
    list(map(function, works) if pool is None else pool.map(function, works))
    return time.perf_counter() - started


def timed_ours(works: Sequence[Work], jobs: int) -> tuple[float, int]:
    """Returns the seconds of all units, run as by an audit, and the peak bytes of a worker."""
    started = time.perf_counter()
    peaks = list(parallel.run(ours, works, jobs))
    return time.perf_counter() - started, max(peaks)


def units(
    recipe: Recipe, dataset: Dataset, membership: NDArray[np.bool_], device: str
) -> list[Work]:
    """Returns a unit of work for each stack."""
    models = range(len(membership))
    return [
        Work(
            recipe,
            dataset,
            membership[start : start + recipe.stack],
            models[start : start + recipe.stack],
            device,
        )
        for start in models[:: recipe.stack]
    ]


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def header(*cells: str) -> None:
    row(*cells)
    row(*["---"] * len(cells))


def middle(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f}"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def prepared(
    case: Case, images: str | None, examples: int, models: int
) -> tuple[Dataset, Recipe, NDArray[np.bool_]]:
    """Returns the data as stored, the recipe, and who trains on what."""
    spec, count = ("digits", None) if case.dataset == "digits" else (str(images), examples)
    raw = load(spec, count, numpy_generator(0, "examples"))
    recipe = Recipe(
        case.target, Scheme(), Training(epochs=case.epochs), None, 0, members=len(raw.labels) / 2
    )
    return raw, recipe, fair_coins(models, len(raw.labels), seed=0)


def on_cpu(images: str | None, examples: int, asked: int | None, rounds: int, jobs: int) -> None:
    """Prints the table of the plain loops and mgaudit, and that of DP-SGD."""
    loops = ("plain loop", "plain loop, processes", "mgaudit")
    header(
        "case",
        "stack",
        *loops,
        "÷ plain",
        "aim",
        "÷ plain, processes",
        "share of peak",
        "memory of a worker",
    )
    cases = [case for case in CASES if case.dataset == "digits" or images is not None]
    with ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        for case in cases:
            models = asked or (16 if case.dataset == "digits" else 8)
            raw, recipe, membership = prepared(case, images, examples, models)
            dataset = raw.standardised()
            shape, classes = dataset.input_shape, len(dataset.classes)
            network = initial_model(recipe.target, shape, classes, seed=0)
            operations = forward_operations(network, shape, recipe.training.batch_size)
            size = stack_size(operations, models, "cpu")
            single = units(recipe, raw, membership, "cpu")
            stacked = units(replace(recipe, stack=size), dataset, membership, "cpu")
            timed(plain, single[:jobs], pool)  # starts the workers
            timed_ours(stacked[:jobs], jobs)
            rates: dict[str, list[float]] = {name: [] for name in (*loops, "peak")}
            memory = 0
            for _ in range(rounds):
                torch.set_num_threads(jobs)
                for name, workers in zip(loops[:2], (None, pool), strict=True):
                    rates[name].append(models * case.epochs / timed(plain, single, workers))
                seconds, used = timed_ours(stacked, jobs)
                rates["mgaudit"].append(models * case.epochs / seconds)
                rates["peak"].append(sum(parallel.run(multiply, [0.5] * jobs, jobs)))
                memory = max(memory, used)
            operations = [
                rate * flops_per_model_epoch(recipe, dataset) for rate in rates["mgaudit"]
            ]
            row(
                case.name,
                size,
                *(middle(rates[name]) for name in loops),
                f"{ratio(rates['mgaudit'], rates[loops[0]]):.2f} ×",
                f"≥ {case.goal} ×",
                f"{ratio(rates['mgaudit'], rates[loops[1]]):.2f} ×",
                f"{ratio(operations, rates['peak']):.0%}",
                f"{memory / 2**20:.0f} MiB",
            )
    print("\nModel-epochs a second, medians; ratios are medians of the ratios within a round.\n")
    if images is not None:
        private_steps(images, examples, rounds)


def private_steps(images: str, examples: int, rounds: int) -> None:
    """Prints the time of a step of DP-SGD, with one thread, against two other steps.

    They are a step without privacy, and a step whose gradients are clipped by Opacus.
    """
    columns = ("plain step, ms", "private step, ms", "÷ plain", "aim", "by Opacus, ms", "Opacus ÷")
    header("DP-SGD", "batch", *columns)
    for case in CASES:
        goal = DP_GOALS.get(case.name)
        raw, recipe, membership = prepared(case, images, examples, 1)
        dataset = raw.standardised()
        for batch in (64, 256):
            training = replace(recipe.training, epochs=1, batch_size=batch)
            steps = training.steps_per_epoch(recipe.members)
            plan = PrivacyPlan(1.0, 1.0, batch / recipe.members, steps, batch, 1e-5, epsilon=1.0)
            times: dict[str, list[float]] = {"plain": [], "private": [], "Opacus": []}
            for turn in range(rounds + 1):
                for kind, own in times.items():
                    chosen = replace(
                        recipe, training=training, plan=None if kind == "plain" else plan
                    )
                    clipping = nullcontext() if kind != "Opacus" else clipped_by_opacus()
                    with clipping:
                        seconds, _ = timed_ours(units(chosen, dataset, membership, "cpu"), 1)
                    if turn:  # the first warms up
                        own.append(seconds / steps * 1e3)
            row(
                case.name,
                batch,
                middle(times["plain"]),
                middle(times["private"]),
                f"{ratio(times['private'], times['plain']):.2f} ×",
                "" if goal is None else f"≤ {goal} ×",
                middle(times["Opacus"]),
                f"{ratio(times['Opacus'], times['private']):.2f} ×",
            )


@contextmanager
def clipped_by_opacus() -> Iterator[None]:
    """Has Opacus clip all gradients, also those of layers for which mgaudit has rules."""
    with mock.patch.object(OneBackward, "of_network", return_value=None):
        yield


def on_gpu(images: str | None, examples: int, counts: Sequence[int], rounds: int) -> None:
    """Prints how much faster stacks are than one model at a time."""
    print(f"{device_name('cuda')}, torch {torch.__version__}\n")
    header("case", "models", "one at a time", "in one stack", "÷", "peak memory of the GPU")
    for case in CASES:
        if case.dataset == "images" and images is None:
            continue
        for models in counts:
            raw, recipe, membership = prepared(case, images, examples, models)
            dataset = raw.standardised()
            rates: dict[int, list[float]] = {1: [], models: []}
            for turn in range(rounds + 1):
                for size in rates:
                    few = min(models, 8) if size == 1 else models
                    torch.cuda.reset_peak_memory_stats()
                    works = units(replace(recipe, stack=size), dataset, membership[:few], "cuda")
                    seconds, _ = timed_ours(works, 1)
                    if turn:  # the first warms up
                        rates[size].append(few * case.epochs / seconds)
            row(
                case.name,
                models,
                middle(rates[1]),
                middle(rates[models]),
                f"{ratio(rates[models], rates[1]):.1f} ×",
                f"{torch.cuda.max_memory_allocated() / 2**20:.0f} MiB",
            )
    print("\nModel-epochs a second. One at a time is measured on 8 models at most.")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images", help="folder:PATH of 32x32 colour images; without it only digits are timed"
    )
    parser.add_argument("--examples", type=int, default=5000, help="of the images")
    parser.add_argument(
        "--models",
        type=int,
        nargs="+",
        default=None,
        help="(default: 16 of the digits, 8 of images; on a GPU 8, 32 and 128)",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=parallel.default_jobs("cpu"))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args(arguments)
    print(
        " ".join(f"{name}={value}" for name, value in vars(options).items() if name != "images"),
        "\n",
    )
    if options.device == "cuda":
        on_gpu(options.images, options.examples, options.models or [8, 32, 128], options.rounds)
    elif len(options.models or [16]) == 1:
        on_cpu(
            options.images,
            options.examples,
            (options.models or [None])[0],
            options.rounds,
            options.jobs,
        )
    else:
        parser.error("--models takes several numbers on a GPU only")


if __name__ == "__main__":
    # Workers find functions by the name of their module, and that of a script is its own in each
    # process.
    sys.path.insert(0, str(Path(__file__).parent))
    importlib.import_module("training").main()
