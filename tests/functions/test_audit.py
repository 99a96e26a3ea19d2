"""Audits of training functions from the arguments to the outputs that are attacked."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from mgaudit.attacks import score_every_target
from mgaudit.attacks.lira import LiRA
from mgaudit.errors import UsageError
from mgaudit.functions.api import FunctionArguments, plan_functions
from mgaudit.functions.audit import AuditedFunctions
from mgaudit.outputs.model_outputs import ModelOutputs
from mgaudit.storage.ensembles import cache_folder
from mgaudit.study.progress import Progress
from mgaudit.targets.membership import fair_coins
from mgaudit.targets.seeds import stream
from tests.functions.centroids import centroids
from tests.functions.recorder import Recorder

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 4))
Y = (X[:, 0] + RANDOM.normal(size=120) > 0).astype(int)
SMALL: dict[str, Any] = {"models": 4, "jobs": 1, "x_test": X[100:], "y_test": Y[100:]}


def train_models(
    fits: Any,
    x: Any,
    y: Any,
    progress: Progress | None = None,
    name: str | None = None,
    **given: Any,
) -> AuditedFunctions:
    plan = plan_functions(fits, FunctionArguments(x, y, **given), name)
    return plan.train(progress or Progress())


def outputs_of(audited: AuditedFunctions, arm: int = 0) -> ModelOutputs:
    outputs = audited.arms[arm].outputs
    assert isinstance(outputs, ModelOutputs)
    return outputs


def test_an_audit_of_an_estimator_agrees_with_a_loop_by_hand() -> None:
    audited = train_models(
        DecisionTreeClassifier(max_depth=4, max_features=2), X[:100], Y[:100], models=6,
        x_test=X[100:], y_test=Y[100:], seed=3, clip=1e-4, jobs=1,
    )  # fmt: skip
    outputs = outputs_of(audited)
    scores = score_every_target(LiRA(variance="pooled"), outputs.observations(None))

    members = fair_coins(6, 100, seed=3)
    phi = np.empty((6, 100))
    for model in range(6):
        tree = DecisionTreeClassifier(
            max_depth=4, max_features=2, random_state=stream(3, "fit", model) % 2**31
        )
        tree.fit(X[:100][members[model]], Y[:100][members[model]])
        p = np.maximum(tree.predict_proba(X[:100]), 1e-4)[np.arange(100), Y[:100]]
        others = np.maximum(tree.predict_proba(X[:100]), 1e-4)[np.arange(100), 1 - Y[:100]]
        phi[model] = np.log(p / others)
    by_hand = np.stack([lira_by_hand(phi, members, target) for target in range(6)])
    assert np.array_equal(outputs.membership, members)
    assert np.abs(scores - by_hand).max() < 1e-9
    assert np.abs(by_hand).max() > 0.1


def lira_by_hand(phi: np.ndarray, members: np.ndarray, target: int) -> np.ndarray:
    """Returns LiRA's scores of one target, with one standard deviation for all examples."""
    shadows = np.delete(phi, target, axis=0)
    inside = np.delete(members, target, axis=0)
    sums = {side: ([], [], []) for side in (True, False)}
    for example in range(phi.shape[1]):
        for side, (means, squares, counts) in sums.items():
            values = shadows[inside[:, example] == side, example]
            means.append(values.mean() if len(values) else np.nan)
            squares.append(((values - values.mean()) ** 2).sum() if len(values) else 0.0)
            counts.append(max(len(values) - 1, 0))
    mean_in, mean_out = np.array(sums[True][0]), np.array(sums[False][0])
    gap = np.nanmean(mean_in - mean_out)
    mean_in, mean_out = (
        np.where(np.isnan(mean_in), mean_out + gap, mean_in),
        np.where(np.isnan(mean_out), mean_in - gap, mean_out),
    )
    deviations = {side: np.sqrt(np.sum(s) / np.sum(c)) for side, (_, s, c) in sums.items()}
    log_in = norm.logpdf(phi[target], mean_in, deviations[True])
    return log_in - norm.logpdf(phi[target], mean_out, deviations[False])


