"""Exact duplicates among training rows: case B5 of the public reports."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from numpy.typing import NDArray
from typer.testing import CliRunner

import mgaudit
from mgaudit.attacks.intervals import resample_counts
from mgaudit.cli.app import app
from mgaudit.functions.copies import copies_in
from mgaudit.functions.data import function_data
from mgaudit.functions.settings import FunctionSettings
from mgaudit.reports.method import facts, method
from mgaudit.reports.record import ChoiceRecord
from mgaudit.settings.schemes import PLAIN
from mgaudit.settings.study_settings import study_settings
from mgaudit.storage.run_folder import RunFolder
from mgaudit.study.attack import AttackFacts, outcome_of
from mgaudit.study.audited import AuditedArm, AuditedData
from mgaudit.study.design import Design, draw_design
from mgaudit.study.epsilon_bound import guesses_a_side
from mgaudit.study.mounting import measured
from mgaudit.targets.membership import fair_coins
from mgaudit.targets.networks.mlp import MLP
from tests.functions.centroids import centroids

COPIED = 40  # examples that occur twice
EXAMPLES = 160
Arrays = tuple[NDArray[Any], ...]
SHARED: dict[str, Any] = {
    "target": "mlp:hidden=8", "epochs": 3, "models": 4, "stack": 1, "jobs": 1, "quiet": True,
    "attack": "loss", "dp": False, "scheme": "none",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    monkeypatch.chdir(tmp_path)


def data(copied: int = COPIED) -> Arrays:
    """Returns training and test arrays; the last `copied` training rows repeat the first."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(EXAMPLES, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    if copied:
        x[-copied:], y[-copied:] = x[:copied], y[:copied]
    x_test = generator.normal(size=(40, 5)).astype(np.float32)
    return x, y, x_test, (x_test[:, 0] > 0).astype(np.int64)


def design(copied: int, duplicates: str = "together", seed: int = 0) -> Design:
    values = {"dataset": data(copied), "duplicates": duplicates, "models": 5, "seed": seed}
    return draw_design(study_settings(values))


def rows_of_copies(drawn: Design) -> list[list[int]]:
    """Returns the positions of the two rows of each copied example, from the stored order."""
    position_of = np.argsort(drawn.dataset.indices)
    last = EXAMPLES - COPIED
    return [[int(position_of[row]), int(position_of[last + row])] for row in range(COPIED)]


@pytest.mark.parametrize("seed", [0, 7])
def test_b05_exact_duplicates_share_their_coins(seed: int) -> None:
    drawn = design(COPIED, seed=seed)
    coins = fair_coins(5, EXAMPLES, seed)
    pairs = rows_of_copies(drawn)
    for pair in pairs:
        assert np.array_equal(drawn.membership[:, pair[0]], drawn.membership[:, pair[1]])
        assert np.array_equal(drawn.membership[:, pair[0]], coins[:, min(pair)])
        drawn_together = drawn.example_resamples[:, pair]
        assert np.array_equal(drawn_together[:, 0], drawn_together[:, 1])
    alone = np.setdiff1d(np.arange(EXAMPLES), np.ravel(pairs))
    assert np.array_equal(drawn.membership[:, alone], coins[:, alone])
    assert "80 of 160 examples have exact copies (40 groups, the largest of 2)" in drawn.notes[0]


def test_data_without_duplicates_keep_their_coins_and_resamples() -> None:
    together, apart = design(0), design(0, "apart")
    assert np.array_equal(together.membership, fair_coins(5, EXAMPLES, 0))
    for name in ("membership", "example_resamples", "test_resamples"):
        assert np.array_equal(getattr(together, name), getattr(apart, name))
    assert together.notes == ()
    assert together.groups is None
    assert together.coins == "all"


def test_copies_apart_have_coins_of_their_own_and_are_reported() -> None:
    drawn = design(COPIED, "apart")
    assert np.array_equal(drawn.membership, fair_coins(5, EXAMPLES, 0))
    assert drawn.groups is None
    assert "coin of its own" in drawn.notes[0]


def test_few_distinct_examples_are_refused_before_training() -> None:
    x, y, x_test, y_test = data(0)
    x, y = np.tile(x[:8], (20, 1)), np.tile(y[:8], 20)
    values = {"dataset": (x, y, x_test, y_test), "models": 4}
    with pytest.raises(mgaudit.UsageError, match="at least 20 distinct examples to audit, got 8"):
        draw_design(study_settings(values))


def test_a_run_reports_its_copies_and_bounds_leave_them_out() -> None:
    result = mgaudit.run(dataset=data(), **SHARED)
    study = result.record.studies[0]
    (arm,) = study.arms
    alone = EXAMPLES - 2 * COPIED
    assert study.dataset.shared_coins == 2 * COPIED
    assert "80 of 160 examples" in study.dataset.notes[0]
    assert arm.guesses == 2 * guesses_a_side(0.05, alone)
    words = " ".join(method(study))
    assert f"The {alone} examples that have a coin of their own are canaries" in words
    assert "exact copies together" in words
    assert any(name == "About the data" for name, _ in facts(study))
    log = (result.path / "log.txt").read_text(encoding="utf-8")
    assert "80 of 160 examples have exact copies" in log


