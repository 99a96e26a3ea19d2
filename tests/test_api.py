"""`import mgaudit`: the commands as functions, and what they return."""

import inspect
import io
import json
import re
import subprocess
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import typer
from matplotlib.axes import Axes
from typer.testing import CliRunner

import mgaudit
from mgaudit.attacks import LiRA, LossThreshold
from mgaudit.cli.app import app
from mgaudit.settings import arguments
from mgaudit.settings.study_settings import DPAuditSettings
from mgaudit.storage.run_folder import RunFolder
from mgaudit.targets import MLP
from mgaudit.targets.datasets import DATASETS, Dataset
from mgaudit.targets.schemes import GaussianMask
from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.training import Training

SMALL: dict[str, Any] = {
    "target": "mlp:hidden=16",
    "models": 4,
    "examples": 200,
    "epochs": 2,
    "jobs": 1,
}
FAST: dict[str, Any] = {**SMALL, "dp": False, "quiet": True}
COMMANDS = {
    "run": mgaudit.run,
    "compare": mgaudit.compare,
    "audit-checkpoint": mgaudit.audit_checkpoint,
    "audit-dp": mgaudit.audit_dp,
    "attack": mgaudit.attack,
    "reproduce": mgaudit.reproduce,
}
OF_PYTHON = {"out", "progress", "training"}
OBJECTS = {"compare": {"x", "y"}}  # arguments that only Python objects can be
# `out`, and what is printed
OF_THE_COMMAND_LINE = {"out_folder", "as_json", "dry_run", "fail_if", "fail_unless", "shard"}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> mgaudit.Result:
    folder = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MGAUDIT_CACHE", str(folder / "cache"))
        patch.setattr(RunFolder, "write_reports", lambda *_: [])
        return mgaudit.run(**FAST, attack=["lira", "loss"], out=folder / "runs")


@pytest.fixture
def cache_of_result(result: mgaudit.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGAUDIT_CACHE", str(result.path.parent.parent / "cache"))
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])


def test_importing_mgaudit_imports_no_library() -> None:
    heavy = {"torch", "numpy", "matplotlib", "pandas", "pydantic", "typer"}
    code = f"import sys, mgaudit; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_every_public_name_is_there_and_documented() -> None:
    for name in mgaudit.__all__:
        value = getattr(mgaudit, name)
        assert name == "__version__" or inspect.getdoc(value), name
    with pytest.raises(AttributeError, match="no attribute 'audits'"):
        _ = mgaudit.audits


def test_every_option_of_a_command_is_an_argument_of_its_function() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, function in COMMANDS.items():
        parameters = inspect.signature(function).parameters
        names = {option.name.rstrip("_") for option in commands[name].params}
        options = names - OF_THE_COMMAND_LINE
        training = {field.name for field in fields(Training)}
        assert options <= parameters.keys() | training, name
        assert set(parameters) - options <= {*OF_PYTHON, *OBJECTS.get(name, ())}, name


def test_docstrings_state_the_declared_defaults() -> None:
    for function, declared in (
        (mgaudit.run, arguments.RUN),
        (mgaudit.audit_dp, arguments.AUDIT_DP),
        (mgaudit.audit_checkpoint, arguments.AUDIT_CHECKPOINT),
    ):
        defaults = {argument.name: argument.default_shown for argument in declared}
        text = " ".join((inspect.getdoc(function) or "").split())
        stated = re.findall(r"((?:\w+, )*\w+): [^:]*\(defaults?: (.*?)\)", text)
        assert len(stated) >= 4
        for names, values in stated:
            assert [defaults[name] for name in names.split(", ")] == values.split("; "), names


def test_settings_allow_the_values_that_the_help_lists() -> None:
    kinds = {argument.name: argument.values for argument in arguments.AUDIT_DP if argument.values}
    for name in ("device", "kind"):
        hint = DPAuditSettings.model_fields[name].annotation
        assert get_args(hint) == kinds[name]


ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    (
        "run",
        {
            **FAST,
            "kappa": 0.5,
            "attack": "loss",
            "queries": "crops:2",
            "seed": 3,
            "stack": 1,
            "device": "cpu",
        },
        "--kappa 0.5 --attack loss --queries crops:2 --seed 3 --stack 1 --device cpu --no-dp",
    ),
    (
        "run",
        {
            **SMALL,
            "quiet": True,
            "scheme": "dropout:rate=0.2",
            "plain": False,
            "epsilon": 4.0,
            "delta": 1e-3,
            "dataset": "digits",
            "attack": ["loss"],
            "batch_size": 32,
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "augment": "flips",
            "precision": "float32",
            "clients": 1,
            "local_steps": 1,
        },
        "--scheme dropout:rate=0.2 --no-plain --epsilon 4 --delta 1e-3 --dataset digits "
        "--attack loss --batch-size 32 --optimizer sgd --learning-rate 0.1 --augment flips "
        "--precision float32 --clients 1 --local-steps 1",
    ),
    (
        "compare",
        {
            **SMALL,
            "quiet": True,
            "scheme": ["none", "label-noise:rate=0.1"],
            "seed": [0, 1],
            "attack": "loss",
        },
        "--scheme none --scheme label-noise:rate=0.1 --seed 0 --seed 1 --attack loss",
    ),
]


