"""Counts the operations that a training step dispatches, by the number of models in the stack.

    python benchmarks/dispatch.py

Each operation costs some microseconds of a CPU, and on a GPU most of them launch a kernel. Counted
are all calls of torch's operators, and those that compute something, without views. The count is
the difference between trainings of several epochs and of one, so that the preparation of models and
data is left out.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mgaudit.settings.datasets import load
from mgaudit.targets import CNN, MLP
from mgaudit.targets.fitting.recipe import Recipe, train
from mgaudit.targets.schemes import GaussianMask, Scheme
from mgaudit.targets.training import Training

STACKS = (1, 8, 32)
EPOCHS = 4
# Operators that change how memory is seen and compute nothing.
VIEWS = (
    *("view", "_unsafe_view", "transpose", "permute", "expand", "detach", "slice", "select"),
    *("squeeze", "unsqueeze", "alias", "t", "as_strided", "unbind", "split", "split_with_sizes"),
    *("_reshape_alias", "view_as", "empty", "new_empty", "new_empty_strided", "empty_like"),
)
CASES: dict[str, tuple[Callable[..., nn.Module], Scheme]] = {
    "MLP": (MLP, Scheme()),
    "MLP, mask": (MLP, GaussianMask(0.3)),
    "CNN": (CNN, Scheme()),
    "CNN, mask": (CNN, GaussianMask(0.3)),
}


class _Counted(TorchDispatchMode):
    """Counts the operators that are called within the context."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        self.calls[function._overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))


def operations(
    target: Callable[..., nn.Module], scheme: Scheme, stack: int, epochs: int
) -> tuple[Counter[str], int]:
    """Returns the operators of a training on the digits, and its number of steps."""
    data = load("digits", None, np.random.default_rng(0)).standardised()
    training = scheme.training(Training(epochs=epochs))
    membership = np.random.default_rng(1).random((stack, len(data.labels))) < 0.5
    recipe = Recipe(target, scheme, training, None, 0, len(data.labels) / 2, stack)
    with _Counted() as counted:
        models = train(recipe, data, membership, range(stack), "cpu")
    return counted.calls, models[0].steps


def main() -> None:
    """Prints a table with a row for each network and scheme."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    columns = [f"stack {stack}" for stack in STACKS]
    print(
        f"| operations of a step | {' | '.join(columns)} | {STACKS[-1]} ÷ 1 | without views | ÷ |"
    )
    print("|" + " --- |" * (len(STACKS) + 4))
    for name, (target, scheme) in CASES.items():
        counts, kernels = [], []
        for stack in STACKS:
            one, steps = operations(target, scheme, stack, 1)
            several, all_steps = operations(target, scheme, stack, EPOCHS)
            more = several - one
            counts.append(more.total() / (all_steps - steps))
            viewed = sum(more[view] for view in VIEWS)
            kernels.append((more.total() - viewed) / (all_steps - steps))
        of_stacks = " | ".join(f"{count:.0f}" for count in counts)
        ends = f"{kernels[0]:.0f} → {kernels[-1]:.0f} | {kernels[-1] / kernels[0]:.2f} ×"
        print(f"| {name} | {of_stacks} | {counts[-1] / counts[0]:.2f} × | {ends} |")


if __name__ == "__main__":
    main()
