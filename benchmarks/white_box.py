"""What a white-box audit proves, how often it is wrong, and what it costs.

The network is an MLP 64-256-10 on 600 digits; delta is 1e-5, the sampling rate 0.1, and there are
280 steps, as in the tables of docs/validation.md.

    python benchmarks/white_box.py tightness --audits 5
    python benchmarks/white_box.py validity --audits 500
    python benchmarks/white_box.py cost --audits 7
"""

import argparse
import statistics
import time
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from mgaudit.attacks.white_box import StepRecords, noise_limits
from mgaudit.attacks.white_box_checks import alarms, mechanism_checks, sampler_checks
from mgaudit.settings.datasets import dataset_choice
from mgaudit.targets import CNN, MLP
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.accountants import privacy_bounds
from mgaudit.targets.fitting.privacy_plan import plan_privacy
from mgaudit.targets.fitting.recipe import Recipe, Target, one_thread, train_at_once
from mgaudit.targets.schemes import DPSGD, Scheme
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training
from mgaudit.targets.white_box.own_training import observed_training

EXAMPLES, RATE, STEPS, DELTA, SIGNIFICANCE = 600, 0.1, 280, 1e-5, 0.05
NOISE_OF_CLAIM = {8: 1.2566, 2: 3.4942}
MEMBERS = np.ones((1, EXAMPLES), dtype=bool)
MLP_OF_TABLE: Target = partial(MLP, hidden=(256,))


def digits() -> Dataset:
    """Returns the examples."""
    return dataset_choice("digits").load(EXAMPLES, numpy_generator(0, "examples")).standardised()


def recipe(noise_multiplier: float, seed: int, target: Target = MLP_OF_TABLE) -> Recipe:
    """Returns the training; the clip norm is not 1, so that a missing factor shows."""
    training = Training(epochs=28, batch_size=60, learning_rate=0.2)
    scheme = DPSGD(noise_multiplier=noise_multiplier, delta=DELTA, max_grad_norm=0.5)
    plan = plan_privacy(scheme, training, EXAMPLES)
    return Recipe(target, Scheme(), training, plan, seed, EXAMPLES)


def records(own: Recipe, dataset: Dataset, directions: int) -> StepRecords:
    """Returns what the adversary sees of a training."""
    _, arrays = observed_training(own, dataset, MEMBERS, directions, "cpu")
    return StepRecords(**arrays)


def tightness(audits: int) -> None:
    """Prints the median implied epsilon by claim, number of directions and method."""
    dataset = digits()
    print("| claim | directions | guesses | noncentral t | noise alone |\n|---|---|---|---|---|")
    for claim, noise in NOISE_OF_CLAIM.items():
        for directions in (1, 16, 64, 256):
            rows = []
            for seed in range(audits):
                own = noise_limits(records(recipe(noise, seed), dataset, directions), SIGNIFICANCE)
                limits = (own.by_guesses, own.by_t, own.by_residuals)
                rows.append([0.0 if limit is None else _epsilon(limit) for limit in limits])
            medians = " | ".join(f"{median:.2f}" for median in np.median(rows, axis=0))
            print(f"| {claim} | {directions} | {medians} |", flush=True)


def _epsilon(noise_multiplier: float) -> float:
    return privacy_bounds(noise_multiplier, RATE, STEPS, DELTA).by_accountant["PLD"]


def validity(audits: int) -> None:
    """Prints how often a limit is wrong, and a check fails, in audits of a correct training."""
    dataset, noise, directions = digits(), NOISE_OF_CLAIM[8], 64
    wrong = {"guesses": 0, "noncentral t": 0, "noise alone": 0, "any alarm": 0}
    below: dict[str, int] = {}
    for seed in range(audits):
        own = recipe(noise, seed)
        own = replace(own, training=replace(own.training, epochs=3))
        assert own.plan is not None
        own = replace(own, plan=replace(own.plan, steps=30))
        seen = records(own, dataset, directions)
        limits = noise_limits(seen, SIGNIFICANCE)
        wrong["guesses"] += limits.by_guesses is not None and limits.by_guesses < noise
        wrong["noncentral t"] += limits.by_t is not None and limits.by_t < noise
        wrong["noise alone"] += limits.by_residuals < noise
        checks = mechanism_checks(seen, noise) + sampler_checks(seen, EXAMPLES, RATE)
        wrong["any alarm"] += bool(alarms(checks, SIGNIFICANCE))
        for check in checks:
            below[check.name] = below.get(check.name, 0) + (check.p_value < SIGNIFICANCE)
    shares = wrong | {f"p < {SIGNIFICANCE:g} of {name}": count for name, count in below.items()}
    print("| wrong | share of audits |\n|---|---|")
    for name, count in shares.items():
        print(f"| {name} | {100 * count / audits:.1f} % |")


def cost(audits: int) -> None:
    """Prints the time of a training with 64 directions relative to one without, interleaved."""
    dataset, device = digits(), torch.device("cpu")
    print("| network | time, relative to that without the adversary |\n|---|---|")
    for name, target in (("MLP 64-256-10", MLP_OF_TABLE), ("CNN", CNN)):
        own, plain, audited = recipe(NOISE_OF_CLAIM[8], 0, target), [], []
        for _ in range(audits):
            started = time.perf_counter()
            with one_thread():
                train_at_once(own, dataset, MEMBERS, [0], device)
            middle = time.perf_counter()
            records(own, dataset, 64)
            plain.append(middle - started)
            audited.append(time.perf_counter() - middle)
        ratio = statistics.median(audited) / statistics.median(plain)
        print(f"| {name} | {ratio:.2f} |", flush=True)


def main() -> None:
    """Runs the benchmark that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("tightness", "validity", "cost"))
    parser.add_argument("--audits", type=int, default=5)
    arguments = parser.parse_args()
    {"tightness": tightness, "validity": validity, "cost": cost}[arguments.what](arguments.audits)


if __name__ == "__main__":
    main()
