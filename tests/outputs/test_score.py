"""`mgaudit.score`: audits of outputs and scores that were made elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import mgaudit
from mgaudit.attacks import LiRA, Observations, score_every_target
from mgaudit.attacks.combined_runs import combined_epsilons
from mgaudit.attacks.one_run import Guesses
from mgaudit.attacks.single_target import delong_interval
from mgaudit.cli.app import app
from mgaudit.reports.formats.render import FORMATS
from mgaudit.storage.run_folder import RunFolder
from mgaudit.study.epsilon_bound import median_epsilon

MODELS, EXAMPLES, CLASSES = 6, 150, 4


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    monkeypatch.chdir(tmp_path)


def outputs(seed: int = 0, leak: float = 1.0) -> dict[str, np.ndarray]:
    """Logits of models that are `leak` nats more confident of their members."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, EXAMPLES)
    membership = generator.random((MODELS, EXAMPLES)) < 0.5
    logits = generator.standard_normal((MODELS, EXAMPLES, CLASSES))
    logits[:, np.arange(EXAMPLES), labels] += 1 + leak * membership
    return {"logits": logits, "labels": labels, "membership": membership}


def scored(**arguments: Any) -> mgaudit.Result:
    return mgaudit.score(**{"quiet": True, **arguments})


def numbers(result: mgaudit.Result) -> pd.DataFrame:
    frame = result.to_frame().drop(columns=["arm"])
    return frame.set_index(["attack", "metric"])[["value", "low", "high"]]


