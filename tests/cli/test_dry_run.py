"""`mgaudit run --dry-run`: the plan and its time, of networks and of training functions."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import mgaudit as api
from mgaudit.cli.app import app
from mgaudit.cli.estimate import UNKNOWN_LINE
from mgaudit.compute import parallel
from mgaudit.errors import UsageError
from mgaudit.storage.run_folder import RunFolder
from tests.functions.centroids import centroids

SMALL = ["--target", "mlp:hidden=8", "--epochs", "2", "--stack", "1", "--jobs", "1"]
SMALL += ["--examples", "300", "--models", "4"]
ATTACKS = ["--attack", "lira", "--attack", "rmia"]
OWN = ["--fit", "own:fit", "--examples", "300", "--jobs", "2", *ATTACKS]
FIT = """
from pathlib import Path

import numpy as np


def fit(x, y, *, seed):
    with Path("calls.txt").open("a") as calls:
        calls.write("x")
    inputs = x.reshape(len(x), -1)
    means = np.stack([inputs[y == label].mean(axis=0) for label in range(10)])
    return lambda rows: -((rows.reshape(len(rows), 1, -1) - means) ** 2).sum(axis=-1)
"""
X = np.random.default_rng(0).normal(size=(200, 5))
Y = (X[:, 0] > 0).astype(int)


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(autouse=True)
def own_module(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    Path("own.py").write_text(FIT)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def rows(table: str) -> dict[str, list[str]]:
    """Returns the cells of each row of a printed table by the first cell."""
    cells = [re.split(r"\s{2,}", line.strip()) for line in table.splitlines()]
    return {first: rest for first, *rest in cells if rest}


def test_a_dry_run_prints_arms_models_attacks_and_time_and_trains_nothing(own_cache: Path) -> None:
    ran = mgaudit("run", *SMALL, "--no-dp", *ATTACKS, "--dry-run")
    assert ran.exit_code == 0, ran.output
    table = rows(ran.stdout)
    assert table["no noise"][:2] == table["gaussian-mask (kappa=0.3)"][:2] == ["4", "0"]
    assert table["queries and attacks"]
    assert "attacks: lira, rmia" in ran.stdout.splitlines()
    assert "with 1 worker, reports not counted" in ran.stdout
    assert rows(ran.stdout)["AUC"]  # an effect that the audit detects
    assert all(len(line) <= 80 for line in ran.stdout.splitlines())
    assert files(own_cache) == []
    assert not Path("runs").exists()


def test_the_plan_is_that_of_the_run(own_cache: Path) -> None:
    words = ["run", *SMALL, "--no-dp", "--attack", "loss"]
    before = json.loads(mgaudit(*words, "--dry-run", "--json").stdout)
    assert before["seconds"] > 0
    assert mgaudit(*words, "--quiet").exit_code == 0
    after = json.loads(mgaudit(*words, "--dry-run", "--json").stdout)
    (cell,) = before["cells"]
    assert cell["attacks"] == ["loss"]
    (study,) = api.load().record.studies
    assert [arm["label"] for arm in cell["arms"]] == [arm.label for arm in study.arms]
    assert [arm["there"] for arm in after["cells"][0]["arms"]] == [4, 4]
    assert [arm["training"] for arm in after["cells"][0]["arms"]] == [0, 0]


def test_a_dry_run_of_a_training_function_says_that_its_time_is_not_known(own_cache: Path) -> None:
    ran = mgaudit("run", *OWN, "--models", "8", "--dry-run")
    assert ran.exit_code == 0, ran.output
    assert "own:fit on digits, seed 0" in ran.stdout
    assert rows(ran.stdout)["own:fit"] == ["8", "0", "not known"]
    assert "attacks: lira, rmia" in ran.stdout.splitlines()
    assert UNKNOWN_LINE in ran.stdout.splitlines()
    assert "memory" not in ran.stdout
    assert rows(ran.stdout)["AUC"]
    assert not Path("calls.txt").exists()  # the function is not called
    assert files(own_cache) == []
    assert not Path("runs").exists()


def test_the_time_of_a_training_function_follows_from_its_kept_models() -> None:
    assert mgaudit("run", *OWN, "--models", "3", "--quiet").exit_code == 0
    calls = Path("calls.txt").read_text()
    plan = json.loads(mgaudit("run", *OWN, "--models", "8", "--dry-run", "--json").stdout)
    ((arm,),) = [cell["arms"] for cell in plan["cells"]]
    (seconds,) = api.load().record.studies[0].times.training_seconds.values()
    assert (arm["models"], arm["there"]) == (8, 3)
    assert arm["training"] == pytest.approx(3 * seconds / 3)  # 5 models by 2 workers: 3 rounds
    assert plan["seconds"] is None  # attacks are not timed
    printed = mgaudit("run", *OWN, "--models", "8", "--dry-run").stdout
    assert "of training with 2 workers, as long as the kept models took;" in printed
    complete = mgaudit("run", *OWN, "--models", "3", "--dry-run").stdout
    assert rows(complete)["own:fit"] == ["3", "3", "0 s"]
    assert Path("calls.txt").read_text() == calls
    assert mgaudit("run", *OWN, "--models", "8", "--quiet").exit_code == 0
    assert len(Path("calls.txt").read_text()) == len(calls) + 5  # 3 of the 8 models were kept


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--fit", "own:fit", "--kappa", "0.3"], "kappa must not be given with fit"),
        (["--fit", "own:nothing"], "own:nothing must name a function in own"),
        (["--fit", "own:fit", "--attack", "gradient-norm"], "attack gradient-norm needs the extra"),
        (["--models", "2"], "models must be a whole number >= 3"),
        (["--target", "vit"], "target must be one of"),
        (["--cluster", "local:2"], "cluster must not be given to an estimate"),
        (["--fit", "own:fit", "--cluster", "local:2"], "cluster must not be given to an estimate"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(words: list[str], line: str) -> None:
    refused = mgaudit("run", *words, "--dry-run", "--quiet")
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"error: {line}"), refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_dry_run_counts_the_models_of_a_search() -> None:
    ran = mgaudit("run", *SMALL, "--attack", "loss", "--tune-dp", "3", "--dry-run", "--json")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["search_models"] > 0


def never(x: Any, y: Any, *, seed: int) -> Any:
    raise AssertionError("an estimate calls no function")


def test_functions_are_estimated_as_they_are_audited_and_compared(own_cache: Path) -> None:
    fits = {"plain": never, "mine": centroids}
    time = api.estimate(fits, X, Y, models=6, attacks="lira", jobs=2, quiet=True)
    (cell,) = time.cells
    assert cell.name == "2 training functions on 160 examples, seed 0"
    assert [(arm.label, arm.models, arm.there) for arm in cell.arms] == [
        ("plain", 6, 0),
        ("mine", 6, 0),
    ]
    assert [arm.training for arm in cell.arms] == [None, None]
    assert (cell.auditing, cell.seconds, time.seconds) == (None, None, None)
    assert cell.attacks == ["lira"]
    assert cell.detectable[0].has_plain
    assert time.workers == 2
    assert files(own_cache) == []
    single = api.estimate(never, X, Y, models=6, quiet=True).cells[0]
    assert [arm.label for arm in single.arms] == ["never"]
    assert not single.detectable[0].has_plain
    by_name = api.estimate(fit="own:fit", examples=300, models=6, attack=["lira"], quiet=True)
    assert by_name.cells[0].arms[0].label == "own:fit"


def test_groups_share_coins_so_an_estimate_detects_less() -> None:
    alone = api.estimate(never, X, Y, models=8, quiet=True).cells[0].detectable[0]
    people = np.repeat(np.arange(50), 4)
    grouped = api.estimate(never, X, Y, groups=people, models=8, quiet=True).cells[0].detectable[0]
    assert alone.excess is not None
    assert grouped.excess is not None
    assert grouped.excess > 1.3 * alone.excess


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"canaries": 100}, "canaries is not an argument of an estimate of training functions"),
        ({"epochs": 3}, "epochs is not an argument of an estimate of training functions"),
        ({"model": 3}, "did you mean 'models'"),
        ({"models": 1}, "models must be a whole number >= 3"),
        ({"y": Y[:5]}, "y must have 200 rows"),
    ],
)
def test_mistakes_in_an_estimate_of_functions_are_named(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(api.UsageError, match=message):
        api.estimate(**{"study": never, "x": X, "y": Y, "quiet": True, **arguments})


def test_workers_that_started_early_end_where_an_argument_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[object] = []
    monkeypatch.setattr(parallel, "prepare", lambda jobs, module: events.append(jobs))
    monkeypatch.setattr(parallel, "end_prepared", lambda: events.append("ended"))
    with pytest.raises(UsageError):
        api.estimate("no-such-study.toml", jobs=2, quiet=True)
    assert events == [2, "ended"]
