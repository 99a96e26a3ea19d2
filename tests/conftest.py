"""Fixtures: a cache of one's own, no network, and a study small enough to train in a second."""

import os
import socket
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from joblib import Memory
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from mgaudit.compute import parallel
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.storage.run_folder import RunFolder
from mgaudit.study import ceiling, white_box
from mgaudit.targets.fitting import privacy_plan

# A machine that is busy must not fail a test, and the same code must not fail today and pass
# tomorrow.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


# Files of few tests that take long: a worker that begins one of them last would end minutes after
# the others.
BEGUN_FIRST = (
    "goldens",
    "test_packaging.py",
    "test_docs.py",
    "docs",
    "test_examples.py",
    "cli",
    "attacks",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests that take longest first."""
    names = {item: set(item.path.parts) for item in items}
    items.sort(key=lambda item: not names[item].intersection(BEGUN_FIRST))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """One thread: OpenMP's threads spin while they wait, which is slow on a busy machine."""
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True, scope="session")
def one_job_unless_a_test_names_more() -> Iterator[None]:
    """Tests run one process a core, and the start of a worker takes longer than a small study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parallel, "cpu_count", lambda: 1)
        yield


@pytest.fixture(autouse=True, scope="session")
def one_search_for_each_mechanism(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Keeps what accountants compute, which takes seconds, for all processes of the tests."""
    base = tmp_path_factory.getbasetemp()
    memory = Memory(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base, verbose=0)
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (privacy_plan, "noise_for_epsilon"),
            (privacy_plan, "privacy_bounds"),
            (white_box, "privacy_bounds"),
            (ceiling, "trade_off"),
        ):
            patch.setattr(module, name, cache(memory.cache(getattr(module, name))))
        yield


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "cache"
    monkeypatch.setenv("MGAUDIT_CACHE", str(cache))
    return cache


@pytest.fixture(autouse=True)
def modules_of_one_test_are_unknown_to_the_next(tmp_path: Path) -> Iterator[None]:
    """A test may import its own `networks.py`, and so may another."""
    before, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise AssertionError(f"a test tried to reach the network at {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Omits the figures of reports, because matplotlib takes longer than a small run."""
    monkeypatch.setattr(Drawing, "figure", property(lambda _: Figure(figsize=(1, 1))))


@pytest.fixture
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Omits the reports of runs, which take longer than a small run."""
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])


@pytest.fixture
def small() -> dict[str, Any]:
    """Settings of a study that trains in a second."""
    return {
        "target": "mlp:hidden=16",
        "models": 4,
        "examples": 200,
        "stack": 1,
        "schemes": ["none", "gaussian-mask:kappa=0.3", "dp-sgd:noise_multiplier=1"],
        "training": {"epochs": 3, "batch_size": 32},
    }
