"""What a study costs beside its tasks, and how long it would take on many machines.

    python benchmarks/cluster.py --arms 100 --models 64
    python benchmarks/cluster.py --arms 2 --models 16 --target cnn --examples 1198 --epochs 30

runs a study of κ = 0, 1/arms, … in one process and measures, in Markdown: the seconds of the tasks
(training a stack and querying it; the attacks on an arm); the seconds of what the coordinator
computes from them for an arm; the seconds of the queue and the store; and the bytes that would
travel for each model. From these it predicts the time of `--predict-models` models on
`--predict-workers` workers of one thread, without planning, comparison of arms and reports:

    seconds = max(coordinator + network, tasks / workers) + one task
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import cloudpickle

import mgaudit
from mgaudit.compute.pool import Future
from mgaudit.compute.this_process import ThisProcess

BYTES_PER_SECOND = 1e8  # of a network of 1 Gbit/s


class Measured(ThisProcess):
    """Runs tasks in this process, and adds up their seconds and the bytes of their messages."""

    seconds: ClassVar[dict[str, float]] = {}
    tasks: ClassVar[dict[str, int]] = {}
    sent = received = 0

    def submit(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Future[Any]:
        """Adds a task that is timed."""
        kind = function.__name__
        plain = [item for item in arguments if not hasattr(item, "release")]
        Measured.sent += len(cloudpickle.dumps((function, plain)))

        def run(*values: Any) -> Any:
            started = time.perf_counter()
            outcome = function(*values)
            seconds = time.perf_counter() - started
            Measured.seconds[kind] = Measured.seconds.get(kind, 0.0) + seconds
            Measured.tasks[kind] = Measured.tasks.get(kind, 0) + 1
            Measured.received += len(cloudpickle.dumps(outcome))
            return outcome

        return super().submit(run, *arguments, **options)


def timed(function: Callable[..., Any], kind: str, seconds: dict[str, float]) -> Any:
    """Returns the function, whose seconds are added to those of its kind."""

    def call(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            seconds[kind] = seconds.get(kind, 0.0) + time.perf_counter() - started

    return call


def measured(options: argparse.Namespace) -> dict[str, float]:
    """Runs the study. Returns the seconds of the queue with its tasks, and of the statistics."""
    from mgaudit.storage.ensembles import EnsembleFolder
    from mgaudit.study import attack, audit_arms, study

    pool = Measured()
    seconds: dict[str, float] = {}
    audit_arms.pool_of = lambda jobs: pool  # type: ignore[attr-defined]
    audit_arms.planned_audit = timed(audit_arms.planned_audit, "statistics", seconds)
    attack.PlannedAudit.audit = timed(attack.PlannedAudit.audit, "statistics", seconds)  # type: ignore[method-assign]
    study.audit_arms = timed(study.audit_arms, "queue", seconds)
    for name in ("write_model", "model_in", "save_outputs", "load_outputs", "repaired_models"):
        setattr(EnsembleFolder, name, timed(getattr(EnsembleFolder, name), "store", seconds))
    schemes = [f"gaussian-mask:kappa={arm / options.arms:g}" for arm in range(1, options.arms)]
    with tempfile.TemporaryDirectory() as folder:
        mgaudit.compare(
            scheme=["none", *schemes],
            target=options.target,
            models=options.models,
            examples=options.examples,
            epochs=options.epochs,
            stack=options.stack,
            attack=options.attack,
            queries="plain:noise_draws=0",
            jobs=1,
            quiet=True,
            out=Path(folder),
        )
    return seconds


def main() -> None:
    """Prints what was measured and what follows from it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arms", type=int, default=100)
    parser.add_argument("--models", type=int, default=64)
    parser.add_argument("--target", default="mlp:hidden=16")
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--stack", type=int, default=8)
    parser.add_argument("--attack", default="loss")
    parser.add_argument("--predict-models", type=int, default=10_000)
    parser.add_argument("--predict-workers", type=int, default=100)
    options = parser.parse_args()
    seconds, models = measured(options), options.arms * options.models
    tasks = sum(Measured.seconds.values())
    store = seconds["store"]  # a part is of the tasks and of the statistics
    rest = seconds["queue"] - tasks - seconds["statistics"]
    print("| part | number | seconds | for each |")
    print("|---|---|---|---|")
    for kind, number in Measured.tasks.items():
        spent = Measured.seconds[kind]
        print(f"| {kind.strip('_')} | {number} | {spent:.1f} | {spent / number:.2f} s |")
    of_arm = seconds["statistics"] / options.arms
    print(f"| statistics | {options.arms} | {seconds['statistics']:.1f} | {of_arm:.2f} s |")
    print(f"| queue and store | {models:,} | {rest:.1f} | {1000 * rest / models:.1f} ms |")
    print(f"| store, also within the others | {models} | {store:.1f} | |\n")
    a_model = (Measured.sent + Measured.received) / models
    scale = options.predict_models / models
    a_task = max(Measured.seconds[kind] / Measured.tasks[kind] for kind in Measured.tasks)
    network = scale * (Measured.sent + Measured.received) / BYTES_PER_SECOND
    coordinator = scale * (rest + seconds["statistics"])
    of_worker = scale * tasks / options.predict_workers
    whole = max(coordinator + network, of_worker) + a_task
    print(f"{options.predict_models:,} models on {options.predict_workers} workers:\n")
    print("| figure | value |\n|---|---|")
    print(f"| sent for each model | {a_model / 1000:.0f} kB |")
    print(f"| whole | {whole:,.0f} s |")
    print(f"| tasks on each worker | {of_worker:,.0f} s |")
    print(f"| coordinator | {coordinator:,.0f} s |")
    print(f"| network | {network:,.1f} s |")
    of_model = coordinator / options.predict_models
    busy = of_model * options.predict_workers
    print(f"| time of a model from which the workers are busy | {busy:.1f} s |")


if __name__ == "__main__":
    main()