def test_outputs_are_those_of_the_function() -> None:
    audited = train_models(centroids, X[:100], Y[:100], **SMALL)
    outputs = outputs_of(audited)
    members = fair_coins(4, 100, seed=0)
    for model in range(4):
        seed = stream(0, "fit", model) % 2**31
        predict = centroids(X[:100][members[model]], Y[:100][members[model]], seed=seed)
        assert np.array_equal(outputs.logits[model, :, 0], predict(X[:100]))
        assert outputs.population_logits is not None
        assert np.array_equal(outputs.population_logits[model, :, 0], predict(X[100:]))
    assert outputs.clipped is None
    assert outputs.population_labels is not None
    assert np.array_equal(outputs.population_labels, Y[100:])
    assert (audited.arms[0].label, audited.arms[0].is_plain) == ("centroids", False)


@pytest.mark.parametrize(
    "convert",
    [pd.DataFrame, np.ndarray.tolist, scipy.sparse.csr_array, torch.tensor],
    ids=["DataFrame", "list", "sparse", "tensor"],
)
def test_a_fit_sees_the_type_that_was_given(convert: Callable[[Any], Any]) -> None:
    x, x_test = convert(X[:100]), convert(X[100:])
    types = set()

    def fit(x: Any, y: Any, *, seed: int) -> Any:
        types.add((type(x), type(y)))
        values = x.toarray() if scipy.sparse.issparse(x) else x
        numbers = (np.asarray(y) == "yes").astype(int)
        predict = centroids(values, numbers, seed=seed)
        return lambda rows: predict(rows.toarray() if scipy.sparse.issparse(rows) else rows)

    labels = pd.Series(np.where(Y == 1, "yes", "no"))
    given = {**SMALL, "x_test": x_test, "y_test": labels[100:]}
    outputs = outputs_of(train_models(fit, x, labels[:100], **given))
    assert types == {(type(x), pd.Series)}
    assert outputs.classes == ("no", "yes")
    expected = outputs_of(train_models(centroids, X[:100], Y[:100], **SMALL))
    assert np.array_equal(outputs.logits, expected.logits)
    assert np.array_equal(outputs.labels, expected.labels)


def test_groups_are_held_out_and_drawn_together() -> None:
    groups = np.array([f"person {row % 40}" for row in range(120)])
    audited = train_models(
        centroids, X, Y, groups=groups, models=4, test_fraction=0.25, jobs=1, seed=1
    )
    outputs = outputs_of(audited)
    assert outputs.groups is not None
    assert len(outputs.labels) == 90
    rows = np.array([int(origin.removeprefix("row ")) for origin in outputs.origins])
    assert np.array_equal(outputs.labels, Y[rows])
    tests = np.setdiff1d(np.arange(120), rows)
    assert not set(groups[rows]) & set(groups[tests])
    assert outputs.population_labels is not None
    assert np.array_equal(outputs.population_labels, Y[tests])
    for group in np.unique(outputs.groups):
        of_group = outputs.membership[:, outputs.groups == group]
        assert (of_group == of_group[:, :1]).all()
        assert len(set(groups[rows[outputs.groups == group]])) == 1


def test_functions_share_members_and_seeds_and_one_is_plain() -> None:
    def defended(x: Any, y: Any, *, seed: int) -> Any:
        predict = centroids(x, y, seed=seed)
        return lambda rows: predict(rows) * 0.1

    audited = train_models({"plain": centroids, "my defence": defended}, X[:100], Y[:100], **SMALL)
    plain, defence = outputs_of(audited), outputs_of(audited, 1)
    assert np.array_equal(plain.logits * 0.1, defence.logits)
    assert [arm.is_plain for arm in audited.arms] == [True, False]
    assert list(audited.training_seconds) == ["plain", "my defence"]


@pytest.mark.slow
def test_processes_and_their_number_change_nothing() -> None:
    tree = DecisionTreeClassifier(max_features=2)
    offset = 0.5

    def fit(x: Any, y: Any, *, seed: int) -> Any:
        return centroids(x + offset, y, seed=seed)

    for function in (tree, fit):
        given = {**SMALL, "models": 5}
        two = train_models(function, X[:100], Y[:100], **{**given, "jobs": 2})
        assert not two.models_reused[two.arms[0].key]
        for path in (cache_folder() / "predictions").glob("*/model-*"):
            path.unlink()
        one = train_models(function, X[:100], Y[:100], **given)
        assert not one.models_reused[one.arms[0].key]
        assert np.array_equal(outputs_of(one).logits, outputs_of(two).logits)


