"""`mgaudit.audit`, `compare` of functions and `run --fit`, from the arguments to the report."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

import mgaudit
from mgaudit.cli.app import app
from mgaudit.progress_bars import ProgressBars
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.verdict import question
from mgaudit.storage.ensembles import cache_folder
from mgaudit.storage.run_folder import RunFolder
from mgaudit.targets.membership import fair_coins
from mgaudit.targets.seeds import stream
from tests.functions.centroids import centroids

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 5))
Y = (X[:, 0] + RANDOM.normal(size=120) > 0).astype(int)
TEST: dict[str, Any] = {"x_test": X[90:], "y_test": Y[90:]}
PEOPLE = np.repeat([f"person {index}" for index in range(40)], 3)
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression(C=100.0))
FIT_MODULE = """
import numpy as np


def fit(x, y, *, seed):
    inputs = x.reshape(len(x), -1)
    means = np.zeros((10, inputs.shape[1]))
    for label in np.unique(y):
        means[label] = inputs[y == label].mean(axis=0)

    def predict(rows):
        rows = rows.reshape(len(rows), 1, -1)
        return -((rows - means) ** 2).sum(axis=-1)

    return predict


number = 3
"""


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    monkeypatch.chdir(tmp_path)


def audited(fit: Any, **arguments: Any) -> mgaudit.Result:
    given = {"x": X[:90], "y": Y[:90], **TEST, "models": 4, "jobs": 1, "quiet": True}
    given |= arguments
    return mgaudit.audit(fit, **given)


def study_of(result: mgaudit.Result) -> StudyResult:
    (study,) = result.record.studies
    return study


def only_arm(result: mgaudit.Result) -> AuditResult:
    (arm,) = study_of(result).arms
    return arm


def softer(x: Any, y: Any, *, seed: int) -> Any:
    predict = centroids(x, y, seed=seed)
    return lambda rows: np.tanh(predict(rows) / 3)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mgaudit.Result]:
    """A comparison by person: 40 persons of 3 rows, a quarter of them for the test."""
    folder = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGAUDIT_CACHE", str(folder / "cache"))
        patch.setattr(RunFolder, "write_reports", lambda *_: [])
        yield mgaudit.compare(
            {"plain": centroids, "my defence": softer},
            X,
            Y,
            groups=PEOPLE,
            test_fraction=0.25,
            models=6,
            jobs=1,
            quiet=True,
            out=folder / "runs",
        )


def test_functions_are_compared_by_attacks_without_shadow_models() -> None:
    result = mgaudit.compare(
        {"plain": centroids, "soft": softer}, X, Y, models=4, attacks="loss", jobs=1, quiet=True
    )
    for arm in study_of(result).arms:
        assert [(attack.attack, attack.adversary) for attack in arm.attacks] == [
            ("loss", "adaptive")
        ]


def test_an_audit_of_a_pipeline_agrees_with_a_loop_by_hand() -> None:
    result = audited(PIPELINE, models=6, seed=3, attacks=["lira", "loss"])
    members = fair_coins(6, 90, seed=3)
    phi = np.empty((6, 90))
    accuracies = []
    for model in range(6):
        seed = stream(3, "fit", model) % 2**31
        own = make_pipeline(StandardScaler(), LogisticRegression(C=100.0, random_state=seed))
        own.fit(X[:90][members[model]], Y[:90][members[model]])
        p = own.predict_proba(X[:90])[:, 1]
        phi[model] = np.where(Y[:90] == 1, 1, -1) * (np.log(p) - np.log1p(-p))
        accuracies.append(own.score(TEST["x_test"], TEST["y_test"]))
    lira, loss = only_arm(result).attacks
    by_hand = [lira_by_hand(phi, members, target) for target in range(6)]
    lira_aucs = [auc_by_hand(by_hand[target], members[target]) for target in range(6)]
    loss_aucs = [auc_by_hand(phi[target], members[target]) for target in range(6)]
    np.testing.assert_allclose(lira.per_target["auc"], lira_aucs, rtol=0, atol=1e-9)
    np.testing.assert_allclose(loss.per_target["auc"], loss_aucs, rtol=0, atol=1e-9)
    assert lira.metrics["auc"].value == pytest.approx(np.mean(lira_aucs), abs=1e-9)
    assert only_arm(result).known_accuracy.value == pytest.approx(np.mean(accuracies), abs=1e-9)
    assert max(lira_aucs) - min(lira_aucs) > 0.02
    assert np.array_equal(result.arrays[0]["membership"], members)
    np.testing.assert_allclose(result.arrays[0]["arm0/lira/scores"], by_hand, rtol=0, atol=1e-6)


def lira_by_hand(phi: np.ndarray, members: np.ndarray, target: int) -> np.ndarray:
    """Returns LiRA's scores of one target, with one standard deviation for all examples."""
    shadows = np.delete(phi, target, axis=0)
    inside = np.delete(members, target, axis=0)
    means = {side: np.full(phi.shape[1], np.nan) for side in (True, False)}
    squares, freedom = {True: 0.0, False: 0.0}, {True: 0, False: 0}
    for example in range(phi.shape[1]):
        for side in (True, False):
            values = shadows[inside[:, example] == side, example]
            if len(values):
                means[side][example] = np.mean(values)
                squares[side] += np.sum((values - np.mean(values)) ** 2)
                freedom[side] += len(values) - 1
    gap = np.nanmean(means[True] - means[False])
    mean_in = np.where(np.isnan(means[True]), means[False] + gap, means[True])
    mean_out = np.where(np.isnan(means[False]), means[True] - gap, means[False])
    sd_in, sd_out = (np.sqrt(squares[side] / freedom[side]) for side in (True, False))
    log_in = stats.norm.logpdf(phi[target], mean_in, sd_in)
    return log_in - stats.norm.logpdf(phi[target], mean_out, sd_out)


