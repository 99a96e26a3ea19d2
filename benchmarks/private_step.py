"""Times a step of DP-SGD against a plain step of another checkout, such as version 0.1.

    python benchmarks/private_step.py --other /path/to/checkout --rounds 5

Both programs train one model of the same network on the same random images, with one thread and
batches of the same size, in a process of their own that is started once. In each round, the plain
step of the other checkout, our plain step, our private step and our private step in a stack are
timed one after the other, and then the drawing of the noise alone. Times are those that the process
computed, so that other programs on the machine disturb them little. Shown are medians over the
rounds, and medians of the ratios within a round. The floor is what the ratio would be if a private
step were the other's plain step and the drawing of the noise and nothing else.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).parents[1]
CLASSES = 10
Times = dict[str, list[float]]


@dataclass(frozen=True)
class Case:
    """A network, its options, the shape of its inputs, and the ratio that is the aim."""

    name: str
    network: str
    options: dict[str, Any]
    input_shape: tuple[int, ...]
    steps: int
    aim: float | None = None


CASES = {
    "digits-mlp": Case("digits MLP 64-256-10", "MLP", {"hidden": (256,)}, (1, 8, 8), 200),
    "digits-cnn": Case("digits CNN 32-64, 128", "CNN", {}, (1, 8, 8), 40),
    "images-mlp": Case("images MLP 3072-512-256-10", "MLP", {}, (3, 32, 32), 30, 1.3),
    "images-cnn": Case("images CNN 32-64, 128", "CNN", {}, (3, 32, 32), 8, 1.8),
}
STEPS_OF_AN_EPOCH = 4
OUR_MODULES = {
    "CNN": "mgaudit.targets.networks",
    "MLP": "mgaudit.targets.networks",
    "Dataset": "mgaudit.targets.datasets",
    "PrivacyPlan": "mgaudit.targets.fitting.privacy_plan",
    "Recipe": "mgaudit.targets.fitting.recipe",
    "train": "mgaudit.targets.fitting.recipe",
    "Scheme": "mgaudit.targets.schemes",
    "Training": "mgaudit.targets.training",
}
MODULES_OF_0_1 = {
    "CNN": "targets.cnn",
    "MLP": "targets.mlp",
    "Dataset": "targets.datasets",
    "PrivacyPlan": "targets.dp_training",
    "Recipe": "targets.recipe",
    "train": "targets.recipe",
    "Scheme": "targets.schemes",
    "Training": "targets.training",
}


def seconds_of_a_step(case: Case, batch: int, private: bool, stack: int) -> float:
    """Returns the seconds that a training step of one model takes, in the checkout on the path."""
    modules = _modules()
    members = batch * STEPS_OF_AN_EPOCH
    draws = np.random.default_rng(0)
    inputs = draws.standard_normal((2 * members, *case.input_shape)).astype(np.float32)
    labels = np.arange(len(inputs)) % CLASSES
    classes = tuple(f"class {number}" for number in range(CLASSES))
    few = 2 * CLASSES
    dataset = modules["Dataset"]("random", inputs, labels, inputs[:few], labels[:few], classes)
    epochs = max(case.steps // STEPS_OF_AN_EPOCH, 1)
    steps = epochs * STEPS_OF_AN_EPOCH
    training = modules["Training"](epochs=epochs, batch_size=batch)
    plan = None
    if private:
        rate = batch / members
        plan = modules["PrivacyPlan"](1.0, 1.0, rate, steps, batch, 1e-5, epsilon=1.0)

    def target(input_shape: tuple[int, ...], classes: int) -> torch.nn.Module:
        network: torch.nn.Module = modules[case.network](input_shape, classes, **case.options)
        return network

    recipe = modules["Recipe"](
        target, modules["Scheme"](), training, plan, 0, members=members, stack=stack
    )
    # Every second example belongs to each model, so that all batches of plain training are full.
    membership = np.tile(np.arange(len(inputs)) % 2 == 0, (stack, 1))
    started = time.process_time()
    modules["train"](recipe, dataset, membership, range(stack), "cpu")
    return (time.process_time() - started) / steps / stack


def _modules() -> dict[str, Any]:
    """Returns what the checkout on the path calls the parts of a training."""
    is_ours = importlib.util.find_spec("targets.recipe") is None
    folders = OUR_MODULES if is_ours else MODULES_OF_0_1
    return {
        name: getattr(importlib.import_module(folder), name) for name, folder in folders.items()
    }


def seconds_of_noise(case: Case) -> float:
    """Returns the seconds that torch takes to draw one normal number for each weight."""
    network = _modules()[case.network](case.input_shape, CLASSES, **case.options)
    noises = [torch.empty_like(weight) for weight in network.parameters()]
    generator = torch.Generator()
    started = time.process_time()
    for _ in range(case.steps):
        for noise in noises:
            noise.normal_(generator=generator)
    return (time.process_time() - started) / case.steps


def serve() -> None:
    """Answers requests in lines of JSON until the input ends."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        request = json.loads(line)
        case = CASES[request.pop("case")]
        seconds = seconds_of_a_step(case, **request) if request else seconds_of_noise(case)
        print(json.dumps(seconds), flush=True)


