"""Times whole audits, from the command line to the reports, beside those of another checkout.

    python benchmarks/whole_audit.py --other /path/to/checkout --images folder:PATH --rounds 3

In each round, both programs run the same audit one after the other, in turn this one or the other
first, each in a process of its own and with an empty cache ("cold"). "cached" is the same command
again. Shown are medians over the rounds, and the median of the ratios within a round, which a noisy
machine disturbs least. The other checkout runs in the environment of this one, unless
`--other-python` names that of another.

Both programs attack with the same attacks, query plainly, and train DP-SGD with the settings of
version 0.1, which are stated. What the other checkout is given in its place is in `of_other`.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DP = (
    "dp-sgd:epsilon={},epochs=30,batch_size=64,learning_rate=0.05,momentum=0.9,max_grad_norm=1,"
    "views=1,averaging=0"
)
PLAIN_QUERIES = ("--queries", "plain:noise_draws=0")
MASKS = [word for kappa in (0.3, 1, 2) for word in ("--scheme", f"gaussian-mask:kappa={kappa}")]
DEFAULT_STUDY = ("--scheme", "none", "--scheme", "gaussian-mask:kappa=0.3")
QUICK = ("--target", "mlp", "--scheme", "none", *MASKS)
OF_IMAGES = (
    "run",
    *("--models", "8", "--examples", "10000", "--epochs", "4", "--no-dp"),
    *("--attack", "loss", "--attack", "lira", "--attack", "rmia"),
)


@dataclass(frozen=True)
class Case:
    """An audit: the words of our command, those of version 0.1, and the ratio that is the aim."""

    name: str
    ours: tuple[str, ...]
    of_other: tuple[str, ...]
    aim: float
    aim_cached: float | None = None


CASES = {
    "default": Case(
        "default study of 0.1",
        (
            "compare",
            *("--target", "cnn", *DEFAULT_STUDY, "--scheme", DP.format(8)),
            *("--attack", "lira", "--attack", "loss", *PLAIN_QUERIES),
        ),
        ("run",),
        2.0,
        2.5,
    ),
    "quick": Case(
        "study quick of 0.1",
        (
            "compare",
            *(*QUICK, "--scheme", DP.format(2), "--scheme", DP.format(8)),
            *("--attack", "lira", "--attack", "rmia", "--attack", "loss", *PLAIN_QUERIES),
        ),
        ("compare", "studies/quick.toml"),
        2.0,
    ),
    "images-mlp": Case(
        "images, MLP, 8 models, 4 epochs",
        (*OF_IMAGES, "--target", "mlp", *PLAIN_QUERIES),
        (*OF_IMAGES, "--target", "mlp"),
        1.7,
    ),
    "images-cnn": Case(
        "images, CNN, 8 models, 4 epochs",
        (*OF_IMAGES, "--target", "cnn", *PLAIN_QUERIES),
        (*OF_IMAGES, "--target", "cnn"),
        1.6,
    ),
}


def timed(python: str, checkout: Path, words: Sequence[str], folder: Path) -> float:
    """Returns the seconds of a command of a checkout, whose cache and runs are in `folder`."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "MGAUDIT_CACHE": str(folder / "cache"),
    }
    environment.pop("OMP_NUM_THREADS", None)
    command = [python, "-m", "mgaudit", *words, "--out", str(folder / "runs"), "--quiet"]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return seconds


def main() -> None:
    """Runs the audits that were chosen, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=Path, help="another checkout, such as that of version 0.1")
    parser.add_argument("--other-python", default=sys.executable)
    parser.add_argument("--images", help="dataset of the cases images-…, as in folder:PATH")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| audit | cache | this, s | other, s | ratio | aim |")
    print("| --- | --- | --- | --- | --- | --- |")
    for key in arguments.only:
        if key.startswith("images") and arguments.images is None:
            continue
        measure(CASES[key], key, arguments)


def measure(case: Case, key: str, arguments: argparse.Namespace) -> None:
    """Prints the rows of one audit."""
    kind, _, folder = (arguments.images or "").partition(":")
    data = ("--dataset", f"{kind}:{Path(folder).resolve()}") if key.startswith("images") else ()
    sides = [(sys.executable, ROOT, (*case.ours, *data))]
    if arguments.other is not None:
        sides.append((arguments.other_python, arguments.other.resolve(), (*case.of_other, *data)))
    kinds = ["cold"] if case.aim_cached is None else ["cold", "cached"]
    seconds: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
    for turn in range(arguments.rounds):
        own = Path(tempfile.mkdtemp(prefix="mgaudit-benchmark-"))
        try:
            for kind in kinds:
                of_sides = [0.0] * len(sides)
                for number in sorted(range(len(sides)), reverse=turn % 2 == 1):
                    of_sides[number] = timed(*sides[number], own / str(number))
                seconds[kind].append(of_sides)
        finally:
            shutil.rmtree(own)
    for kind, aim in zip(kinds, (case.aim, case.aim_cached), strict=False):
        medians = [statistics.median(of_side) for of_side in zip(*seconds[kind], strict=True)]
        other, ratio = "–", "–"
        if len(sides) == 2:
            other = f"{medians[1]:.1f}"
            ratio = f"{statistics.median(two / one for one, two in seconds[kind]):.2f} ×"
        print(f"| {case.name} | {kind} | {medians[0]:.1f} | {other} | {ratio} | ≥ {aim} × |")


if __name__ == "__main__":
    main()