def auc_by_hand(scores: np.ndarray, members: np.ndarray) -> float:
    """Returns the share of pairs that are ranked correctly, ties counted half."""
    differences = scores[members][:, np.newaxis] - scores[~members]
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))


def test_the_other_arm_has_paired_differences_to_plain(compared: mgaudit.Result) -> None:
    plain, defence = study_of(compared).arms
    assert (plain.label, plain.is_plain) == ("plain", True)
    assert (defence.label, defence.is_plain) == ("my defence", False)
    assert not plain.attacks[0].differences
    for name in ("auc", "tpr@0.1"):
        own, paired = defence.attacks[0].per_target[name], plain.attacks[0].per_target[name]
        expected = np.mean(np.subtract(own, paired))
        difference = defence.attacks[0].differences[name]
        assert difference.value == pytest.approx(expected, abs=1e-12)
        assert difference.low < difference.value < difference.high
    by_lira = defence.attack("lira", "adaptive")
    assert by_lira is not None
    assert abs(by_lira.differences["auc"].value) > 0.01
    assert defence.accuracy_difference is not None
    expected = defence.known_accuracy.value - plain.known_accuracy.value
    assert defence.accuracy_difference.value == pytest.approx(expected, abs=1e-12)


def test_the_naive_adversary_has_the_shadow_models_of_plain(compared: mgaudit.Result) -> None:
    plain, defence = study_of(compared).arms
    assert [attack.adversary for attack in plain.attacks] == ["adaptive"] * 4
    naive = defence.attack("lira", "naive")
    assert naive is not None
    assert defence.attack("loss", "naive") is None
    arrays = compared.arrays[0]
    scores = arrays["arm1/lira, naive/scores"]
    assert not np.allclose(scores, arrays["arm1/lira/scores"])
    aucs = [auc_by_hand(*pair) for pair in zip(scores, arrays["membership"], strict=True)]
    assert naive.per_target["auc"] == pytest.approx(aucs)