@pytest.fixture(scope="module")
def of_outputs(tmp_path_factory: pytest.TempPathFactory) -> mgaudit.Result:
    """The audit of `outputs()` by all attacks that are possible."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "write_reports", lambda *_: [])
        return scored(**outputs(), out=tmp_path_factory.mktemp("score"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> mgaudit.Result:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGAUDIT_CACHE", str(folder / "cache"))
        patch.setattr(RunFolder, "write_reports", lambda *_: [])
        yield mgaudit.run(
            target="mlp:hidden=16",
            models=4,
            examples=200,
            epochs=2,
            jobs=1,
            dp=False,
            plain=False,
            seed=3,
            attack=["lira", "rmia", "loss"],
            quiet=True,
            out=folder / "runs",
        )


def test_observations_of_a_run_give_its_numbers_to_the_last_digit(
    run: mgaudit.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MGAUDIT_CACHE", str(run.path.parent.parent / "cache"))
    again = scored(source=run.observations(), attacks=["lira", "rmia", "loss"], seed=3)
    pd.testing.assert_frame_equal(numbers(again), numbers(run), check_exact=True)
    (arm,), (expected,) = again.record.studies[0].arms, run.record.studies[0].arms
    assert arm.power == expected.power
    assert [example.rank_in for example in arm.most_exposed] == [
        example.rank_in for example in expected.most_exposed
    ]
    assert arm.by_class == expected.by_class
    assert arm.attacks[0].single_targets == expected.attacks[0].single_targets
    assert arm.epsilon_provable == expected.epsilon_provable


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(torch.tensor, id="tensor"),
        pytest.param(np.ndarray.tolist, id="nested lists"),
        pytest.param(np.asfortranarray, id="Fortran", marks=pytest.mark.slow),
        pytest.param(list, id="list of arrays", marks=pytest.mark.slow),
    ],
)
def test_every_form_of_arrays_gives_the_same_numbers(
    convert: Any, of_outputs: mgaudit.Result
) -> None:
    arrays = outputs()
    expected = numbers(of_outputs)
    converted = {name: convert(values) for name, values in arrays.items()}
    pd.testing.assert_frame_equal(numbers(scored(**converted)), expected)


def test_probabilities_give_the_numbers_of_their_logits(of_outputs: mgaudit.Result) -> None:
    arrays = outputs()
    expected = numbers(of_outputs)
    probabilities = np.exp(arrays["logits"])
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    result = scored(**{**arrays, "logits": probabilities}, outputs="probabilities")
    pd.testing.assert_frame_equal(numbers(result), expected)
    with pytest.raises(mgaudit.UsageError, match='give outputs="probabilities"'):
        scored(**{**arrays, "logits": probabilities})


def test_confidences_give_the_numbers_of_their_logits() -> None:
    arrays = outputs()
    labels = arrays["labels"]
    label_logits = arrays["logits"][:, np.arange(EXAMPLES), labels]
    others = arrays["logits"].copy()
    others[:, np.arange(EXAMPLES), labels] = -np.inf
    phi = label_logits - np.log(np.exp(others).sum(axis=-1))
    attacks = ["lira", "bavaria", "reference", "calibration", "loss", "rmia:temperature=1"]
    expected = numbers(scored(**arrays, attacks=attacks))
    expected = expected[expected.index.get_level_values("attack") != ""]  # without accuracies
    result = scored(
        logits=phi, membership=arrays["membership"], outputs="confidences", attacks=attacks
    )
    pd.testing.assert_frame_equal(numbers(result), expected)
    with pytest.raises(mgaudit.UsageError, match="attack entropy needs the logits of all classes"):
        scored(
            logits=phi, membership=arrays["membership"], outputs="confidences", attacks="entropy"
        )


def test_one_target_has_the_intervals_of_that_model() -> None:
    arrays = outputs()
    result = scored(**arrays, targets=2, attacks="lira")
    (arm,) = result.record.studies[0].arms
    observations = Observations(
        arrays["logits"][:, :, np.newaxis], arrays["labels"], arrays["membership"]
    )
    (scores,) = score_every_target(LiRA(), observations, targets=[2])
    interval = delong_interval(scores, arrays["membership"][2])
    auc = arm.attacks[0].metrics["auc"]
    assert (auc.value, auc.low, auc.high) == interval
    assert arm.attacks[0].targets == [2]
    accuracy = (arrays["logits"][2].argmax(axis=1) == arrays["labels"])[~arrays["membership"][2]]
    assert arm.known_accuracy.value == pytest.approx(accuracy.mean())
    assert arm.known_accuracy.low < accuracy.mean() < arm.known_accuracy.high


def test_one_model_needs_no_axis_of_models() -> None:
    arrays = {name: values[0] if name != "labels" else values for name, values in outputs().items()}
    result = scored(**arrays)
    attacks = [attack.attack for attack in result.record.studies[0].arms[0].attacks]
    assert attacks == ["loss"]
    checks = result.record.studies[0].checks
    assert checks is not None
    reasons = {left_out.attack: left_out.reason for left_out in checks.left_out}
    assert reasons["lira"].startswith("needs at least 2 shadow models")
    with pytest.raises(mgaudit.UsageError, match=r"attack lira needs at least 2 .* are possible: "):
        scored(**arrays, attacks="lira")


def test_ready_made_scores_have_the_auc_of_their_order() -> None:
    arrays = outputs()
    observations = Observations(
        arrays["logits"][:, :, np.newaxis], arrays["labels"], arrays["membership"]
    )
    scores = score_every_target(LiRA(), observations)
    expected = numbers(scored(**arrays, attacks="lira")).loc["lira"]
    result = scored(scores=scores, membership=arrays["membership"])
    # Nobody can score the targets again without some shadows, so that the intervals differ.
    found = numbers(result).loc["scores"]
    pd.testing.assert_series_equal(found["value"], expected["value"])
    assert result.record.studies[0].arms[0].accuracy is None


def test_bounds_of_ready_made_scores_are_medians_and_those_of_outputs_are_from_halves() -> None:
    arrays = outputs(leak=8.0)
    of_outputs = scored(**arrays, attacks=["lira", "loss"])
    lira, loss = of_outputs.record.studies[0].arms[0].attacks
    scores = of_outputs.arrays[0]["arm0/lira/scores"]
    of_scores = scored(scores=scores, membership=arrays["membership"])
    (ready_made,) = of_scores.record.studies[0].arms[0].attacks
    proofs = [attack.epsilon_proof for attack in (lira, loss, ready_made)]
    lira_proof, loss_proof, median = proofs
    assert lira_proof is not None
    assert loss_proof is not None
    assert median is not None
    everything = list(range(MODELS))
    assert sorted(lira_proof.targets + lira_proof.shadows) == everything
    assert lira_proof.targets in (everything[::2], everything[1::2])
    assert (loss_proof.targets, loss_proof.shadows) == (everything, [])
    assert (median.combination, median.targets) == ("median", everything)
    assert ready_made.correct_guesses == median.correct
    delta = of_scores.record.studies[0].arms[0].delta
    assert delta is not None
    guesses = [Guesses(correct, median.guesses, EXAMPLES) for correct in median.correct]
    assert ready_made.epsilon_lower_bound == median_epsilon(guesses, delta)
    for attack, proof in ((lira, lira_proof), (loss, loss_proof)):
        runs = [Guesses(correct, proof.guesses, EXAMPLES) for correct in proof.correct]
        assert combined_epsilons([runs], delta, proof.significance) == [attack.epsilon_lower_bound]
    assert loss.epsilon_lower_bound is not None
    assert loss.epsilon_lower_bound > 1


def test_halves_are_found_and_have_no_bound() -> None:
    arrays = outputs()
    order = np.random.default_rng(1).random((MODELS, EXAMPLES)).argsort(axis=0)
    arrays["membership"] = order < MODELS // 2
    result = scored(**arrays)
    (study,) = result.record.studies
    assert study.checks is not None
    assert (study.checks.membership.references_in, study.checks.membership.references_out) == (2, 2)
    assert {attack.epsilon_lower_bound for attack in study.arms[0].attacks} == {None}
    assert "not drawn by independent coins" in result.verdict
    assert not (result.to_frame().metric == "epsilon_lower_bound").any()


def test_members_from_another_source_are_said_in_the_verdict() -> None:
    arrays = outputs()
    members = arrays["membership"][0]
    inputs = np.random.default_rng(0).standard_normal((EXAMPLES, 5))
    one = {name: arrays[name][0] for name in ("logits", "membership")} | {
        "labels": arrays["labels"]
    }
    shifted = inputs + 2 * members[:, np.newaxis]
    assert "the sources" in scored(**one, inputs=shifted).verdict
    assert "the sources" not in scored(**one, inputs=inputs).verdict


def test_rows_of_a_group_are_resampled_together_and_scored_as_one() -> None:
    generator = np.random.default_rng(0)
    groups = np.repeat([f"person {index}" for index in range(EXAMPLES // 5)], 5)
    membership = np.repeat(generator.random((MODELS, EXAMPLES // 5)) < 0.5, 5, axis=1)
    effect = np.repeat(generator.standard_normal((MODELS, EXAMPLES // 5)), 5, axis=1)
    scores = membership + effect
    by_row = scored(scores=scores, membership=membership, targets=0)
    by_group = scored(scores=scores, membership=membership, groups=groups, targets=0)
    row_auc, auc = (
        result.record.studies[0].arms[0].attacks[0].metrics["auc"] for result in (by_row, by_group)
    )
    assert auc.value == row_auc.value
    # Groups of 5 equal rows: the interval is wider by the root of 5.
    ratio = (auc.high - auc.low) / (row_auc.high - row_auc.low)
    assert 1.7 < ratio < 2.8
    checks = by_group.record.studies[0].checks
    assert checks is not None
    (success,) = checks.by_group
    assert success.groups == EXAMPLES // 5
    assert success.metrics["auc"].value == pytest.approx(auc.value)  # rows of a group are equal
    assert by_group.record.studies[0].arms[0].delta is None


def test_interleaved_members_do_not_bias_the_advantage() -> None:
    generator = np.random.default_rng(0)
    members = np.arange(EXAMPLES) % 2 == 0
    for leak, low, high in ((0.0, -0.25, 0.25), (3.0, 0.6, 1.0)):
        scores = generator.standard_normal(EXAMPLES) + leak * members
        result = scored(scores=scores, membership=members)
        advantage = numbers(result).loc[("scores", "advantage"), "value"]
        assert low < advantage < high


def test_sources_that_differ_leave_no_bound() -> None:
    arrays = outputs()
    inputs = np.random.default_rng(0).standard_normal((EXAMPLES, 5))
    shifted = inputs + 2 * arrays["membership"][0][:, np.newaxis]
    result = scored(**arrays, inputs=shifted, targets=0)
    checks = result.record.studies[0].checks
    assert checks is not None
    assert checks.membership.reason == "members and non-members differ without any model"
    assert result.record.studies[0].arms[0].delta is None


def test_halves_have_no_curve_of_fewer_shadows() -> None:
    arrays = outputs()
    order = np.random.default_rng(1).random((MODELS, EXAMPLES)).argsort(axis=0)
    arrays["membership"] = order < MODELS // 2
    (arm,) = scored(**arrays, attacks="bavaria").record.studies[0].arms
    assert [point.shadows for point in arm.power] == [MODELS - 1]


def test_a_clip_that_matters_is_said() -> None:
    generator = np.random.default_rng(0)
    membership = generator.random((MODELS, EXAMPLES)) < 0.5
    labels = np.zeros(EXAMPLES, dtype=int)
    # Half of the non-members give the other class 1e-9, which float32 does not see in 1 - 1e-9.
    rest = np.where(membership, 0.0, 1e-9) * (generator.random((MODELS, EXAMPLES)) < 0.5)
    probabilities = np.stack([1 - rest, rest], axis=-1).astype(np.float32)
    arguments = {"logits": probabilities, "labels": labels, "membership": membership}
    result = scored(**arguments, outputs="probabilities", attacks="loss")
    checks = result.record.studies[0].checks
    assert checks is not None
    assert checks.clipping is not None
    assert checks.clipping.share == 0.5  # of the values; each row has one below 1e-6
    (effect,) = checks.clipping.effects
    assert effect.clip == 1e-10
    shares = [(row[~members] == 0).mean() for row, members in zip(rest, membership, strict=True)]
    assert effect.auc == pytest.approx(1 - np.mean(shares) / 2)
    assert result.record.studies[0].arms[0].attacks[0].metrics["auc"].value == 0.5
    assert "depends on this value" in result.verdict


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "labels must be given"),
        ({"membership": None}, "membership must be given"),
        ({"labels": np.zeros(3, dtype=int)}, "labels must have one value for each of the 150"),
        ({"targets": 6}, r"targets must be numbers of models, 0\.\.5, got 6"),
        ({"targets": [1, 1]}, "targets may hold each model once"),
        ({"targets": 1.5}, "targets must be numbers of models"),
        ({"targets": []}, "targets"),
        ({"groups": ["a"]}, "groups must have one value for each of the 150 examples"),
        ({"inputs": np.zeros((3, 2))}, "inputs must have one value for each of the 150 examples"),
        ({"outputs": "logit"}, "outputs must be one of logits, probabilities, confidences"),
        ({"clip": 0.7}, "clip must be"),
        ({"seed": -1}, "seed must be"),
        ({"attacks": "lire"}, "attack"),
        ({"attacks": []}, "attack must name at least one attack"),
        ({"attacks": ["loss", "loss"]}, "attack may hold each attack once"),
        ({"attacks": "population"}, "attack population needs a population"),
        ({"population_logits": np.zeros((2, 3, 4))}, "population_logits must have the 6 models"),
        ({"population_labels": [0]}, "population_labels must be given with population_logits"),
        ({"scores": np.zeros((6, 150))}, "logits must not be given beside scores"),
        ({"source": "nowhere.npz"}, "logits must not be given beside a file"),
    ],
)
def test_wrong_arguments_are_one_clear_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(mgaudit.UsageError, match=message) as caught:
        scored(**{**outputs(), **changes})
    assert "\n" not in str(caught.value)
    assert list(Path().iterdir()) == []


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(mgaudit.UsageError, match="logits must be given"):
        mgaudit.score(quiet=True)
    with pytest.raises(mgaudit.UsageError, match="source must be a path or Observations, got int"):
        mgaudit.score(3, quiet=True)  # type: ignore[arg-type]
    with pytest.raises(mgaudit.UsageError, match="attacks needs the outputs of the models"):
        scored(scores=np.zeros(4), membership=[1, 0, 1, 0], attacks="lira")


def test_the_command_repeats_the_audit_of_arrays() -> None:
    result = scored(**outputs(), attacks=["rmia", "loss"], targets=[1, 4], seed=7)
    command = result.record.command.replace("RUN", str(result.path))
    again = CliRunner().invoke(app, [*command.split()[1:], "--quiet", "--out", "again"])
    assert again.exit_code == 0, again.output
    (folder,) = Path("again").iterdir()
    repeated = mgaudit.load(folder)
    pd.testing.assert_frame_equal(numbers(repeated), numbers(result), check_exact=True)


def test_files_on_the_command_line(of_outputs: mgaudit.Result) -> None:
    arrays = outputs()
    np.savez("outputs.npz", **arrays)
    members = np.where(arrays["membership"][0], "yes", "no")
    table = pd.DataFrame({"Score": arrays["logits"][0].max(axis=1), "member": members})
    table.to_csv("scores.csv", index=False)
    for model in range(MODELS):
        folder = Path("lira") / f"experiment-{model}_of_{MODELS}"
        (folder / "logits").mkdir(parents=True)
        np.save(folder / "keep.npy", arrays["membership"][model])
        np.save(
            folder / "logits/0000000010.npy", arrays["logits"][model][:, np.newaxis, np.newaxis]
        )
    np.save("lira/y_train.npy", arrays["labels"])
    expected = numbers(of_outputs)
    for path in ("outputs.npz", "lira"):
        ran = CliRunner().invoke(app, ["score", path, "--out", f"of {path}"])
        assert ran.exit_code == 0, ran.output
        (folder,) = Path(f"of {path}").iterdir()
        pd.testing.assert_frame_equal(numbers(mgaudit.load(folder)), expected)
    ran = CliRunner().invoke(app, ["score", "scores.csv"])
    assert ran.exit_code == 0, ran.output
    assert "scores.csv" in ran.stdout


def test_an_own_attack_scores_given_outputs() -> None:
    result = scored(**outputs(), attacks=[LiRA(variance="shrunk"), "loss"])
    attacks = [attack.attack for attack in result.record.studies[0].arms[0].attacks]
    assert attacks == ["lira:variance=shrunk", "loss"]


@pytest.mark.parametrize(
    "kind", ["logits", pytest.param("one target", marks=pytest.mark.slow), "scores"]
)
def test_all_formats_show_an_audit_of_given_models(
    kind: str, tmp_path: Path, of_outputs: mgaudit.Result
) -> None:
    arrays = outputs()
    if kind == "scores":
        result = scored(scores=arrays["logits"][0, :, 0], membership=arrays["membership"][0])
    else:
        result = scored(**arrays, targets=1) if kind == "one target" else of_outputs
    for suffix in ("html", "csv", "json"):
        assert result.save(tmp_path / f"report.{suffix}").stat().st_size > 0
    html = (tmp_path / "report.html").read_text()
    assert "Checks" in html
    assert "None" not in html.replace("is None", "")
    for name in ("markdown", "latex"):
        if name in FORMATS:
            assert FORMATS[name].render(result._document)


def test_a_run_of_given_models_is_not_attacked_again(of_outputs: mgaudit.Result) -> None:
    with pytest.raises(mgaudit.UsageError, match="mgaudit score"):
        of_outputs.attack("rmia", quiet=True)
    with pytest.raises(mgaudit.UsageError, match="mgaudit score"):
        of_outputs.observations()
