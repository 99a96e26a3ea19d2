"""Audits of checkpoints from the arguments to the result."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn
from typer.testing import CliRunner

import mgaudit
from mgaudit.attacks.lira import LiRA
from mgaudit.cli.app import app
from mgaudit.reports.check_section import check_section
from mgaudit.reports.input_checks import InputChecks
from mgaudit.reports.method import facts, method
from mgaudit.reports.verdict import question
from mgaudit.settings.study_settings import study_settings
from mgaudit.storage.ensembles import ModelRecord
from mgaudit.storage.run_folder import RunFolder
from mgaudit.study.plan import Plan, plan_study
from mgaudit.study.train import TrainedArm, ensemble_folder, train_arm

SHARED: dict[str, Any] = {
    "dataset": "synthetic:size=400,features=8,separation=3",
    "target": "mlp:hidden=16", "epochs": 20, "batch_size": 32, "stack": 1, "jobs": 1, "quiet": True,
    "attack": ["lira:online=false", "loss", "gradient-norm", "quantile"],
}  # fmt: skip
MODELS = 6  # of the ordinary run; its last model is the checkpoint
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a cache that all tests of this file share."""
    folder = tmp_path_factory.mktemp("checkpoints")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGAUDIT_CACHE", str(folder / "cache"))
        patch.setattr(RunFolder, "write_reports", lambda *_: [])
        yield folder


@pytest.fixture(autouse=True)
def shared_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGAUDIT_CACHE", str(folder / "cache"))
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def ordinary(folder: Path) -> mgaudit.Result:
    return mgaudit.run(**SHARED, scheme="none", dp=False, models=MODELS, out=folder / "runs")


@pytest.fixture(scope="module")
def plan(ordinary: mgaudit.Result) -> Plan:
    return plan_study(study_settings(ordinary.record.settings))


@pytest.fixture(scope="module")
def weights(plan: Plan) -> Weights:
    stored = ensemble_folder(plan.arms[0], plan.design).load_model(MODELS - 1).weights
    return {name: torch.from_numpy(values) for name, values in stored.items()}


@pytest.fixture(scope="module")
def members(plan: Plan) -> NDArray[np.int64]:
    design = plan.design
    indices: NDArray[np.int64] = np.sort(design.dataset.indices[design.membership[MODELS - 1]])
    return indices


@pytest.fixture(scope="module")
def audited(folder: Path, weights: Weights, members: NDArray[np.int64]) -> mgaudit.Result:
    return mgaudit.audit_checkpoint(
        weights, members=members, models=MODELS - 1, out=folder / "runs", **SHARED
    )


def checks_of(result: mgaudit.Result) -> InputChecks:
    checks = result.record.studies[0].checks
    assert checks is not None
    return checks


def scores(result: mgaudit.Result, attack: str) -> NDArray[np.float64]:
    array: NDArray[np.float64] = result.arrays[0][f"arm0/{attack}/scores"]
    return array


def test_a_model_of_a_run_has_the_scores_of_that_run(
    ordinary: mgaudit.Result, audited: mgaudit.Result, plan: Plan
) -> None:
    stored_order = np.argsort(plan.design.dataset.indices)
    (arm,) = audited.record.studies[0].arms
    assert [attack.attack for attack in arm.attacks] == SHARED["attack"]
    for attack in arm.attacks:
        assert attack.targets == [0]
        expected = scores(ordinary, attack.name)[MODELS - 1, stored_order]
        np.testing.assert_allclose(scores(audited, attack.name)[0], expected, rtol=0, atol=1e-9)
        own = [of_run for of_run in ordinary.record.studies[0].arms[0].attacks
               if of_run.attack == attack.attack]  # fmt: skip
        per_target = ordinary.arrays[0][f"arm0/{own[0].name}/auc/per_target"][MODELS - 1]
        assert abs(attack.metrics["auc"].value - per_target) < 1e-9
    accuracy = ordinary.arrays[0]["arm0/accuracy/per_target"][MODELS - 1]
    assert arm.accuracy is not None
    assert abs(arm.accuracy.value - accuracy) < 1e-9


def test_scores_are_those_of_the_observations_of_the_run(
    ordinary: mgaudit.Result, audited: mgaudit.Result, plan: Plan
) -> None:
    observed = ordinary.observations("none").of_models([MODELS - 1, *range(MODELS - 1)])
    direct = LiRA(online=False).score(observed.view(0))
    stored_order = np.argsort(plan.design.dataset.indices)
    np.testing.assert_allclose(
        scores(audited, "lira:online=false")[0], direct[stored_order], rtol=0, atol=1e-9
    )


