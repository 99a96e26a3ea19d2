"""A Dask cluster gives the results of one process, and outlives the death of its workers."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgaudit.compute import cluster
from mgaudit.compute.cluster import on_cluster
from mgaudit.compute.fingerprint import Fingerprint, fingerprint
from mgaudit.compute.messages import packed_apart, unpacked_with
from mgaudit.compute.parallel import processors
from mgaudit.compute.pool import Future
from mgaudit.errors import UsageError

distributed = pytest.importorskip("distributed")


def report_of(script: str, folder: Path) -> dict[str, Any]:
    words = [sys.executable, "-m", f"tests.compute.{script}", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return report_of("cluster_script", tmp_path_factory.mktemp("cluster"))


def test_two_workers_give_the_bits_of_one_process(report: dict[str, Any]) -> None:
    assert report["equal"]


def test_workers_need_no_cache(report: dict[str, Any]) -> None:
    assert not report["cache of the workers"]


def test_workers_that_die_in_a_training_and_in_an_attack_change_no_bit(
    report: dict[str, Any],
) -> None:
    assert report["deaths"]["equal"]
    assert report["deaths"]["died in"] == ["training", "attack"]


def check_counts(events: list[tuple[str, str, int]]) -> list[str]:
    """Checks that each arm starts once, before its models, and returns the arms as they start."""
    left: dict[str, int] = {}
    for what, label, models in events:
        if what == "started":
            assert label not in left
            left[label] = models
        else:
            left[label] -= models
    assert set(left.values()) == {0}
    return list(left)


def test_an_arm_is_announced_when_a_worker_starts_its_first_task(report: dict[str, Any]) -> None:
    events = report["events"]
    arms = check_counts(events)
    assert len(arms) == 2
    starts = [number for number, (what, _, _) in enumerate(events) if what == "started"]
    first_trained = next(number for number, event in enumerate(events) if event[0] == "trained")
    assert starts[0] == 0
    assert starts[-1] > first_trained  # as two workers begin the second arm later


def test_the_counts_of_models_are_right_where_workers_die(report: dict[str, Any]) -> None:
    assert len(check_counts(report["deaths"]["events"])) == 2


def test_a_run_whose_scheduler_is_lost_ends_in_order_and_the_same_command_goes_on(
    tmp_path: Path,
) -> None:
    report = report_of("lost_scheduler_script", tmp_path)
    words = "the connection to the scheduler was lost; the same command goes on from there"
    assert report["error"].startswith(f"RuntimeError: {words}")
    assert report["log is there"]
    assert sum(report["reused"].values()) > 0
    assert report["runs"] == 1
    assert report["equal"]


@pytest.fixture(scope="module")
def gpu_report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return report_of("gpu_script", tmp_path_factory.mktemp("gpu"))


@pytest.mark.slow
def test_tasks_on_a_gpu_run_on_workers_with_one_and_at_most_one_on_each(
    gpu_report: dict[str, Any],
) -> None:
    tasks = gpu_report["tasks"]
    assert tasks == {"tasks": 14, "workers": ["gpu0", "gpu1"], "at once": 2}


@pytest.mark.slow
def test_models_of_a_study_on_cuda_are_trained_by_workers_with_a_gpu(
    gpu_report: dict[str, Any],
) -> None:
    assert gpu_report["study"] == {"arms": 2, "trained on": ["gpu0", "gpu1"]}


@pytest.mark.slow
def test_without_a_worker_with_a_gpu_a_study_on_cuda_is_refused_in_one_line(
    gpu_report: dict[str, Any],
) -> None:
    assert gpu_report["without"].startswith("UsageError: cluster must have a worker with a GPU")
    assert "--resources GPU=1" in gpu_report["without"]
    assert "\n" not in gpu_report["without"]
    assert gpu_report["directories without"] == []


@pytest.mark.slow
def test_a_run_whose_workers_with_a_gpu_are_lost_ends_in_order(gpu_report: dict[str, Any]) -> None:
    words = "RuntimeError: the cluster has had no worker with a GPU for 1 s; the same command"
    assert gpu_report["lost"].startswith(words)


def test_a_task_whose_worker_died_is_run_again_and_one_that_always_dies_is_named(
    report: dict[str, Any],
) -> None:
    name = "the training of models 0 to 7"
    assert report["dead"] == {
        "a task": "survived",
        name: f"WorkerLostError: the workers of {name} died again and again; "
        "they may be out of memory",
    }
    assert report["alive"] == 2


class CancelledLater:
    """A future of Dask that is cancelled right after it was asked whether it is."""

    cancellation = distributed.client.FutureCancelledError("a task", "scheduler-connection-lost")

    def cancelled(self) -> bool:
        return False

    def result(self) -> None:
        raise self.cancellation


@pytest.mark.parametrize("error", [None, CancelledLater.cancellation])
def test_a_future_that_is_cancelled_while_its_outcome_is_read_says_that_the_scheduler_is_lost(
    error: Exception | None,
) -> None:
    def outcome() -> None:
        future: Future[None] = Future("a task")
        with cluster._connected():
            cluster._set_outcome(future, CancelledLater(), error)
        future.result()

    with pytest.raises(RuntimeError, match=f"^{cluster.LOST}$"):
        outcome()


@pytest.mark.parametrize("address", ["local:0", "local:x", "local:", "local:1025"])
def test_a_wrong_number_of_local_workers_is_refused(address: str) -> None:
    words = "cluster must be local:N with 1 <= N <= 1024"
    with pytest.raises(UsageError, match=words), on_cluster(address):
        pass


@pytest.mark.parametrize(
    "address",
    [
        "",
        "local",
        "tcp://",
        "tcp://host",
        "http://host:8786",
        "host:0",
        "host:65536",
        "a b:1",
        "x:y",
    ],
)
def test_a_text_that_is_no_address_is_refused_before_dask_waits_for_it(address: str) -> None:
    words = re.escape(f"{cluster.ADDRESS_RULE}, got {address!r}; name the port, too")
    with pytest.raises(UsageError, match=words), on_cluster(address):
        pass


@pytest.mark.parametrize("address", ["tcp://host:8786", "host.org:1", "tls://[::1]:65535"])
def test_addresses_are_accepted(address: str) -> None:
    cluster._check_address(address)


@pytest.mark.parametrize("value", [3, ("tcp://host:8786",), object()])
def test_another_value_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match=r"or a distributed\.Client, got"), on_cluster(value):
        pass


def test_a_client_that_is_closed_is_refused() -> None:
    client: Any = FewWorkers({"a": fingerprint()})
    client.status = "closed"
    words = "cluster must be a client that is connected, got closed"
    with pytest.raises(UsageError, match=words), on_cluster(client):
        pass


def test_without_a_cluster_nothing_changes() -> None:
    before = processors("cpu")
    with on_cluster(None) as notes:
        assert notes == []
        assert processors("cpu") == before


class FewWorkers:
    """A client of workers with these fingerprints and threads."""

    status = "running"
    submit = scatter = None

    def __init__(self, workers: dict[str, Fingerprint], threads: int = 1) -> None:
        self._workers = workers
        self._threads = threads

    def wait_for_workers(self, number: int, timeout: float) -> None:
        if not self._workers:
            raise TimeoutError

    def run(self, _: object) -> dict[str, Fingerprint]:
        return self._workers

    def nthreads(self) -> dict[str, int]:
        return dict.fromkeys(self._workers, self._threads)

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": {address: {} for address in self._workers}}


def other(**changes: Any) -> Fingerprint:
    here = fingerprint()
    values = {name: getattr(here, name) for name in here.__dataclass_fields__}
    return Fingerprint(**values | changes)


def test_a_cluster_without_workers_is_refused() -> None:
    client: Any = FewWorkers({})
    words = "cluster must have a worker, got none"
    with pytest.raises(UsageError, match=words), on_cluster(client):
        pass


def test_workers_of_several_threads_are_refused() -> None:
    client: Any = FewWorkers({"a": fingerprint()}, threads=4)
    words = "cluster must have workers of one thread, got 4: a"
    with pytest.raises(UsageError, match=words), on_cluster(client):
        pass


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"versions": (("mgaudit", "0.1"),)}, "b: mgaudit is .* here and 0.1 there"),
        ({"code_sha256": "0"}, "b: the source code of mgaudit differs"),
    ],
)
def test_a_worker_with_other_code_is_named(changes: dict[str, Any], words: str) -> None:
    client = FewWorkers({"a": fingerprint(), "b": other(**changes)})
    with pytest.raises(UsageError, match=words), on_cluster(client):  # type: ignore[arg-type]
        pass
    with pytest.raises(UsageError, match="cluster must have workers like this process"):
        cluster._run(other(**changes), "a topic", *packed_apart((len, ("a later task",)))[:1])


def test_different_processors_are_noted_and_part_of_what_identifies_models() -> None:
    client = FewWorkers({"a": other(cpu="one"), "b": other(cpu="two")})
    with on_cluster(client) as notes:  # type: ignore[arg-type]
        assert "the workers have different processors (one, two)" in notes[0]
        assert processors("cpu") == "one and two"
    with on_cluster(FewWorkers({"a": other(cpu="one")})) as notes:  # type: ignore[arg-type]
        assert notes == []
        assert processors("cpu") == "one"


def test_large_arrays_travel_apart_and_once() -> None:
    large, small = np.ones(500_000), np.arange(3)
    message, arrays = packed_apart({"first": large, "again": [large, small], "text": "x"})
    assert [array is large for array in arrays] == [True]
    assert len(message) < 1000
    frozen = large.copy()
    frozen.flags.writeable = False
    value = unpacked_with(message, [frozen])
    assert value["first"] is value["again"][0]
    assert value["first"].flags.writeable
    np.testing.assert_array_equal(value["first"], large)
    np.testing.assert_array_equal(value["again"][1], small)


def test_gpus_identify_models_that_are_trained_on_them() -> None:
    client: Any = FewWorkers({"a": other(cpu="one", gpu="big"), "b": other(cpu="one", gpu="small")})
    with on_cluster(client) as notes:
        assert "the workers have different GPUs (big, small)" in notes[0]
        assert (processors("cpu"), processors("cuda")) == ("one", "big and small")
    assert processors("cuda") == ""