def test_without_plain_nothing_is_compared() -> None:
    study = study_of(audited({"a": centroids, "b": softer}))
    assert study.plain is None
    for arm in study.arms:
        assert [attack.adversary for attack in arm.attacks] == ["adaptive"] * 4
        assert not any(attack.differences for attack in arm.attacks)
    assert question(study).startswith("How much do models of a and of b on 90 examples reveal")


def test_rows_of_a_person_are_in_or_out_together(compared: mgaudit.Result) -> None:
    study = study_of(compared)
    membership = compared.arrays[0]["membership"]
    assert membership.shape == (6, 90)
    by_person = membership.reshape(6, 30, 3)
    assert (by_person == by_person[:, :, :1]).all()
    assert 0.3 < by_person[:, :, 0].mean() < 0.7
    assert study.dataset.test_examples == 30
    assert {attack.epsilon_lower_bound for arm in study.arms for attack in arm.attacks} == {None}
    assert "epsilon_lower_bound" not in set(compared.to_frame()["metric"])


def test_the_success_by_person_is_that_of_mean_scores(compared: mgaudit.Result) -> None:
    checks = study_of(compared).checks
    assert checks is not None
    assert [(success.arm, success.attack, success.groups) for success in checks.by_group] == [
        (arm, attack, 30)
        for arm in ("plain", "my defence")
        for attack in ("stacked", "rmia", "lira", "loss")
    ]
    arrays = compared.arrays[0]
    scores = arrays["arm0/stacked/scores"].reshape(6, 30, 3).mean(axis=-1)
    members = arrays["membership"][:, ::3]
    aucs = [auc_by_hand(*pair) for pair in zip(scores, members, strict=True)]
    assert checks.by_group[0].metrics["auc"].value == pytest.approx(np.mean(aucs), abs=1e-6)


def test_the_report_of_a_comparison_names_the_arm_plain(
    compared: mgaudit.Result, blank_figures: None
) -> None:
    text = text_of_report(compared)
    assert "Does my defence protect the training data better than plain on 90 examples" in text
    assert "for the arm plain (difference" in text
    assert "Differences to the arm plain" in text
    assert "shadow models are trained by the arm plain" in text
    assert "for each of the 30 groups of the 90 examples decides" in text
    assert "other targets and other groups" in text
    assert "noise" not in text


def test_the_report_of_one_function_is_about_its_models(blank_figures: None) -> None:
    result = audited(PIPELINE)
    text = text_of_report(result)
    assert "How much do models of LogisticRegression on 90 examples reveal" in text
    assert "models of LogisticRegression" in text
    for absent in ("noise", "DP-equivalent", "published"):
        assert absent not in text, absent
    for suffix in ("csv", "json"):
        assert result.save(f"report.{suffix}").stat().st_size > 0


def text_of_report(result: mgaudit.Result) -> str:
    """Returns the text of the report in HTML. It must not show missing values."""
    html = result.save(Path("report.html")).read_text(encoding="utf-8")
    html = re.sub(r"<(script|style)[\s\S]*?</\1>", "", html)
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert not re.findall(r"\b(None|nan|NaN|inf)\b", text)
    return text


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mycode.py").write_text(FIT_MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def invoke(*arguments: str) -> Any:
    small = ["--models", "3", "--examples", "100", "--quiet", "--jobs", "1"]
    return CliRunner().invoke(app, ["run", "--fit", *arguments, *small])