def test_a_run_that_is_interrupted_goes_on_and_gives_equal_results() -> None:
    def fit(x: Any, y: Any, *, seed: int) -> Any:
        print("epoch", seed % 2)
        if seed == stream(0, "fit", 3) % 2**31:
            raise ValueError("no luck")
        return centroids(x, y, seed=seed)

    given = {**SMALL, "models": 6}
    with pytest.raises(KeyboardInterrupt):
        train_models(fit, X[:100], Y[:100], **given, progress=Recorder(interrupt_after=2))
    resumed = Recorder()
    second = train_models(fit, X[:100], Y[:100], **given, progress=resumed)
    assert resumed.started == [("fit", 6, 2)]
    assert resumed.trained == 4
    for folder in (cache_folder() / "predictions").iterdir():
        for path in folder.iterdir():
            path.unlink()
    whole = train_models(fit, X[:100], Y[:100], **given)
    assert whole.notes == second.notes
    assert np.array_equal(outputs_of(whole).logits, outputs_of(second).logits)
    assert np.array_equal(outputs_of(whole).membership, outputs_of(second).membership)


def test_what_changes_the_models_trains_them_again() -> None:
    def reused(fit: Any, x: Any = X[:100], **changes: Any) -> int:
        audited = train_models(fit, x, Y[:100], **{**SMALL, **changes})
        return next(iter(audited.models_reused.values()))

    def shifted(offset: float) -> Callable[..., Any]:
        return lambda x, y, *, seed: centroids(x + offset, y, seed=seed)

    assert reused(shifted(0.0)) == 0
    assert reused(shifted(0.0)) == 4
    assert reused(shifted(0.0), models=5) == 4
    assert reused(shifted(1.0)) == 0
    assert reused(shifted(0.0), x=X[:100] + 1) == 0
    assert reused(shifted(0.0), seed=1) == 0
    assert reused(shifted(0.0), x_test=X[:20] + 0.5, y_test=Y[:20]) == 0
    assert reused(LogisticRegression(C=1.0)) == 0
    assert reused(LogisticRegression(C=1.0, random_state=3)) == 4
    assert reused(LogisticRegression(C=2.0)) == 0


def test_what_has_no_digest_is_not_kept_and_this_is_said() -> None:
    lock = threading.Lock()

    def fit(x: Any, y: Any, *, seed: int) -> Any:
        with lock:
            return centroids(x, y, seed=seed)

    progress = Recorder()
    given = {**SMALL, "jobs": 2}
    audited = train_models(fit, X[:100], Y[:100], **given, progress=progress)
    assert not list(cache_folder().rglob("model-*"))
    unkept = "fit: models are not kept for a later run, because an object of _thread.lock has a"
    assert audited.notes[0].startswith(unkept)
    assert "cannot be sent" in audited.notes[1]
    assert progress.notes == audited.notes
    expected = outputs_of(train_models(centroids, X[:100], Y[:100], **SMALL))
    assert np.array_equal(outputs_of(audited).logits, expected.logits)


