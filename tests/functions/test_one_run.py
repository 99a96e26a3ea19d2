"""`mgaudit.audit` with models=1: canaries of one training by the user's function."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mgaudit
from mgaudit.attacks.one_run import guess, one_run_fdp_epsilon
from mgaudit.functions.api import FunctionArguments
from mgaudit.functions.one_run import OneRunPlan, OneRunSettings, one_run_settings, plan_one_fit
from mgaudit.reports.dp_audit import bounds_table
from mgaudit.reports.dp_document import dp_document
from mgaudit.storage.run_folder import RunFolder
from mgaudit.storage.run_list import listed_runs
from mgaudit.targets.seeds import numpy_generator

RANDOM = np.random.default_rng(0)
EXAMPLES = 800
X = RANDOM.normal(size=(EXAMPLES, 3))
Y = RANDOM.integers(0, 3, EXAMPLES)
TEST: dict[str, Any] = {"x_test": RANDOM.normal(size=(50, 3)), "y_test": RANDOM.integers(0, 3, 50)}


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    monkeypatch.chdir(tmp_path)


class Memory:
    """A function that gives every row that it has seen its label, and counts its rows."""

    def __init__(self) -> None:
        self.rows: list[np.ndarray] = []
        self.labels: list[np.ndarray] = []

    def __call__(self, x: np.ndarray, y: np.ndarray, *, seed: int) -> Callable[[Any], Any]:
        self.rows.append(x)
        self.labels.append(y)
        label_of = {row.tobytes(): label for row, label in zip(x, y, strict=True)}

        def predict(rows: np.ndarray) -> np.ndarray:
            logits = np.zeros((len(rows), 3))
            for index, row in enumerate(rows):
                if row.tobytes() in label_of:
                    logits[index, label_of[row.tobytes()]] = 4.0
            return logits

        return predict


def constant(x: Any, y: Any, *, seed: int) -> Callable[[Any], Any]:
    return lambda rows: np.tile([0.0, 1.0, 2.0], (len(rows), 1))


def audited(fit: Any, **changes: Any) -> mgaudit.DPResult:
    arguments: dict[str, Any] = {"x": X, "y": Y, **TEST, "canaries": 300, "models": 1}
    result = mgaudit.audit(fit, **{**arguments, "quiet": True, **changes})
    assert isinstance(result, mgaudit.DPResult)
    return result


def planned(settings: OneRunSettings, **changes: Any) -> OneRunPlan:
    return plan_one_fit(
        Memory(), FunctionArguments(**{"x": X, "y": Y, **TEST, **changes}), settings
    )


@pytest.mark.parametrize("kind", ["natural", "mislabelled"])
def test_a_function_that_memorises_is_found_to_leak(kind: str) -> None:
    record = audited(Memory(), kind=kind).record
    assert record.correct == record.guesses == 60
    assert record.bounds[0].epsilon > 0.5
    assert record.bounds[0].epsilon == record.epsilon_provable
    assert record.epsilon_claimed is None
    assert not record.alarm


def test_a_function_that_learns_nothing_leaks_nothing() -> None:
    record = audited(constant, epsilon=0.1).record
    assert all(bound.epsilon == 0 for bound in record.bounds)
    assert not record.alarm


def test_a_claim_below_what_is_proved_raises_the_alarm_and_one_above_does_not() -> None:
    proved = audited(Memory(), delta=1e-5).record.bounds[0].epsilon
    for factor, alarm in ((0.99, True), (1.01, False)):
        result = audited(Memory(), epsilon=factor * proved, delta=1e-5)
        assert result.alarm is alarm
        assert result.record.bounds[0].epsilon == proved
        assert result.record.delta == 1e-5
        assert result.verdict.startswith("Alarm: " if alarm else "No alarm")


def test_the_function_sees_all_other_examples_and_the_canaries_of_the_coins() -> None:
    fit = Memory()
    result = audited(fit)
    canaries, coins = result.arrays["canaries"], result.arrays["membership"][0]
    (largest,) = [rows for rows in fit.rows if len(rows) > 400]  # the trial fits have 300 rows
    included = np.ones(EXAMPLES, dtype=bool)
    included[canaries] = coins
    assert np.array_equal(largest, X[included])
    assert 100 < coins.sum() < 200
    assert len(set(canaries.tolist())) == 300


def test_mislabelled_canaries_are_fitted_with_other_labels_and_natural_ones_with_their_own() -> (
    None
):
    fit = Memory()
    result = audited(fit, kind="mislabelled")
    canaries, coins = result.arrays["canaries"], result.arrays["membership"][0]
    labels = Y.copy()
    labels[canaries] = result.arrays["labels"]
    assert (result.arrays["labels"] != Y[canaries]).all()
    included = np.ones(EXAMPLES, dtype=bool)
    included[canaries] = coins
    assert np.array_equal(max(fit.labels, key=len), labels[included])
    natural = audited(Memory(), kind="natural").arrays
    assert np.array_equal(natural["labels"], Y[natural["canaries"]])


def test_all_other_classes_are_drawn_about_equally_often() -> None:
    plan = planned(one_run_settings({"canaries": 600}))
    shifts = (plan.functions.data.labels[plan.canaries] - Y[plan.canaries]) % 3
    assert np.bincount(shifts, minlength=3)[0] == 0
    assert abs(np.bincount(shifts)[1] - 300) < 5 * np.sqrt(150)


def test_the_bound_is_that_of_the_guesses_by_the_confidence_of_the_label() -> None:
    def noisy(x: Any, y: Any, *, seed: int) -> Callable[[Any], Any]:
        memory = Memory()(x, y, seed=seed)
        return lambda rows: memory(rows) + 4 * np.sin(1e6 * rows)

    result = audited(noisy, guesses=0.2, significance=0.1, seed=3)
    record, arrays = result.record, result.arrays
    assert (record.seconds > 0, record.canaries, record.guesses) == (True, 300, 120)
    scores, coins = arrays["scores"][0], arrays["membership"][0]
    by_hand = guess(scores, coins, 60, 60, numpy_generator(3, "guesses", 0))
    assert record.correct == by_hand.correct
    assert record.bounds[0].epsilon == one_run_fdp_epsilon(by_hand, record.delta, 0.1)
    assert scores[coins].mean() > scores[~coins].mean() + 1
    n = EXAMPLES - 150
    assert record.delta == pytest.approx(n**-1.1)


def test_probabilities_are_scored_as_their_logits_are() -> None:
    def softmax(x: Any, y: Any, *, seed: int) -> Callable[[Any], Any]:
        memory = Memory()(x, y, seed=seed)

        def predict(rows: Any) -> Any:
            exponents = np.exp(memory(rows))
            return exponents / exponents.sum(axis=1, keepdims=True)

        return predict

    by_logits, by_probabilities = audited(Memory()), audited(softmax)
    np.testing.assert_allclose(
        by_probabilities.arrays["scores"], by_logits.arrays["scores"], atol=1e-9
    )


def test_exact_copies_are_no_canaries_unless_they_are_apart() -> None:
    copied = {"x": np.concatenate([X, X[:200]]), "y": np.concatenate([Y, Y[:200]])}
    alone = set(range(200, EXAMPLES))
    natural = one_run_settings({"canaries": 600, "kind": "natural"})
    plan = planned(natural, **copied)
    assert set(plan.canaries.tolist()) == alone
    assert "400 of 1000 examples have exact copies" in plan.functions.data.notes[0]
    assert "no canaries" in plan.functions.data.notes[0]
    with pytest.raises(mgaudit.UsageError, match="at most 600, the number of examples without"):
        planned(one_run_settings({"canaries": 601}), **copied)
    apart = planned(one_run_settings({"canaries": 601}), **copied, duplicates="apart")
    assert not set(apart.canaries.tolist()) <= alone


def test_a_mislabelled_canary_never_equals_an_example_that_is_always_included() -> None:
    copied = {"x": np.concatenate([X, X[:200]]), "y": np.concatenate([Y, (Y[:200] + 1) % 3])}
    plan = planned(one_run_settings({"canaries": 600, "kind": "mislabelled"}), **copied)
    assert set(plan.canaries.tolist()) == set(range(200, EXAMPLES))
    natural = planned(one_run_settings({"canaries": 1000, "kind": "natural"}), **copied)
    assert len(natural.canaries) == 1000


def test_labels_keep_the_type_and_the_index_that_the_user_gave() -> None:
    names = np.array(["cat", "dog", "owl"])
    index = np.arange(EXAMPLES)[::-1]
    frames = {"x": pd.DataFrame(X, index=index), "y": pd.Series(names[Y], index=index)}
    test = {"x_test": pd.DataFrame(TEST["x_test"]), "y_test": names[TEST["y_test"]]}
    plan = planned(one_run_settings({"canaries": 300}), **frames, **test)
    y = plan.functions.data.fitted.y
    assert y.index.equals(plan.functions.data.fitted.x.index)
    assert np.array_equal(y.to_numpy(), names[plan.functions.data.labels])


def test_the_run_directory_has_the_result_and_is_listed(tmp_path: Path) -> None:
    result = audited(Memory(), epsilon=2.0, name="my training")
    assert result.path is not None
    content = json.loads((result.path / "dp-audit.json").read_text())
    assert content["adversary"] == "one-run"
    assert content["settings"]["canaries"] == 300
    assert content["label"] == "my training"
    (run,) = listed_runs(tmp_path / "runs")
    assert run.trouble == ""
    assert "one run" in run.what


def test_the_report_names_the_call_and_the_white_box_audit_of_a_loop() -> None:
    result = audited(Memory(), epsilon=2.0, seed=4)
    text = repr(dp_document(result.record, result.arrays))
    assert "mgaudit.audit(fit, x, y, x_test=x_test, y_test=y_test, models=1, canaries=300" in text
    assert "seed=4" in text
    assert "WhiteBoxAuditor" in text
    assert "audit-dp --settings" not in text
    claim = bounds_table(result.record).rows[-1]
    assert [str(cell) for cell in claim[:2]] == ["claimed", "≤ 2.00"]


def test_labels_instead_of_probabilities_are_refused() -> None:
    def hard(x: Any, y: Any, *, seed: int) -> Callable[[Any], Any]:
        return lambda rows: np.zeros(len(rows), dtype=int)

    with pytest.raises(mgaudit.UsageError, match="return probabilities or logits, not labels"):
        audited(hard)


def test_a_function_that_fails_on_the_whole_data_says_why() -> None:
    def fragile(x: Any, y: Any, *, seed: int) -> Callable[[Any], Any]:
        if len(x) > 400:
            raise ValueError("out of luck")
        return constant(x, y, seed=seed)

    with pytest.raises(mgaudit.RunFailedError, match="out of luck"):
        audited(fragile)


@pytest.mark.parametrize(
    ("changes", "key", "way_out"),
    [
        ({"canaries": 19}, "canaries", ">= 20"),
        ({"canaries": 801}, "canaries", "at most 800"),
        ({"canaries": None}, "canaries", "canaries=500"),
        ({"models": 2}, "canaries", "models=1"),
        ({"models": None}, "canaries", "models=1"),
        ({"models": 4, "canaries": None, "epsilon": 1.0}, "epsilon", "models=1"),
        ({"models": True}, "canaries", "models=1"),
        ({"epsilon": 0}, "epsilon", "> 0"),
        ({"epsilon": -1.0}, "epsilon", "> 0"),
        ({"epsilon": float("inf")}, "epsilon", "> 0"),
        ({"delta": 1.0}, "delta", "< 1"),
        ({"epsilom": 1.0}, "epsilom", "did you mean 'epsilon'?"),
        ({"kind": "natura"}, "kind", "natural"),
        ({"guesses": 0.6}, "guesses", "0.5"),
        ({"groups": np.arange(EXAMPLES) // 2}, "groups", "leave it out"),
        ({"attacks": "lira"}, "attacks", "leave it out"),
        ({"fit": {"one": constant, "two": constant}}, "fit", "one after the other"),
    ],
)
def test_a_mistake_is_refused_before_the_function_is_called(
    changes: dict[str, Any], key: str, way_out: str
) -> None:
    fit = Memory()
    arguments: dict[str, Any] = {"fit": fit, **changes}
    with pytest.raises(mgaudit.UsageError) as raised:
        audited(arguments.pop("fit"), **arguments)
    assert raised.value.key == key
    assert way_out in str(raised.value)
    assert "\n" not in str(raised.value)
    assert fit.rows == []


def test_a_comparison_of_one_model_is_refused_as_before() -> None:
    with pytest.raises(mgaudit.UsageError, match="models must be a whole number >= 3"):
        mgaudit.compare({"one": constant, "two": constant}, X, Y, models=1, quiet=True)