@pytest.mark.usefixtures("module")
def test_a_function_of_a_module_is_audited_on_a_dataset() -> None:
    ran = invoke("mycode:fit", "--attack", "loss", "--attack", "rmia", "--seed", "2")
    assert ran.exit_code == 0, ran.output
    (folder,) = Path("runs").iterdir()
    result = mgaudit.load(folder)
    arm = only_arm(result)
    assert arm.label == "mycode:fit"
    assert [attack.attack for attack in arm.attacks] == ["loss", "rmia"]
    assert study_of(result).dataset.name == "digits"
    assert result.arrays[0]["membership"].shape == (3, 100)
    again = CliRunner().invoke(app, [*result.record.command.split()[1:], "--quiet", "--out", "2"])
    assert again.exit_code == 0, again.output
    (folder,) = Path("2").iterdir()
    assert only_arm(mgaudit.load(folder)) == arm
    assert study_of(mgaudit.load(folder)).times.models_reused == {"mycode:fit": 3}


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (("--kappa", "0.3"), "kappa"),
        (("--scheme", "dropout:rate=0.2"), "scheme"),
        (("--target", "mlp"), "target"),
        (("--epochs", "3"), "epochs"),
        (("--dp",), "dp"),
        (("--no-plain",), "plain"),
        (("--queries", "crops:2"), "queries"),
        (("--stack", "2"), "stack"),
        (("--device", "cpu"), "device"),
        (("--settings", "settings.toml"), "settings"),
    ],
)
def test_options_of_our_networks_do_not_go_with_fit(option: tuple[str, ...], name: str) -> None:
    ran = invoke("mycode:fit", *option)
    assert ran.exit_code == 2
    assert ran.stderr.startswith(f"error: {name} must not be given with fit")
    assert ran.stderr.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mycode:fits",), "mycode:fits must name a function in mycode"),
        (("nowhere:fit",), "nowhere:fit cannot be imported"),
        (("mycode",), "fit must be written module:function"),
        (("mycode:number",), "fit must be a function fit(x, y, *, seed)"),
        (("mycode:fit", "--dataset", "digit"), "dataset must be one of"),
        (("mycode:fit", "--attack", "gradient-norm"), "attack gradient-norm needs the extra"),
        (("mycode:fit", "--attack", "label-only"), "attack label-only needs several queries"),
    ],
)
def test_mistakes_in_a_run_with_fit_are_one_line(arguments: tuple[str, ...], message: str) -> None:
    ran = invoke(*arguments)
    assert ran.exit_code == 2
    assert ran.stderr.splitlines()[-1].startswith(f"error: {message}")
    assert not Path("runs").exists()


def test_a_forest_with_jobs_of_its_own_is_the_forest_with_one() -> None:
    forest = RandomForestClassifier(n_estimators=5, n_jobs=2)
    result = audited(forest, models=3)
    for path in (cache_folder() / "predictions").glob("*/model-*"):
        path.unlink()
    again = audited(RandomForestClassifier(n_estimators=5), models=3)
    assert study_of(again).times.models_reused == {"RandomForestClassifier": 0}
    assert only_arm(again).attacks == only_arm(result).attacks
    assert forest.get_params()["n_jobs"] == 2


def failing_at(*models: int) -> Callable[..., Any]:
    """Returns a fit that prints, and that raises for the seeds of these models."""
    bad = {stream(0, "fit", model) % 2**31: model for model in models}

    def fit(x: Any, y: Any, *, seed: int) -> Any:
        print("epoch 1")
        if seed in bad:
            raise ValueError(f"no luck with {bad[seed]}")
        return centroids(x, y, seed=seed)

    return fit


def test_models_that_fail_are_left_out_and_named(
    capsys: pytest.CaptureFixture[str], blank_figures: None
) -> None:
    result = audited(failing_at(1, 4), models=6)
    assert capsys.readouterr().out == ""
    arm = only_arm(result)
    assert arm.diverged == [1, 4]
    assert arm.attacks[0].targets == [0, 2, 3, 5]
    checks = study_of(result).checks
    assert checks is not None
    failures = [note for note in checks.notes if "failed" in note]
    assert [note.partition(" (")[0] for note in failures] == [
        "fit: model 1 failed: ValueError: no luck with 1",
        "fit: model 4 failed: ValueError: no luck with 4",
    ]
    assert any("printed a text" in note and note.endswith(": epoch 1") for note in checks.notes)
    assert "fit: 2 of 6 models could not be trained and are left out" in text_of_report(result)
    whole = only_arm(audited(centroids, models=6, attacks="loss")).attacks[0].per_target["auc"]
    loss = arm.attacks[-1].per_target["auc"]
    assert loss == [whole[model] for model in (0, 2, 3, 5)]


