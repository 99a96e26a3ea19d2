"""Shares of the models of a study: they are disjoint, complete, and give the same result."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mgaudit
from mgaudit.errors import UsageError
from mgaudit.settings.study_settings import study_settings
from mgaudit.shards import compare_shard, run_shard
from mgaudit.storage.ensembles import EnsembleFolder
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.shard import Shard, train_shard

ARGUMENTS: dict[str, Any] = {
    "target": "mlp:hidden=16",
    "scheme": "gaussian-mask:kappa=0.3",
    "dp": False,
    "models": 5,
    "examples": 300,
    "stack": 2,
    "epochs": 2,
    "attack": "loss",
    "jobs": 1,
    "quiet": True,
}


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "1", "1/", "/3", "a/b", "1/3/2", "-1/3", "1/1e9", ""]
)
def test_a_text_that_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="shard must be I/N with 1 <= I <= N <= 100000"):
        Shard.of(text)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_each_stack_is_of_one_share(count: int) -> None:
    shares = [Shard(number, count) for number in range(1, count + 1)]
    for position in range(20):
        assert sum(share.has(position) for share in shares) == 1


@pytest.mark.usefixtures("no_reports")
def test_three_shares_and_then_the_run_give_the_result_of_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = mgaudit.run(**ARGUMENTS, out=tmp_path / "alone")
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / "shared"))
    shares = [run_shard(f"{number}/3", **ARGUMENTS) for number in (3, 1, 2)]
    assert sum(share.trained for share in shares) == 10
    assert max(share.trained for share in shares) <= 4  # two stacks of two models
    again = run_shard("1/3", **ARGUMENTS)
    assert (again.trained, again.reused) == (0, shares[1].trained)
    monkeypatch.setattr("mgaudit.study.train.train_stack", lambda *_: pytest.fail("trained"))
    collected = mgaudit.run(**ARGUMENTS, out=tmp_path / "collected")
    arrays = [np.load(Path(result.path) / "arrays.npz") for result in (alone, collected)]
    assert arrays[0].files == arrays[1].files
    for name in arrays[0].files:
        np.testing.assert_array_equal(arrays[0][name], arrays[1][name])


def test_a_share_of_a_comparison_counts_stacks_over_all_studies() -> None:
    options = {name: ARGUMENTS[name] for name in ("models", "examples", "epochs", "jobs", "quiet")}
    options |= {"scheme": ["none"], "seed": [0, 1], "stack": 5, "target": "mlp:hidden=16"}
    shares = [compare_shard(f"{number}/2", **options) for number in (1, 2)]
    assert [share.trained for share in shares] == [5, 5]


def test_a_share_needs_no_lock_while_it_trains(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_study(study_settings({**small, "schemes": ["none"]}))
    written = []
    write_model = EnsembleFolder.write_model

    def write(folder: EnsembleFolder, index: int, content: bytes) -> None:
        with folder.locked(on_wait=lambda: pytest.fail("the folder is locked")):
            pass
        written.append(index)
        write_model(folder, index, content)

    monkeypatch.setattr(EnsembleFolder, "write_model", write)
    train_shard([plan], Shard(1, 2), 1, Progress())
    assert written == [0, 2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cluster": "local:2"}, "must not be given with --cluster"),
        ({"fit": "training:fit"}, "must not be given with a training function"),
    ],
)
def test_what_has_no_shares_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run_shard("1/2", **changes)