def test_the_option_is_kept_in_the_settings_and_repeated(tmp_path: Path) -> None:
    file = tmp_path / "data.npz"
    np.savez(file, **dict(zip(("x_train", "y_train", "x_test", "y_test"), data(), strict=True)))
    options = ["--target", "mlp:hidden=8", "--epochs", "2", "--models", "4", "--attack", "loss"]
    options += ["--no-dp", "--scheme", "none", "--stack", "1", "--jobs", "1", "--json"]
    command = ["run", "--dataset", f"npz:{file}", "--duplicates", "apart", *options]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    content = json.loads(first.stdout)
    settings = Path(content["run"]) / "settings.toml"
    assert 'duplicates = "apart"' in settings.read_text(encoding="utf-8")
    again = CliRunner().invoke(app, ["run", "--settings", str(settings), "--json"])
    study = json.loads(again.stdout)["result"]["studies"][0]
    assert study["dataset"]["shared_coins"] == 0
    assert study["arms"] == content["result"]["studies"][0]["arms"]


def test_an_unknown_word_for_duplicates_is_refused() -> None:
    for audit in (
        lambda: mgaudit.run(dataset=data(), duplicates="drop", **SHARED),
        lambda: mgaudit.audit(centroids, *data()[:2], duplicates="drop", models=4, quiet=True),
    ):
        with pytest.raises(mgaudit.UsageError, match=r"duplicates must be .*together.*apart"):
            audit()


def test_copies_alone_give_no_bound_and_the_report_says_why() -> None:
    x, y, x_test, y_test = data(0)
    half = EXAMPLES // 2
    x[half:], y[half:] = x[:half], y[:half]
    study = mgaudit.run(dataset=(x, y, x_test, y_test), **SHARED).record.studies[0]
    assert study.arms[0].delta is None
    assert study.arms[0].attacks[0].epsilon_lower_bound is None
    assert "too few examples have a coin of their own" in " ".join(method(study))


def audited(canaries: NDArray[np.int64] | None) -> tuple[AuditedArm, AuditedData]:
    membership = fair_coins(3, 400, 0)
    membership[:, 200:] = membership[:, :200]
    resamples = resample_counts(400, np.random.default_rng(0), 20)
    splits = np.zeros((1, membership.shape[1]), dtype=bool)
    shared = AuditedData(
        None, (), (), membership, 200, resamples, None, splits, None, 0, canaries=canaries
    )
    plain = [ChoiceRecord(name=PLAIN)]
    arm = AuditedArm("a", "a", plain, [], "", None, None, None, 1e-5, [], [0, 1, 2], [0, 1, 2])
    return arm, shared


def test_a_leak_of_copies_alone_proves_nothing() -> None:
    facts_of_attack = AttackFacts("loss", ChoiceRecord(name="loss"), "", frozenset())
    for canaries, leaks in ((None, True), (np.arange(100, 200), False)):
        arm, shared = audited(canaries)
        scores = np.random.default_rng(1).normal(size=(3, 400))
        scores[:, 300:] += 100.0 * shared.membership[:, 300:]  # rows that are copies
        scores[:, 300:] -= 50.0
        outcome = outcome_of(
            facts_of_attack, arm, shared, measured(scores, shared.membership, shared)
        )
        assert outcome.epsilon_lower_bound is not None
        assert (outcome.epsilon_lower_bound > 0.5) == leaks


def test_copies_of_members_are_no_non_members_of_a_checkpoint() -> None:
    x, y, x_test, y_test = data()
    options = {key: value for key, value in SHARED.items() if key not in ("dp", "scheme")}
    plain = mgaudit.run(dataset=(x, y, x_test, y_test), **SHARED)
    assert plain.record.studies[0].dataset.shared_coins == 2 * COPIED
    model = MLP((5,), 2, hidden=(8,))
    result = mgaudit.audit_checkpoint(
        model, members="0:80", dataset=(x, y, x_test, y_test), **options
    )
    study = result.record.studies[0]
    # Of the rows 80..159, the last 40 repeat the rows 0..39, which are members.
    assert (study.settings["members"], study.settings["non_members"]) == (80, 40)
    assert study.checks is not None
    assert any(
        "exact copies of members were left out: 40 of 80" in note for note in study.checks.notes
    )
    with pytest.raises(mgaudit.UsageError, match="non_members must be other examples"):
        mgaudit.audit_checkpoint(
            model, members="0:80", non_members="120:160", dataset=(x, y, x_test, y_test), **options
        )


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x,
        lambda x: x.tolist(),
        pd.DataFrame,
        lambda x: pd.DataFrame(x).assign(kind=["a"] * len(x), gap=np.nan),
        scipy.sparse.csr_matrix,
        scipy.sparse.coo_array,
        lambda x: [" ".join(map(str, row)) for row in x.tolist()],
        lambda x: np.where(x > 2, np.nan, x),
        lambda x: pd.DataFrame(x).assign(kind="a").to_numpy(),
        lambda x: [[*row, None] for row in x.tolist()],
    ],
)
def test_copies_are_found_in_every_type_of_examples(convert: Any) -> None:
    x, y, _, _ = data()
    copies = copies_in(convert(x), y)
    assert copies is not None
    expected = np.arange(EXAMPLES)
    expected[-COPIED:] = np.arange(COPIED)
    assert copies.first.tolist() == expected.tolist()


