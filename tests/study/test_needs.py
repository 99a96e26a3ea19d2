"""The memory and the disk space that a run needs are compared with what is free."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.errors import UsageError
from mgaudit.settings.study_settings import study_settings
from mgaudit.study import needs as module
from mgaudit.study.needs import check_needs, needs_of
from mgaudit.study.plan import Plan, plan_study
from mgaudit.study.train import ensemble_folder

WEIGHTS = (64 * 8 + 8) + (8 * 10 + 10)  # of mlp:hidden=8 on the digits


@pytest.fixture
def plan(small: dict[str, Any]) -> Plan:
    return plan_study(study_settings(small | SETTINGS))


SETTINGS: dict[str, Any] = {
    "target": "mlp:hidden=8",
    "models": 5,
    "examples": 100,
    "stack": 1,
    "schemes": ["none", "dropout:rate=0.1"],
    "queries": "mask:3,kappa=0.1",
    "attacks": ["loss"],
}


def test_the_cache_holds_the_weights_and_the_logits_of_all_models(plan: Plan) -> None:
    needs = needs_of([(plan.design, plan.arms)], jobs=1)
    tests = len(plan.design.dataset.test_labels)
    logits = 5 * (100 + tests) * 3 * 10 * 4
    assert needs.cache == 2 * (5 * WEIGHTS * 4 + logits)
    assert needs.outputs == 3 * logits
    assert needs.training == 3 * WEIGHTS * 4  # one process, one model at a time
    assert needs.results == 2 * 28 * 5 * 100
    assert needs.data > plan.design.dataset.inputs.nbytes
    assert needs.memory == needs.data + needs.outputs


def test_two_studies_with_one_design_hold_the_data_once(plan: Plan) -> None:
    one = needs_of([(plan.design, plan.arms)], jobs=1)
    two = needs_of([(plan.design, plan.arms)] * 2, jobs=1)
    assert two.data == one.data
    assert two.cache == 2 * one.cache


def test_more_processes_train_more_models_at_once(plan: Plan) -> None:
    studies = [(plan.design, plan.arms)]
    assert needs_of(studies, jobs=2).training > 2 * needs_of(studies, jobs=1).training
    assert needs_of(studies, jobs=50).training == needs_of(studies, jobs=5).training


def test_models_in_the_cache_need_no_space(plan: Plan) -> None:
    before = needs_of([(plan.design, plan.arms)], jobs=1)
    folder = ensemble_folder(plan.arms[0], plan.design)
    folder.path.mkdir(parents=True)
    for index in range(3):
        folder.model_path(index).touch()
    after = needs_of([(plan.design, plan.arms)], jobs=1)
    assert before.cache - after.cache == 3 * WEIGHTS * 4


@pytest.mark.parametrize(
    ("free", "key", "option"),
    [(1000.0, "models", "--models"), (-1.0, "models", "--queries")],
)
def test_a_run_that_does_not_fit_into_the_memory_names_the_setting(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, free: float, key: str, option: str
) -> None:
    monkeypatch.setattr(module, "free_memory", lambda: free)
    with pytest.raises(UsageError) as refused:
        check_needs([(plan.design, plan.arms)], 1, None)
    assert refused.value.key == key
    assert option in refused.value.way_out
    assert "outputs of models" in str(refused.value)


def test_training_that_does_not_fit_names_the_processes(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "free_memory", lambda: 1e8)
    check_needs([(plan.design, plan.arms)], 1, None)
    with pytest.raises(UsageError, match="training") as refused:
        check_needs([(plan.design, plan.arms)], 2, None)
    assert refused.value.key == "jobs"


def test_a_full_disk_is_named_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    words = ["run", "--target", "mlp:hidden=8", "--stack", "1", "--no-dp", "--examples", "100"]
    words += ["--models", "3", "--out", str(tmp_path / "runs")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "the cache in" in done.stderr
    assert "1.0 kB" in done.stderr
    assert "--models" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_the_disk_of_the_results_is_checked_too(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**6))
    monkeypatch.setattr(module, "SCORE_BYTES", 10**6)
    of_disk = {"r": Path("/proc")}
    monkeypatch.setattr(module, "_existing", lambda folder: of_disk.get(folder.name, Path("/")))
    with pytest.raises(UsageError, match="--out in /proc"):
        check_needs([(plan.design, plan.arms)], 1, tmp_path / "r")


def test_a_dry_run_states_what_is_needed_at_least() -> None:
    words = ["compare", "--scheme", "none", "--target", "mlp:hidden=8", "--stack", "1"]
    words += ["--examples", "100", "--models", "3", "--attack", "loss", "--jobs", "1", "--dry-run"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert "at least" in done.stdout
    assert "of memory and" in done.stdout
