"""Runs one small study in several places, and prints as JSON what each gave and wrote.

Started by test_cluster.py in a process of its own, because Dask opens sockets.
"""

import faulthandler
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import dask
import numpy as np
from distributed import Client, LocalCluster
from distributed.utils import get_mp_context
from rich.console import Console

import mgaudit
from mgaudit.compute.cluster import OF_LOCAL, DaskPool, on_cluster
from mgaudit.compute.parallel import pool_of
from mgaudit.progress_bars import ProgressBars
from mgaudit.storage.run_folder import RunFolder
from mgaudit.study import mounting
from mgaudit.targets.fitting import loop

STUDY: dict[str, Any] = {
    "target": "mlp:hidden=16",
    "scheme": "gaussian-mask:kappa=0.3",
    "dp": False,
    "models": 4,
    "examples": 300,
    "stack": 1,
    "epochs": 2,
    "attack": ["loss", "lira"],
    "quiet": True,
}

RunFolder.write_reports = lambda *_: []  # they take longer than the study


def arrays(result: mgaudit.Result) -> dict[str, Any]:
    with np.load(Path(result.path) / "arrays.npz") as stored:
        return {name: stored[name] for name in stored.files}


class Recorder(ProgressBars):
    """Keeps what happened to which arm, in its order, and the models that it had."""

    def __init__(self) -> None:
        super().__init__(Console(stderr=True), silent=True)
        self.events: list[tuple[str, str, int]] = []

    def training_started(self, label: str, models: int, reused: int) -> None:
        super().training_started(label, models, reused)
        self.events.append(("started", label, models - reused))

    def model_trained(self, label: str, models: int = 1) -> None:
        super().model_trained(label, models)
        self.events.append(("trained", label, models))


def run(folder: Path, cluster: Any = None, progress: Recorder | None = None) -> dict[str, Any]:
    """Returns the arrays of the study, whose models are kept in a cache of their own."""
    os.environ["MGAUDIT_CACHE"] = str(folder / "cache")
    place = {"jobs": 1, "cluster": cluster, "progress": progress}
    return arrays(mgaudit.run(**STUDY, out=folder / "runs", **place))


def same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name], equal_nan=first[name].dtype.kind == "f")
        for name in first
    )


def die_once(marker: str) -> str:
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def report_on_dead_workers(client: Client, folder: Path) -> dict[str, Any]:
    with on_cluster(client), pool_of(2) as pool:
        assert isinstance(pool, DaskPool)
        once = pool.submit(die_once, str(folder / "marker"), name="a task")
        lost = pool.submit(die, 1, name="the training of models 0 to 7")
        outcomes = {}
        for future in pool.completed():
            try:
                outcomes[future.name] = future.result()
            except RuntimeError as error:
                outcomes[future.name] = f"{type(error).__name__}: {error}"
    assert {once.name, lost.name} == set(outcomes)
    return outcomes


def die_in_training_and_in_an_attack(folder: str) -> None:
    """Makes this worker die in the middle of a training, or at the end of an attack.

    Only the first worker of each kind dies, and the worker that Dask starts in its place is whole.
    """
    mean_losses, mounted = loop.mean_losses, mounting.mount_part
    steps = 0

    def dying_mean_losses(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 7:  # a training has 10 steps
            die_once(f"{folder}/training")
        return mean_losses(*arguments)

    def dying_mounted(*arguments: Any) -> Any:
        outcome = mounted(*arguments)
        die_once(f"{folder}/attack")
        return outcome

    loop.mean_losses, mounting.mount_part = dying_mean_losses, dying_mounted


def report_on_deaths(client: Client, folder: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """Runs the study on workers of which some die."""
    folder.mkdir()
    client.run(die_in_training_and_in_an_attack, str(folder))
    progress = Recorder()
    equal = same(expected, run(folder / "there", client, progress))
    died = [name for name in ("training", "attack") if (folder / name).exists()]
    client.wait_for_workers(2, timeout=60)
    return {"equal": equal, "died in": died, "events": progress.events}


def import_once() -> None:
    """Makes workers start, and start again after a death, as forks that have imported all."""
    dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    get_mp_context().set_forkserver_preload(["distributed", "mgaudit.study.worker"])


def main(folder: Path) -> None:
    mounting.SCORES_A_PROCESS = 100  # so that the attacks are divided too
    report: dict[str, Any] = {}
    here = run(folder / "here")
    unreadable = folder / "no-cache"  # what the workers' own cache would be
    os.environ["MGAUDIT_CACHE"] = str(unreadable)
    dask.config.set(OF_LOCAL)
    import_once()
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            memory_limit=0,
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        progress = Recorder()
        there = run(folder / "there", client, progress)
        report["equal"] = same(here, there)
        report["events"] = progress.events
        report["cache of the workers"] = unreadable.exists()
        report["deaths"] = report_on_deaths(client, folder / "deaths", here)
        report["dead"] = report_on_dead_workers(client, folder)
        client.wait_for_workers(2, timeout=60)
        report["alive"] = len(client.scheduler_info(n_workers=-1)["workers"])
    print(json.dumps(report))


if __name__ == "__main__":
    started = time.monotonic()
    faulthandler.dump_traceback_later(300, exit=True)
    main(Path(sys.argv[1]))