def test_an_arm_that_cannot_be_trained_is_lost_and_the_others_audited() -> None:
    study = study_of(audited({"plain": centroids, "bad": failing_at(1, 3)}))
    assert [arm.key for arm in study.arms] == ["plain"]
    assert [(arm.key, arm.diverged) for arm in study.lost] == [("bad", [1, 3])]


def test_a_function_that_always_fails_is_named_with_its_error() -> None:
    with pytest.raises(mgaudit.UsageError, match=r"fit must train a model .*no luck with 0"):
        audited(failing_at(0, 1, 2, 3))
    assert not list(Path("runs").iterdir())
    with pytest.raises(
        mgaudit.RunFailedError, match=r"fit: only 1 of 4 .*no luck with 0"
    ) as caught:
        audited(failing_at(0, 2, 3))
    (log,) = Path("runs").glob("*/log.txt")
    assert str(log) in caught.value.details


def changing(x: Any, y: Any, *, seed: int) -> Any:
    x *= 2
    return centroids(x, y, seed=seed)


def undefined(x: Any, y: Any, *, seed: int) -> Any:
    return lambda rows: np.full((len(rows), 2), np.nan)


def labels_alone(x: Any, y: Any, *, seed: int) -> Any:
    return lambda rows: np.zeros(len(rows), int)


def nothing(x: Any, y: Any, *, seed: int) -> None:
    return None


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (changing, "fit must not change x"),
        (undefined, "predict of fit must return finite numbers, got nan for row 0"),
        (labels_alone, r"predict of fit must return .*return probabilities or logits, not labels"),
        (nothing, r"fit must return a function predict\(x\), got None"),
        (lambda x, y: None, r"fit must be a function fit\(x, y, \*, seed\)"),
        (LogisticRegression, "give an instance"),
    ],
)
def test_a_function_that_breaks_its_contract_leaves_nothing(fit: Any, message: str) -> None:
    with pytest.raises(mgaudit.UsageError, match=message):
        audited(fit)
    with pytest.raises(
        mgaudit.UsageError, match=re.sub(r"\bfit\b", r"fits\\['odd'\\]", message, count=1)
    ):
        audited({"plain": centroids, "odd": fit})
    assert not Path("runs").exists() or not list(Path("runs").iterdir())
    assert not list(cache_folder().rglob("model-*"))


@pytest.mark.parametrize("attack", ["gradient-norm", "label-only", "quantile", "lire"])
def test_attacks_that_are_not_possible_are_refused_before_training(attack: str) -> None:
    def fit(x: Any, y: Any, *, seed: int) -> Any:
        raise AssertionError("must not be called")

    with pytest.raises(mgaudit.UsageError, match="attack"):
        audited(fit, attacks=["loss", attack])
    assert not Path("runs").exists()


class _Interrupting(ProgressBars):
    """Interrupts the run when some models are trained, as Ctrl-C does."""

    def __init__(self, after: int) -> None:
        super().__init__(Console(stderr=True), silent=True)
        self._left = after

    def model_trained(self, label: str, models: int = 1) -> None:
        super().model_trained(label, models)
        self._left -= models
        if self._left == 0:
            raise KeyboardInterrupt