class Worker:
    """A process of this file that uses the code of one checkout."""

    def __init__(self, checkout: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--serve"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, cwd=checkout, env=environment, text=True, stdin=pipe, stdout=pipe
        )

    def seconds(self, **request: Any) -> float:
        """Returns the seconds that the request takes there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("a worker has failed; see the messages above")
        seconds: float = json.loads(answer)
        return seconds

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


@contextmanager
def workers(checkouts: Sequence[Path]) -> Iterator[list[Worker]]:
    """Starts a worker for each checkout, and ends them."""
    started = [Worker(checkout) for checkout in checkouts]
    try:
        yield started
    finally:
        for worker in started:
            worker.close()


def measured(name: str, batch: int, stack: int, rounds: int, ours: Worker, other: Worker) -> Times:
    """Returns the milliseconds of each kind of step in each round; one round before warms up."""
    times: Times = {}
    for turn in range(rounds + 1):
        alone = {"case": name, "batch": batch, "stack": 1}
        seconds = {
            "other": other.seconds(**alone, private=False),
            "plain": ours.seconds(**alone, private=False),
            "private": ours.seconds(**alone, private=True),
            "stacked": ours.seconds(**{**alone, "stack": stack}, private=True),
            "noise": ours.seconds(case=name),
        }
        if turn:
            for kind, value in seconds.items():
                times.setdefault(kind, []).append(value * 1e3)
    return times


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Returns the median of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def table(options: argparse.Namespace) -> None:
    """Prints the times and ratios of all cases."""
    stacked = f"private step in a stack of {options.stack}, ms"
    columns = ("other's plain step, ms", "plain step, ms", "private step, ms", stacked, "noise, ms")
    ratios = ("private ÷ other's plain", "floor", "aim", "alone ÷ stacked")
    header = ("network", "batch", *columns, *ratios)
    row(*header)
    row(*["---"] * len(header))
    with workers([ROOT, options.other]) as (ours, other):
        for name in options.only:
            case = CASES[name]
            for batch in options.batch:
                times = measured(name, batch, options.stack, options.rounds, ours, other)
                floors = [a + b for a, b in zip(times["other"], times["noise"], strict=True)]
                kinds = ("other", "plain", "private", "stacked", "noise")
                row(
                    case.name,
                    batch,
                    *(f"{statistics.median(times[kind]):.2f}" for kind in kinds),
                    f"{ratio(times['private'], times['other']):.2f} ×",
                    f"{ratio(floors, times['other']):.2f} ×",
                    "" if case.aim is None else f"≤ {case.aim} ×",
                    f"{ratio(times['private'], times['stacked']):.2f} ×",
                )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--other", type=Path, default=ROOT, help="checkout to compare with")
    parser.add_argument("--only", nargs="+", choices=tuple(CASES), default=tuple(CASES))
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--stack", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
    else:
        table(options)


if __name__ == "__main__":
    main()