@pytest.mark.parametrize(("name", "arguments", "options"), ARGUMENTS)
def test_a_command_and_its_function_give_the_same_result(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    arguments: dict[str, Any],
    options: str,
) -> None:
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    ours = COMMANDS[name](**arguments, out=tmp_path / "python")
    small = [
        "--target",
        "mlp:hidden=16",
        "--models",
        "4",
        "--examples",
        "200",
        "--epochs",
        "2",
        "--jobs",
        "1",
    ]
    printed = CliRunner().invoke(
        app, [name, *small, *options.split(), "--json", "--out", str(tmp_path / "cli")]
    )
    assert printed.exit_code == 0, printed.output
    theirs = json.loads(printed.stdout)
    assert Path(theirs["run"]).name == ours.path.name
    assert without_times(json.loads((ours.path / "result.json").read_text())) == without_times(
        theirs["result"]
    )


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    for study in result["studies"]:
        del study["times"]
    return result


def test_audit_dp_gives_the_same_result_as_its_command(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        **SMALL,
        "models": 1,
        "scheme": "dp-sgd:noise_multiplier=1",
        "canaries": 60,
        "kind": "natural",
    }
    ours = mgaudit.audit_dp(
        **arguments, guesses=0.2, significance=0.1, quiet=True, out=tmp_path / "python"
    )
    options = "--target mlp:hidden=16 --models 1 --examples 200 --epochs 2 --jobs 1 --canaries 60"
    more = (
        "--scheme dp-sgd:noise_multiplier=1 --kind natural --guesses 0.2 --significance 0.1 "
        "--json --out"
    )
    printed = CliRunner().invoke(
        app, ["audit-dp", *options.split(), *more.split(), str(tmp_path / "cli")]
    )
    assert printed.exit_code == 0, printed.output
    theirs = json.loads(printed.stdout)["result"]
    times = {"started", "seconds"}
    record = ours.record.model_dump(mode="json")
    ours_without_times = {key: record[key] for key in record.keys() - times}
    assert ours_without_times == {key: theirs[key] for key in theirs.keys() - times}
    assert ours.verdict in repr(ours)
    assert list(ours.to_frame()["epsilon"]) == [bound["epsilon"] for bound in theirs["bounds"]]
    assert json.loads(ours.save(tmp_path / "new" / "audit.json").read_text()) == record
    with pytest.raises(mgaudit.UsageError, match=r"path must end with \.json"):
        ours.save(tmp_path / "audit.pdf")


def test_objects_stand_for_their_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    texts = mgaudit.run(
        **FAST, scheme="gaussian-mask:kappa=0.5", attack=["loss", "lira:online=false"], out=tmp_path
    )
    attacks = [LossThreshold(), LiRA(online=False)]
    by_object = {**FAST, "target": partial(MLP, hidden=(16,))}
    objects = mgaudit.run(**by_object, scheme=GaussianMask(kappa=0.5), attack=attacks, out=tmp_path)
    assert objects.path == texts.path
    study = mgaudit.Study(
        schemes=["none", GaussianMask(kappa=0.5)],
        targets=[partial(MLP, hidden=(16,))],
        attacks=attacks,
        models=4,
        examples=200,
        training={"epochs": 2},
    )
    compared = mgaudit.compare(study, jobs=1, quiet=True, out=tmp_path)
    ours = [arm.attacks for arm in compared.record.studies[0].arms]
    assert ours == [arm.attacks for arm in texts.record.studies[0].arms]


