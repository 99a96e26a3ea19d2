"""Runs one small study on a cluster whose scheduler is killed, and continues it without a cluster.

Started by test_cluster.py in a process of its own. Prints as JSON what each run gave.
"""

import faulthandler
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from distributed import Client

import mgaudit
from mgaudit.failure import RunFailedError
from mgaudit.targets.fitting import loop
from tests.compute.cluster_script import STUDY, arrays, same

STEPS = 10  # of the training of a model


def kill_in_the_third_training(process: int, cache: str) -> None:
    """Makes this worker kill a process in the middle of the third training that it does.

    Before, it waits until a model is in the cache.
    """
    mean_losses = loop.mean_losses
    steps = 0

    def killing_mean_losses(*arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 2 * STEPS + STEPS // 2:
            deadline = time.monotonic() + 60
            while not list(Path(cache).rglob("*.safetensors")) and time.monotonic() < deadline:
                time.sleep(0.1)
            os.kill(process, signal.SIGKILL)
        return mean_losses(*arguments)

    loop.mean_losses = killing_mean_losses


def started(stack: ExitStack, *command: str) -> subprocess.Popen[bytes]:
    """Returns a process of Dask's, which is killed at the end."""
    words = [sys.executable, "-m", "distributed.cli." + command[0], *command[1:], "--no-dashboard"]
    process = stack.enter_context(subprocess.Popen(words, stderr=subprocess.DEVNULL))
    stack.callback(process.kill)
    return process


def main(folder: Path) -> None:
    report: dict[str, Any] = {}
    os.environ["MGAUDIT_CACHE"] = str(folder / "cache")
    file = folder / "scheduler.json"
    with ExitStack() as stack:
        scheduler = started(stack, "dask_scheduler", "--port", "0", "--scheduler-file", str(file))
        while not file.exists():
            time.sleep(0.1)
        started(
            stack, "dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny"
        )
        address = json.loads(file.read_text())["address"]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=60)
            client.run(kill_in_the_third_training, scheduler.pid, str(folder / "cache"))
        try:
            mgaudit.run(**STUDY, out=folder / "runs", cluster=address)
        except RunFailedError as error:
            report["error"] = str(error)
            report["log is there"] = (error.folder.path / "log.txt").exists()
    continued = mgaudit.run(**STUDY, out=folder / "runs", jobs=1)
    report["reused"] = continued.record.studies[0].times.models_reused
    report["runs"] = len(list((folder / "runs").iterdir()))
    os.environ["MGAUDIT_CACHE"] = str(folder / "other cache")
    whole = mgaudit.run(**STUDY, out=folder / "other runs", jobs=1)
    report["equal"] = same(arrays(continued), arrays(whole))
    print(json.dumps(report))


if __name__ == "__main__":
    faulthandler.dump_traceback_later(300, exit=True)
    main(Path(sys.argv[1]))