def test_a_result_describes_target_and_shadow_models(
    audited: mgaudit.Result, members: NDArray[np.int64]
) -> None:
    study, checks = audited.record.studies[0], checks_of(audited)
    assert study.models_from == "checkpoint"
    assert study.settings["models"] == MODELS - 1
    assert study.settings["members"] == len(members)
    assert study.dataset.examples == study.settings["training_examples"] == 400
    assert study.times.models_reused == {"checkpoint": MODELS - 1}
    assert checks.membership.independent
    assert checks.blind is not None
    assert checks.match is not None
    assert not checks.match.accuracy_differs
    assert not checks.match.losses_differ
    assert {"rmia", "reference"} <= set(checks.allowed)
    assert [attack.attack for attack in checks.left_out] == ["label-only"]
    section = check_section(study, audited.arrays[0])
    assert section is not None
    text = f"{method(study)} {facts(study)} {section} {question(study)}"
    assert f"{MODELS - 1} shadow models were trained without noise" in text
    assert "The shadow models match the target" in text
    assert "Training of shadow models" in text
    assert "How much does checkpoint, an MLP (hidden=16) on synthetic:clusters, reveal" in text
    with pytest.raises(mgaudit.UsageError, match="repeat its command"):
        audited.attack("rmia")


def test_the_command_of_a_result_repeats_it(audited: mgaudit.Result, folder: Path) -> None:
    command = shlex.split(audited.record.command.replace("RUN", str(audited.path)))
    again = CliRunner().invoke(app, [*command[1:], "--jobs", "1", "-q", "--out", str(folder / "b")])
    assert again.exit_code == 0, again.output
    (path,) = (folder / "b").iterdir()
    result = mgaudit.load(path)
    first, second = audited.record.studies[0], result.record.studies[0]
    assert [arm.attacks for arm in second.arms] == [arm.attacks for arm in first.arms]
    assert checks_of(result).match == checks_of(audited).match
    removed = CliRunner().invoke(
        app, ["runs", "remove", path.name, "--yes", "--runs", str(path.parent)]
    )
    assert removed.exit_code == 0, removed.output
    assert not path.exists()


def test_queries_of_a_model_are_those_of_its_shadow_models(
    ordinary: mgaudit.Result, weights: Weights, members: NDArray[np.int64], plan: Plan, folder: Path
) -> None:
    queries = "mask:count=3,kappa=0.5"
    run = ordinary.attack("label-only", queries=queries, jobs=1, quiet=True)
    options = {**SHARED, "attack": "label-only", "queries": queries, "models": MODELS - 1}
    result = mgaudit.audit_checkpoint(weights, members=members, **options, out=folder / "q")
    stored_order = np.argsort(plan.design.dataset.indices)
    expected = scores(run, "label-only")[MODELS - 1, stored_order]
    assert len(np.unique(expected)) > 2
    np.testing.assert_array_equal(scores(result, "label-only")[0], expected)
    assert result.record.studies[0].queries.label == queries