def test_data_in_memory_are_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    draw = np.random.default_rng(0)
    x, y = draw.random((150, 6)), np.arange(150) % 3
    arrays = (x[:120], y[:120], x[120:], y[120:])
    options = {**FAST, "examples": None, "attack": "loss", "out": tmp_path}
    first, second = mgaudit.run(**options, dataset=arrays), mgaudit.run(**options, dataset=arrays)
    changed = mgaudit.run(**options, dataset=(x[:120] * 2, *arrays[1:]))
    assert first.path == second.path
    assert first.path != changed.path
    assert first.record.studies[0].dataset.name.startswith("arrays")
    digits = DATASETS["digits"].load(None, numpy_generator(0, "examples"))
    assert isinstance(digits, Dataset)
    assert mgaudit.run(**options, dataset=digits).record.studies[0].dataset.examples == len(
        digits.labels
    )
    with pytest.raises(mgaudit.UsageError, match="was given to a Python function as arrays"):
        mgaudit.run(settings=first.path / "settings.toml", quiet=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kapa": 1}, "kapa is not an argument"),
        ({"kappa": "0.3"}, "kappa must be a number >= 0, got str: '0.3'"),
        ({"kappa": True}, "kappa must be a number >= 0, got bool: True"),
        ({"kappa": 0.3, "scheme": "none"}, "kappa and scheme both name the noise"),
        ({"models": "16"}, "models must be a whole number >= 3 and <= 100000, got str: '16'"),
        ({"models": 2}, "models must be a whole number >= 3"),
        ({"target": int}, "target must be a class that extends torch.nn"),
        (
            {"target": 3},
            "target must be the name of a target with options, or an object, got int: 3",
        ),
        ({"attack": LiRA}, r"must be the name of an attack .*got ABCMeta.*; write LiRA\(\.\.\.\)"),
        ({"attack": "lirra"}, "did you mean 'lira'"),
        ({"dataset": "Digits"}, "did you mean 'digits'"),
        ({"scheme": GaussianMask}, "scheme must be a scheme, .* got type"),
        (
            {"dataset": (1, 2)},
            "dataset.x must be .examples, features., .* got shape",
        ),
        ({"dataset": 3}, "dataset must be the name of a dataset .* got int"),
        ({"epochs": "3"}, "training.epochs must be a whole number, got str: '3'"),
        ({"jobs": 0}, "jobs must be a whole number >= 1, got 0"),
        ({"settings": "nowhere.toml"}, "the settings file nowhere.toml cannot be read"),
    ],
)
def test_a_mistake_names_the_argument_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr("mgaudit.study.study.run_study", lambda *_: pytest.fail("trained"))
    with pytest.raises(mgaudit.UsageError, match=message):
        mgaudit.run(**{**arguments, "quiet": True, "out": tmp_path / "runs"})
    assert not (tmp_path / "runs").exists()


def test_numbers_of_numpy_are_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    options = {**FAST, "attack": "loss", "out": tmp_path}
    numbers: dict[str, Any] = {"models": 4, "examples": 200, "epochs": 2, "jobs": 1, "seed": 3}
    of_numpy = {name: np.int64(value) for name, value in numbers.items()}
    single = np.float32(0.3)
    first = mgaudit.run(**{**options, **numbers}, kappa=float(single), learning_rate=0.25)
    second = mgaudit.run(**{**options, **of_numpy}, kappa=single, learning_rate=np.float16(0.25))
    assert second.path == first.path
    assert second.record.settings == first.record.settings
    schemes, seeds = ["none", "label-noise:rate=0.1"], [np.int64(0), np.uint8(1)]
    study = mgaudit.Study(schemes=schemes, seeds=seeds, models=np.int16(4))
    fast = {**SMALL, "models": None, "attack": "loss", "quiet": True, "out": tmp_path}
    compared = mgaudit.compare(study, **fast)
    assert [study.settings["seed"] for study in compared.record.studies] == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": np.float32(4.5)}, "models must be a whole number .*, got float: 4.5"),
        ({"kappa": np.bool_(True)}, "kappa must be a number >= 0, got bool"),
        ({"models": True}, "models must be"),
        ({"jobs": True}, "jobs must be"),
        ({"seed": np.array([1, 2])}, "seed must be"),
        ({"kappa": np.array([0.1])}, "kappa must be a number >= 0, got ndarray"),
    ],
)
def test_what_is_no_number_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(mgaudit.UsageError, match=message) as caught:
        mgaudit.run(**arguments, quiet=True)
    assert "\n" not in str(caught.value)


def test_a_failure_in_a_run_says_where_the_log_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("logits")

    monkeypatch.setattr("mgaudit.study.study.run_study", fail)
    with pytest.raises(
        mgaudit.RunFailedError, match=r"KeyError: 'logits'; see .*log\.txt for details"
    ) as caught:
        mgaudit.run(**FAST, out=tmp_path / "runs")
    assert isinstance(caught.value.__cause__, KeyError)
    (run,) = (tmp_path / "runs").iterdir()
    assert "KeyError: 'logits'" in (run / "log.txt").read_text()


