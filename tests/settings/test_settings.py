from pathlib import Path
from typing import Any

import pytest

from mgaudit.analysis.margins import Margins
from mgaudit.errors import UsageError
from mgaudit.reports.results import settings_toml
from mgaudit.settings import datasets, schemes
from mgaudit.settings import study_settings as study_settings_module
from mgaudit.settings.choices import Choice, parse
from mgaudit.settings.grid import grid_settings
from mgaudit.settings.schemes import edited_schemes, scheme_choice
from mgaudit.settings.study_settings import study_settings
from mgaudit.settings.toml_file import read_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from mgaudit.targets.schemes import GaussianMask


def test_the_defaults_are_three_arms_on_digits() -> None:
    settings = study_settings({})
    assert tuple(map(str, settings.schemes)) == (
        "none",
        "gaussian-mask:kappa=0.3",
        "dp-sgd:epsilon=8",
    )
    assert (str(settings.dataset), str(settings.target), settings.models) == ("digits", "cnn", 16)
    assert [arm.scheme for arm in settings.arms()] == list(settings.schemes)
    assert [arm.label for arm in settings.arms()] == [
        "no noise",
        "gaussian-mask (kappa=0.3)",
        "dp-sgd (epsilon=8)",
    ]


def test_settings_survive_the_way_to_toml_and_back(tmp_path: Path) -> None:
    settings = study_settings(
        {"examples": 100, "training": {"learning_rate": 0.1}, "target": "mlp:hidden=8x4"}
    )
    path = tmp_path / "settings.toml"
    path.write_text(settings_toml(settings.as_dict()))
    assert study_settings(read_settings(path)) == settings
    path.write_text(settings_toml(study_settings({}).as_dict()))
    assert study_settings(read_settings(path)) == study_settings({})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"models": 2}, "models must be a whole number >= 3 and <= 100000, got 2"),
        ({"models": "many"}, "models must be a whole number .*, got str: 'many'"),
        ({"examples": 49}, "examples must be a whole number >= 50, got 49"),
        ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
        ({"kapa": 1}, "kapa is not a setting; the settings are dataset, target"),
        ({"model": 3}, r"model is not a setting; .*; did you mean 'models'\?"),
        ({"epochs": 3}, r"epochs is not a setting; .*; did you mean 'training.epochs'\?"),
        ({"arms": []}, "arms is not a setting; .*; a study file is run by mgaudit compare"),
        ({"training": 3}, "training must be .*got int: 3"),
        ({"training": {"epoch": 1}}, "training.epoch is not a setting"),
        ({"training": {"epochs": True}}, "training.epochs must be a whole number, got bool: True"),
        (
            {"training": {"learning_rate": "0.1"}},
            "training.learning_rate must be a number, got str: '0.1'",
        ),
        ({"seed": True}, "seed must be a whole number >= 0, got bool: True"),
        ({"models": "4"}, "models must be a whole number .*, got str: '4'"),
        ({"training": {"epochs": 0}}, "training.epochs must be >= 1, got 0"),
        (
            {"training": {"optimizer": "lion"}},
            "training.optimizer must be 'sgd' or 'adam', got 'lion'",
        ),
        ({"schemes": []}, "schemes must .*at least 1"),
        ({"schemes": ["none", "none"]}, "schemes may hold each value once, got none twice"),
        (
            {"schemes": ["gaussian-mask:kappa=.3", "gaussian-mask:kappa=0.3"]},
            "may hold each value once",
        ),
        (
            {"schemes": ["none", "gaussian-mask:kappa=nan"]},
            r"schemes\[1\]\.gaussian-mask\.kappa must be .*got nan",
        ),
        ({"stack": True}, "stack must be 'auto' or a whole number from 1 to 4096, got True"),
        (
            {"attacks": ["lria"]},
            r"attacks\[0\] must be one of stacked, lira, .*, got 'lria'; did you mean 'rmia'\?",
        ),
        ({"device": "tpu"}, "device must be 'auto', 'cpu' or 'cuda', got 'tpu'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        study_settings(values)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_settings_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("models = \n")
    with pytest.raises(ValueError, match=r"a\.toml is not TOML: .*line 1"):
        read_settings(tmp_path / "a.toml")
    with pytest.raises(
        ValueError, match=r"the settings file .*b\.toml cannot be read: No such file"
    ):
        read_settings(tmp_path / "b.toml")


DEFAULT = ("none", "gaussian-mask:kappa=0.3", "dp-sgd:epsilon=8")
OTHER = ("gaussian-mask:kappa=0.9", "dp-sgd:noise_multiplier=1,delta=1e-05")


@pytest.mark.parametrize(
    ("schemes", "changes", "expected"),
    [
        (DEFAULT, {}, DEFAULT),
        (OTHER, {}, OTHER),
        (OTHER, {"dp": False}, OTHER[:1]),
        (OTHER, {"plain": True}, ("none", *OTHER)),
        (DEFAULT, {"plain": False, "dp": False}, DEFAULT[1:2]),
        (OTHER, {"audited": "gaussian-mask:kappa=1"}, ("gaussian-mask:kappa=1", OTHER[1])),
        (OTHER, {"epsilon": 2.0}, (OTHER[0], "dp-sgd:epsilon=2,delta=1e-05")),
        (OTHER[:1], {"dp": True}, (OTHER[0], "dp-sgd:epsilon=8")),
        (OTHER[:1], {"delta": 1e-4}, (OTHER[0], "dp-sgd:epsilon=8,delta=0.0001")),
        (DEFAULT, {"audited": "none"}, ("none", "dp-sgd:epsilon=8")),
        (DEFAULT, {"audited": "dp-sgd:epsilon=8.0"}, ("none", "dp-sgd:epsilon=8")),
        (("gaussian-mask:kappa=1", "gaussian-mask:kappa=2"), {"dp": False}, None),
    ],
)
def test_the_command_line_changes_what_it_names_and_nothing_else(
    schemes: tuple[str, ...], changes: dict[str, Any], expected: tuple[str, ...] | None
) -> None:
    assert list(map(str, edited_schemes(schemes, **changes))) == list(
        schemes if expected is None else expected
    )


def test_dp_options_without_a_dp_arm_are_refused() -> None:
    with pytest.raises(ValueError, match="--epsilon and --delta are settings of the DP-SGD arm"):
        edited_schemes(DEFAULT, dp=False, epsilon=1.0)


def test_paths_are_absolute_and_know_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert study_settings({"dataset": "npz:a.npz"}).dataset.text == f"npz:{tmp_path}/a.npz"
    assert study_settings({"dataset": "folder:~/x"}).dataset.text == "folder:/home/somebody/x"
    assert study_settings({"dataset": "digits"}).dataset.text == "digits"


def test_each_text_is_parsed_once_for_a_planned_study(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    def counted(kind: str, registry: Any, text: str, *rest: Any, **named: Any) -> Choice:
        parsed.append(f"{kind} {text}")
        return parse(kind, registry, text, *rest, **named)

    for module in (datasets, schemes, study_settings_module):
        monkeypatch.setattr(module, "parse", counted)
    changes = {"schemes": edited_schemes(small["schemes"], plain=True), "attacks": ["lira", "loss"]}
    plan = plan_study(study_settings({**study_settings(small | changes).values(), "seed": 3}))
    assert plan.slug
    assert plan.sha256
    run_study(plan, 1, Progress())
    assert sorted(parsed) == sorted(
        ["dataset digits", "target mlp:hidden=16", "attack lira", "attack loss", "queries plain"]
        + [f"scheme {scheme}" for scheme in small["schemes"]]
    )


def test_what_is_computed_with_is_what_settings_toml_says() -> None:
    settings = study_settings({"schemes": ["gaussian-mask:kappa=0.30000000000000004"]})
    (scheme,) = settings.schemes
    assert scheme.text == "gaussian-mask:kappa=0.3"
    assert scheme.built == GaussianMask(0.3)
    assert scheme == scheme_choice("gaussian-mask:0.30")
    assert hash(scheme) == hash(scheme_choice("gaussian-mask:0.30"))


def test_the_smallest_effects_that_matter_are_settings_with_a_range() -> None:
    given = study_settings({"smallest_auc_difference": 0.05, "smallest_tpr_change": 0.5})
    assert Margins.of(given.as_dict()) == Margins(0.05, 0.5)
    assert Margins.of(study_settings({}).as_dict()) == Margins(0.02, 0.2)
    grid = grid_settings({"schemes": ["none"], "smallest_auc_difference": 0.05})
    assert Margins.of(grid.cells()[0].as_dict()) == Margins(0.05, 0.2)
    for key, value in [
        ("smallest_auc_difference", 0),
        ("smallest_auc_difference", 0.5),
        ("smallest_tpr_change", 1),
        ("smallest_tpr_change", -0.2),
        ("smallest_tpr_change", float("nan")),
    ]:
        with pytest.raises(UsageError) as raised:
            study_settings({key: value})
        assert raised.value.key == key