def test_a_damaged_file_is_set_aside_and_its_model_trained_again() -> None:
    first = train_models(centroids, X[:100], Y[:100], **SMALL)
    path = min((cache_folder() / "predictions").glob("*/model-*"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    progress = Recorder()
    again = train_models(centroids, X[:100], Y[:100], **SMALL, progress=progress)
    assert again.models_reused == {"centroids": 3}
    assert any("is damaged" in stage for stage in progress.stages)
    assert np.array_equal(outputs_of(first).logits, outputs_of(again).logits)


@pytest.mark.parametrize("jobs", [1, 2])
def test_models_that_fail_are_named_and_the_others_kept(jobs: int) -> None:
    bad = [stream(0, "fit", model) % 2**31 for model in (1, 4)]

    def fit(x: Any, y: Any, *, seed: int) -> Any:
        print("hello")
        if seed in bad:
            raise ValueError(f"no luck with {bad.index(seed)}")
        return centroids(x, y, seed=seed)

    progress = Recorder()
    given = {**SMALL, "models": 6, "jobs": jobs}
    audited = train_models(fit, X[:100], Y[:100], **given, progress=progress)
    assert audited.arms[0].failed == [1, 4]
    kept = [0, 2, 3, 5]
    assert np.array_equal(outputs_of(audited).membership, audited.membership[kept])
    whole = outputs_of(train_models(centroids, X[:100], Y[:100], **{**SMALL, "models": 6}))
    assert np.array_equal(outputs_of(audited).logits, whole.logits[kept])
    lines = [stage for stage in progress.stages if "failed" in stage]
    assert sorted(line.partition(" (")[0] for line in lines) == [
        "fit: model 1 failed: ValueError: no luck with 0",
        "fit: model 4 failed: ValueError: no luck with 1",
    ]
    assert audited.notes[:2] == sorted(lines)
    assert audited.notes[2].startswith("fit: 4 of 4 fits printed")
    assert audited.notes[2].endswith(": hello")


def test_too_few_models_are_an_error_unless_another_arm_has_enough() -> None:
    good = [stream(0, "fit", model) % 2**31 for model in (0, 2)]

    def fit(x: Any, y: Any, *, seed: int) -> Any:
        if seed not in good:
            raise ValueError("no luck")
        return centroids(x, y, seed=seed)

    with pytest.raises(RuntimeError, match=r"only 2 of 4 .* model 1 failed: ValueError: no luck"):
        train_models(fit, X[:100], Y[:100], **SMALL)
    audited = train_models({"a": fit, "b": centroids}, X[:100], Y[:100], **SMALL)
    assert [arm.failed for arm in audited.arms] == [[1, 3], []]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"models": 2}, "models"),
        ({"seed": -1}, "seed"),
        ({"jobs": 0}, "jobs"),
        ({"test_fraction": 1.0, "x_test": None, "y_test": None}, "test_fraction"),
        ({"outputs": "scores"}, "outputs"),
        ({"clip": 0.0}, "clip"),
        ({"y_test": None}, "y_test"),
        ({"y_test": Y[:3]}, "y_test"),
        ({"y_test": np.full(20, 7)}, "y_test"),
        ({"groups": ["a"]}, "groups"),
        ({"groups": ["a", "b"] * 50}, "groups"),
        ({"outputs": "probabilities"}, "predict of fit"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(UsageError) as error:
        train_models(centroids, X[:100], Y[:100], **{**SMALL, **changes})
    assert error.value.key == key


@pytest.mark.parametrize(
    ("x", "y", "key"), [(X[:100], Y[:99], "y"), ("x.npy", Y, "x"), (X[:9], Y[:9], "x")]
)
def test_data_that_do_not_fit_are_named(x: Any, y: Any, key: str) -> None:
    with pytest.raises(UsageError) as error:
        train_models(centroids, x, y, **SMALL)
    assert error.value.key == key


def test_a_mistake_in_any_function_is_found_before_models_are_trained(own_cache: Path) -> None:
    progress = Recorder()
    fits = {"plain": centroids, "odd": lambda x, y, *, seed: None}
    with pytest.raises(UsageError, match=r"fits\['odd'\] must return a function predict"):
        train_models(fits, X[:100], Y[:100], **SMALL, progress=progress)
    assert not progress.started
    for fits in ({}, {"plain": centroids, "none": centroids}, {"": centroids}, {3: centroids}):
        with pytest.raises(UsageError) as error:
            train_models(fits, X[:100], Y[:100], **SMALL)
        assert error.value.key == "fits"


def test_test_rows_that_repeat_audited_rows_are_refused_before_training() -> None:
    rule = "x_test must not repeat rows of x, and 30 of its rows do"
    given = {**SMALL, "x_test": X[70:], "y_test": Y[70:]}
    with pytest.raises(UsageError, match=rule):
        train_models(centroids, X[:100], Y[:100], **given)


def test_no_examples_are_one_clear_line() -> None:
    with pytest.raises(UsageError, match="x must have at least 20 examples to audit, got 0"):
        train_models(centroids, X[:0], Y[:0], **SMALL)