def test_the_frame_agrees_with_the_csv_report(result: mgaudit.Result, tmp_path: Path) -> None:
    frame = result.to_frame()
    table = pd.read_csv(result.save(tmp_path / "numbers.csv"))
    expected = table[table["what"].isin(["accuracy", "attack"])]
    columns = ["study", "arm", "attack", "adversary", "metric"]
    expected = expected.fillna({"attack": "", "adversary": ""})
    ours, theirs = (
        table.set_index(columns)[["value", "low", "high"]].sort_index()
        for table in (frame, expected)
    )
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
    assert not frame.duplicated(columns).any()
    names = {"auc", "tpr@0.01", "train_accuracy", "accuracy", "epsilon_lower_bound"}
    assert names < set(frame["metric"])
    arms = result.record.studies[0].arms
    auc = frame[(frame["arm"] == "none") & (frame["metric"] == "auc")]
    assert list(auc["value"]) == [attack.metrics["auc"].value for attack in arms[0].attacks]


def test_figures_are_axes_and_reports_are_saved_by_their_suffix(
    result: mgaudit.Result, tmp_path: Path
) -> None:
    assert {"roc", "scores"} <= set(result.figures())
    (axes,) = result.plot("roc")[:1]
    assert isinstance(axes, Axes)
    buffer = io.BytesIO()
    axes.figure.savefig(buffer)
    assert buffer.getvalue()
    panels = result.plot("roc")
    assert list(panels) == panels[0].figure.axes
    assert panels._repr_png_().startswith(b"\x89PNG")  # what a notebook shows
    with pytest.raises(mgaudit.UsageError, match=r"name must be one of .*; did you mean 'roc'"):
        result.plot("rok")
    assert result.save(tmp_path / "a" / "r.html").read_bytes().startswith(b"<!doctype html>")
    assert result.save(str(tmp_path / "r.PDF")).read_bytes().startswith(b"%PDF")
    assert json.loads(result.save(tmp_path / "r.json").read_text()) == json.loads(
        (result.path / "result.json").read_text()
    )
    with pytest.raises(
        mgaudit.UsageError, match=r"path must end with one of \.html, \.pdf, \.csv, \.json"
    ):
        result.save(tmp_path / "r.docx")


def test_a_result_describes_itself(result: mgaudit.Result) -> None:
    assert "MLP (hidden=16) on digits" in repr(result)
    assert "with gaussian-mask (kappa=0.3)" in result.verdict
    assert "<table" in result._repr_html_()
    assert {"membership", "arm0/lira/scores"} <= result.arrays[0].keys()


def test_a_run_is_loaded_by_path_name_hash_or_latest(result: mgaudit.Result) -> None:
    runs, name = result.path.parent, result.path.name
    for text in (str(result.path), name, name[-8:], name[-8:-4], "latest"):
        loaded = mgaudit.load(text, runs)
        assert loaded.record.model_dump_json() == result.record.model_dump_json(), text
        assert np.array_equal(loaded.arrays[0]["labels"], result.arrays[0]["labels"])
    for text in ("", "nowhere", "..", "zz"):
        with pytest.raises(
            mgaudit.UsageError, match="its name, the beginning of its hash, or latest"
        ):
            mgaudit.load(text, runs)


@pytest.mark.usefixtures("cache_of_result")
def test_a_finished_run_is_attacked_again_without_training(
    result: mgaudit.Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgaudit.study.train.train_stack", lambda *_: pytest.fail("trained"))
    again = result.attack(LossThreshold(), "rmia", jobs=1, quiet=True)
    assert again.path.parent == result.path.parent
    assert again.path != result.path
    assert [attack.attack for attack in again.record.studies[0].arms[0].attacks] == ["loss", "rmia"]
    ours, theirs = (arrays[0]["arm0/loss/scores"] for arrays in (again.arrays, result.arrays))
    assert np.array_equal(ours, theirs)
    by_function = mgaudit.attack(result.path, attack=["loss", "rmia"], jobs=1, quiet=True)
    assert by_function.path == again.path


@pytest.mark.usefixtures("cache_of_result")
def test_observations_are_what_the_attacks_saw(result: mgaudit.Result) -> None:
    observations = result.observations("none")
    assert observations.logits.shape == (4, 200, 1, 10)
    scores = np.stack([LossThreshold().score(observations.view(model)) for model in range(4)])
    assert np.array_equal(scores, result.arrays[0]["arm0/loss/scores"])
    for arm in ("nine", 9, -1):
        with pytest.raises(mgaudit.UsageError, match="arm must be"):
            result.observations(arm)
    with pytest.raises(mgaudit.UsageError, match=r"study must be 0\.\.0, got 1"):
        result.observations(0, study=1)


def test_models_that_are_gone_are_not_trained_again(result: mgaudit.Result) -> None:
    for again in (lambda: result.attack("loss", quiet=True), lambda: result.observations(0)):
        with pytest.raises(
            mgaudit.UsageError, match=r"must have its 4 models of no noise in the cache, got 0"
        ):
            again()
