"""Runs tasks that need a GPU on workers that say that they have one, and prints what happened.

No worker has a real GPU: the device is "cuda" for the plan, and "cpu" where models are trained.
Started by test_cluster.py in a process of its own, because Dask opens sockets.
"""

import faulthandler
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster, Nanny, Scheduler, SpecCluster, get_worker

import mgaudit
from mgaudit.compute import cluster as cluster_module
from mgaudit.compute import parallel
from mgaudit.compute.cluster import on_cluster
from mgaudit.compute.parallel import pool_of
from mgaudit.storage.run_folder import RunFolder
from mgaudit.study import design, network_check, provenance, train, worker

GPUS = ("gpu0", "gpu1")
Interval = tuple[str, float, float]  # of a task: its worker, its begin and its end in seconds
STUDY: dict[str, Any] = {
    "target": "mlp:hidden=16",
    "dp": False,
    "models": 4,
    "examples": 300,
    "stack": 1,
    "epochs": 1,
    "attack": "loss",
    "quiet": True,
}

RunFolder.write_reports = lambda *_: []  # they take longer than the study


def nanny(resources: dict[str, float]) -> dict[str, Any]:
    options = {"nthreads": 1, "resources": resources, "memory_limit": 0, "silence_logs": 50}
    return {"cls": Nanny, "options": options}


def where_and_when(seconds: float) -> Interval:
    """Returns the worker, and when it began and ended, by the clock of the machine."""
    began = time.monotonic()
    time.sleep(seconds)
    return str(get_worker().name), began, time.monotonic()


def most_at_once(intervals: list[Interval]) -> int:
    changes = [(began, 1) for _, began, _ in intervals] + [(ended, -1) for *_, ended in intervals]
    running, most = 0, 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def report_on_tasks(client: Client) -> dict[str, Any]:
    with on_cluster(client), pool_of(2) as pool:
        for _ in range(8):
            pool.submit(where_and_when, 0.2, name="gpu", on_gpu=True)
            pool.submit(where_and_when, 0.2, name="cpu")
        intervals: dict[str, list[Interval]] = {"gpu": [], "cpu": []}
        for future in pool.completed():
            intervals[future.name].append(future.result())
    with on_cluster(client):
        run_by_all = parallel.run(where_and_when, [0.2] * 6, 2, on_gpu=True)
        intervals["gpu"] += list(run_by_all)
    return {
        "tasks": len(intervals["gpu"]),
        "workers": sorted({name for name, _, _ in intervals["gpu"]}),
        "at once": most_at_once(intervals["gpu"]),
    }


def train_on_cpu(folder: str) -> None:
    """Makes this worker train on its CPU what it should train on a GPU, and say that it did."""
    train_stack = worker.train_stack

    def trained(task: Any, dataset: Any) -> Any:
        assert task.device == "cuda"
        Path(folder, str(get_worker().name)).touch()
        return train_stack(replace(task, device="cpu"), dataset)

    worker.train_stack = trained


def plan_for_gpu() -> None:
    """Makes this process plan studies as if it had a GPU."""
    design.choose_device = lambda _: "cuda"
    network_check.check_device = lambda *_: None
    train.device_name = provenance.device_name = lambda _: "a GPU"


def error_of(call: Callable[[], object]) -> str:
    try:
        call()
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def report_on_study(client: Client, folder: Path) -> dict[str, Any]:
    marks = folder / "marks"
    marks.mkdir()
    client.run(train_on_cpu, str(marks))
    result = mgaudit.run(**STUDY, out=folder / "runs", cluster=client)
    arms = len(result.record.studies[0].arms)
    return {"arms": arms, "trained on": sorted(path.name for path in marks.iterdir())}


def report_on_lost_gpus(client: Client) -> str:
    """Returns the error of a run whose workers with GPUs leave, while another worker stays."""
    cluster_module.CHECK_SECONDS, cluster_module.WITHOUT_WORKERS_SECONDS = 0.2, 1
    with on_cluster(client), pool_of(2) as pool:
        for _ in range(4):
            pool.submit(where_and_when, 2.0, on_gpu=True)
        iterator = pool.completed()
        next(iterator)
        client.retire_workers(names=list(GPUS), close_workers=True)
        return error_of(lambda: list(iterator))


def main(folder: Path) -> None:
    os.environ["MGAUDIT_CACHE"] = str(folder / "cache")
    plan_for_gpu()
    report: dict[str, Any] = {}
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            dashboard_address=None,
            memory_limit=0,
            silence_logs=50,
        ) as without,
        Client(without) as client,
    ):
        report["without"] = error_of(
            lambda: mgaudit.run(**STUDY, out=folder / "none", cluster=client)
        )
        report["directories without"] = [path.name for path in (folder / "none").glob("*")]
    workers = {"cpu": nanny({}), **{name: nanny({"GPU": 1}) for name in GPUS}}
    scheduler = {"cls": Scheduler, "options": {"dashboard": False}}
    with SpecCluster(workers, scheduler, silence_logs=50) as cluster, Client(cluster) as client:
        client.wait_for_workers(3, timeout=120)
        report["tasks"] = report_on_tasks(client)
        report["study"] = report_on_study(client, folder)
        report["lost"] = report_on_lost_gpus(client)
    print(json.dumps(report))


if __name__ == "__main__":
    faulthandler.dump_traceback_later(300, exit=True)
    main(Path(sys.argv[1]))