def test_examples_that_cannot_be_compared_are_said_to_be_so() -> None:
    assert copies_in([{"a": index} for index in range(3)], np.zeros(3, np.int64)) is None


@pytest.mark.parametrize("duplicates", ["together", "apart"])
def test_training_functions_see_copies_together_or_apart(duplicates: str) -> None:
    x, y, _, _ = data()
    result = mgaudit.audit(
        centroids, x, y, models=4, jobs=1, quiet=True, attacks="loss", duplicates=duplicates
    )
    study = result.record.studies[0]
    assert study.checks is not None
    membership = result.arrays[0]["membership"]
    assert any("exact copies" in note for note in study.checks.notes)
    assert study.checks.is_grouped == (duplicates == "together")
    assert study.arms[0].delta is not None
    if duplicates == "together":
        assert study.arms[0].guesses < 2 * guesses_a_side(0.05, membership.shape[1])


def test_the_held_out_part_has_no_copy_of_an_audited_example() -> None:
    x, y, _, _ = data()
    for seed in range(5):
        drawn = function_data(x, y, None, None, None, FunctionSettings(seed=seed))
        audited_rows = {row.tobytes() for row in drawn.fitted.x}
        assert not audited_rows & {row.tobytes() for row in drawn.fitted.x_test}


@pytest.mark.parametrize("case", ["apart", "groups", "labels"])
def test_the_held_out_part_has_no_equal_example_whatever_the_coins(case: str) -> None:
    x, y, _, _ = data()
    groups = np.arange(EXAMPLES) if case == "groups" else None
    if case == "labels":
        y = y.copy()
        y[-COPIED:] = 1 - y[-COPIED:]
    settings = FunctionSettings(duplicates="apart" if case == "apart" else "together")
    drawn = function_data(x, y, None, None, groups, settings)
    audited_rows = {row.tobytes() for row in drawn.fitted.x}
    assert not audited_rows & {row.tobytes() for row in drawn.fitted.x_test}


def test_copies_and_groups_of_outputs_are_joined() -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(200, 3))
    inputs[190:] = inputs[:10]
    membership = generator.random((4, 200)) < 0.5
    membership[:, 190:] = membership[:, :10]
    study = mgaudit.score(
        scores=membership + generator.normal(size=(4, 200)), membership=membership,
        inputs=inputs, groups=np.arange(200), quiet=True,
    ).record.studies[0]  # fmt: skip
    assert study.arms[0].guesses == 2 * guesses_a_side(0.05, 180)


def test_groups_of_the_user_stay_and_copies_across_them_are_reported() -> None:
    x, y, _, _ = data()
    people = np.arange(EXAMPLES) // 2
    result = mgaudit.audit(
        centroids, x, y, groups=people, models=4, jobs=1, quiet=True, attacks="loss"
    )
    checks = result.record.studies[0].checks
    assert checks is not None
    assert any("in different groups" in note for note in checks.notes)


def test_an_audit_of_dp_sgd_reports_copies_whose_coins_are_apart() -> None:
    result = mgaudit.audit_dp(
        dataset=data(), canaries=60, target="mlp:hidden=8", epochs=2, stack=1, jobs=1, quiet=True
    )
    assert "80 of 160 examples have exact copies" in result.record.notes[0]
    assert "coin of its own" in result.record.notes[0]


@pytest.mark.parametrize("together", [True, False])
def test_outputs_with_inputs_show_copies(together: bool) -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(200, 3))
    inputs[150:] = inputs[:50]
    membership = generator.random((4, 200)) < 0.5
    if together:
        membership[:, 150:] = membership[:, :50]
    arguments = {"scores": membership + generator.normal(size=(4, 200)), "membership": membership}
    plain = mgaudit.score(**arguments, quiet=True).record.studies[0]
    study = mgaudit.score(**arguments, inputs=inputs, quiet=True).record.studies[0]
    assert plain.checks is not None
    assert study.checks is not None
    assert not plain.checks.notes
    assert "100 of 200 examples have exact copies" in study.checks.notes[0]
    assert study.checks.is_grouped == together
    assert study.arms[0].guesses == 2 * guesses_a_side(0.05, 100 if together else 200)
    aucs = [one.arms[0].attacks[0].per_target["auc"] for one in (plain, study)]
    assert aucs[0] == aucs[1]