def test_shadow_models_that_diverge_are_left_out(
    weights: Weights,
    members: NDArray[np.int64],
    ordinary: mgaudit.Result,
    plan: Plan,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    diverging = {1, 3}

    def diverge(*arguments: Any) -> TrainedArm:
        trained = train_arm(*arguments)
        records = list(trained.records)
        for index in diverging:
            facts = {**records[index].facts, "diverged": True}
            records[index] = ModelRecord(f"no weights {index}", facts)
        return replace(trained, records=records)

    monkeypatch.setattr("mgaudit.checkpoint.audit.train_arm", diverge)
    options = {**SHARED, "attack": "lira", "models": MODELS - 1, "out": folder / "diverged"}
    result = mgaudit.audit_checkpoint(weights, members=members, **options)
    (arm,) = result.record.studies[0].arms
    assert arm.diverged == [2, 4]  # the target is model 0
    kept = [MODELS - 1, *(index for index in range(MODELS - 1) if index not in diverging)]
    direct = LiRA().score(ordinary.observations("none").of_models(kept).view(0))
    stored_order = np.argsort(plan.design.dataset.indices)
    np.testing.assert_allclose(scores(result, "lira")[0], direct[stored_order], rtol=0, atol=1e-9)
    assert "trained 3 shadow models" in " ".join(method(result.record.studies[0]))
    for gone, text in ((set(range(5)), "none of 5 shadow models"), (set(range(4)), "only 1 of 5")):
        diverging.update(gone)
        with pytest.raises(mgaudit.RunFailedError, match=text):
            mgaudit.audit_checkpoint(weights, members=members, **options)
        diverging.clear()


def test_poorly_matching_shadows_are_warned_about_on_the_terminal_too(
    weights: Weights, members: NDArray[np.int64], folder: Path
) -> None:
    file = folder / "model.safetensors"
    safetensors.torch.save_file(weights, file)
    np.save(folder / "members.npy", members)
    options = f"--dataset {SHARED['dataset']} --target mlp:hidden=16 --stack 1 --jobs 1 --models 5"
    command = ["audit-checkpoint", str(file), "--members", "members.npy", *options.split()]
    for epochs, mismatched in (("20", False), ("1", True)):
        printed = CliRunner().invoke(app, [*command, "--batch-size", "32", "--epochs", epochs])
        assert printed.exit_code == 0, printed.output
        assert ("match the target poorly" in printed.output) == mismatched
        assert "model.safetensors" in printed.output


def test_raw_inputs_are_those_of_the_dataset(folder: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(700) % 2
    x = generator.random((700, 2)).astype(np.float32) + 5 * labels[:, np.newaxis] + 100
    data = (x[:500], labels[:500], x[500:], labels[500:])
    separating = {  # class 1 has the larger sum of the two values, which is about 201 or 211
        "0.weight": torch.tensor([[1.0, 1.0], [0.0, 0.0]]), "0.bias": torch.tensor([-206.0, 0.0]),
        "2.weight": torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), "2.bias": torch.tensor([1.0, 0.0]),
    }  # fmt: skip
    network = f"{__name__}:Separating"
    options = {**SHARED, "target": network, "attack": "loss", "models": 3, "dataset": data}
    accuracies = []
    for inputs in ("raw", "standardised"):
        result = mgaudit.audit_checkpoint(
            separating, members="0:100", inputs=inputs, out=folder / "raw", **options
        )
        accuracy = result.record.studies[0].arms[0].accuracy
        assert accuracy is not None
        accuracies.append(accuracy.value)
        match = checks_of(result).match
        assert match is not None
        assert match.accuracy_differs == match.is_near_chance == (inputs == "standardised")
        assert "members of model 0" in checks_of(result).membership.reason  # the first examples
        assert result.record.studies[0].arms[0].delta is None
    assert accuracies == [1.0, 0.5]


class Separating(nn.Sequential):
    def __init__(self, input_shape: tuple[int, ...], classes: int) -> None:
        super().__init__(nn.Linear(*input_shape, 2), nn.ReLU(), nn.Linear(2, classes))


@pytest.mark.parametrize(
    ("changes", "key", "text"),
    [
        ({"target": "mlp:hidden=8"}, "checkpoint", "the network mlp:hidden=8"),
        ({"checkpoint": nn.Linear(2, 2)}, "checkpoint", "class MLP"),
        ({"checkpoint": "nosuch.pt"}, "checkpoint nosuch.pt", "cannot be read"),
        ({"members": [5000]}, "members", "0..399"),
        ({"non_members": "0:400"}, "non_members", "must not be members too"),
        ({"models": 2}, "models", ">= 3"),
        ({"models": MODELS}, "seed", f"shadow model {MODELS - 1}"),
        ({"inputs": "centred"}, "inputs", "standardised"),
        ({"attack": ["label-only"]}, "the attack label-only", "--queries"),
        ({"attack": ["nosuch"]}, "attacks[0]", "must be one of"),
        ({"settings": {"examples": 300}}, "examples", "left out"),
        ({"settings": {"schemes": ["none"]}}, "schemes", "not a setting"),
        ({"epohcs": 3}, "epohcs", "did you mean 'epochs'"),
    ],
)
def test_a_mistake_is_refused_before_anything_is_trained(
    changes: dict[str, Any],
    key: str,
    text: str,
    weights: Weights,
    members: NDArray[np.int64],
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
) -> None:
    monkeypatch.setattr("mgaudit.checkpoint.audit.train_arm", None)
    arguments = {
        "checkpoint": weights,
        "members": members,
        "models": 5,
        **SHARED,
        "out": folder / "wrong",
    }
    with pytest.raises(mgaudit.UsageError) as caught:
        mgaudit.audit_checkpoint(**(arguments | changes))
    assert caught.value.key == key
    assert text in str(caught.value), str(caught.value)
    assert not (folder / "wrong").exists()