def test_an_audit_that_is_killed_goes_on_and_gives_equal_results(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fits = {"plain": centroids, "soft": softer}
    with pytest.raises(KeyboardInterrupt):
        audited(fits, progress=_Interrupting(after=6))
    (folder,) = Path("runs").iterdir()
    assert not (folder / "result.json").exists()
    resumed = audited(fits)
    assert study_of(resumed).times.models_reused == {"plain": 4, "soft": 2}
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / "other cache"))
    whole = audited(fits, out="others")
    assert study_of(whole).times.models_reused == {"plain": 0, "soft": 0}
    assert study_of(whole).arms == study_of(resumed).arms
    assert study_of(whole).analysis == study_of(resumed).analysis
    assert whole.path.name == resumed.path.name
    for name, values in whole.arrays[0].items():
        np.testing.assert_array_equal(values, resumed.arrays[0][name], err_msg=name)


def test_another_function_of_the_same_name_has_another_run() -> None:
    def shifted(offset: float) -> Callable[..., Any]:
        def fit(x: Any, y: Any, *, seed: int) -> Any:
            return centroids(x + offset * seed, y, seed=seed)

        return fit

    paths = [audited(shifted(offset), attacks="loss").path for offset in (0.0, 0.0, 1e-9)]
    assert paths[0] == paths[1] != paths[2]


def test_times_include_the_training() -> None:
    import time

    def fit(x: Any, y: Any, *, seed: int) -> Any:
        time.sleep(0.1)
        return centroids(x, y, seed=seed)

    times = study_of(audited(fit, attacks="loss")).times
    assert times.seconds > times.training_seconds["fit"] > 0.4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kappa": 0.3}, "kappa is not an argument of a comparison of training functions"),
        ({"epochs": 3}, "epochs is not an argument"),
        ({"models": 2}, "models must be"),
        ({"groups": PEOPLE[:5]}, "groups must have 120 rows"),
        ({"y": Y[:5]}, "y must have 120 rows"),
        ({"y": None}, "y must be"),
        ({"study": {}}, "fits must have at least one training function"),
        ({"study": {3: centroids}}, "fits must have a text as the name of each arm, got 3"),
        (
            {"study": {"a": centroids, "b\nb": softer}},
            r"fits must have names of at most 80 printable characters, in one line, got 'b\\nb'",
        ),
        ({"study": {"a": centroids, "b" * 81: softer}}, "at most 80 printable characters"),
        ({"study": centroids}, "study must be a dict of training functions"),
        ({"attack": "gradient-norm"}, "attack gradient-norm needs the extra"),
    ],
)
def test_mistakes_in_a_comparison_are_named(changes: dict[str, Any], message: str) -> None:
    given = {"study": {"a": centroids, "b": softer}, "x": X, "y": Y, "quiet": True, **changes}
    with pytest.raises(mgaudit.UsageError, match=message):
        mgaudit.compare(**given)
    assert not Path("runs").exists()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_fewest_examples_that_are_allowed_are_enough(seed: int) -> None:
    result = audited(centroids, x=X[:20], y=Y[:20], models=3, seed=seed)
    assert np.isfinite(only_arm(result).attacks[0].metrics["auc"].low)
    by_person = audited(centroids, x=X[:60], y=Y[:60], groups=PEOPLE[:60], models=3, seed=seed)
    checks = study_of(by_person).checks
    assert checks is not None
    assert [success.groups for success in checks.by_group] == [20] * 4


def test_the_test_accuracy_has_intervals_for_new_groups() -> None:
    people = np.repeat(np.arange(40), 3)
    x = np.repeat(RANDOM.normal(size=(40, 5)), 3, axis=0)  # the rows of a person are equal
    y = np.repeat(RANDOM.integers(0, 2, 40), 3)
    given = {"models": 4, "jobs": 1, "quiet": True, "test_fraction": 0.4, "attacks": "loss"}
    by_row = mgaudit.audit(centroids, x, y, duplicates="apart", **given)
    by_group = mgaudit.audit(centroids, x, y, groups=people, **given)
    row, group = (result.record.studies[0].arms[0].known_accuracy for result in (by_row, by_group))
    assert group.high - group.low > 1.2 * (row.high - row.low)
