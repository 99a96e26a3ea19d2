from pathlib import Path
from typing import Any

import pytest

from mgaudit.settings import read_settings, study_settings
from reports.results import settings_toml


def test_the_defaults_are_three_arms_on_digits() -> None:
    settings = study_settings({})
    assert settings.schemes == ("none", "gaussian-mask:kappa=0.3", "dp-sgd:epsilon=8")
    assert (settings.dataset, settings.target, settings.models) == ("digits", "cnn", 16)
    assert settings.baseline == "none"
    assert [arm.scheme for arm in settings.arms()] == list(settings.schemes)
    assert [arm.label for arm in settings.arms()] == ["no noise", "gaussian-mask (kappa=0.3)", "dp-sgd (epsilon=8)"]


def test_settings_survive_the_way_to_toml_and_back(tmp_path: Path) -> None:
    settings = study_settings({"examples": 100, "training": {"learning_rate": 0.1}, "target": "mlp:hidden=8x4"})
    path = tmp_path / "settings.toml"
    path.write_text(settings_toml(settings.as_dict()))
    assert study_settings(read_settings(path)) == settings
    path.write_text(settings_toml(study_settings({}).as_dict()))
    assert study_settings(read_settings(path)) == study_settings({})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"models": 2}, "models must be greater than or equal to 3, got 2"),
        ({"models": "many"}, "models must be .*integer.*, got 'many'"),
        ({"examples": 5}, "examples must be greater than or equal to 20, got 5"),
        ({"seed": -1}, "seed must be greater than or equal to 0, got -1"),
        ({"kapa": 1}, "there is no setting 'kapa'; the settings are dataset, target"),
        ({"training": {"epoch": 1}}, "there is no setting 'training.epoch'"),
        ({"training": {"epochs": 0}}, "training: epochs must be >= 1, got 0"),
        ({"training": {"optimizer": "lion"}}, "training.optimizer must be 'sgd' or 'adam', got 'lion'"),
        ({"schemes": []}, "schemes must .*at least 1"),
        ({"schemes": ["none", "none"]}, "schemes: each may be given once, got 'none' twice"),
        ({"schemes": ["gaussian-mask:kappa=.3", "gaussian-mask:kappa=0.3"]}, "each may be given once"),
        ({"schemes": ["none", "gaussian-mask:kappa=nan"]}, r"schemes\[1\]: kappa must be .*got nan"),
        ({"attacks": ["lria"]}, "attack must be one of lira, loss, got 'lria'"),
        ({"device": "tpu"}, "device must be 'auto', 'cpu' or 'cuda', got 'tpu'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        study_settings(values)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_settings_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("models = \n")
    with pytest.raises(ValueError, match=r"a\.toml is not TOML: .*line 1"):
        read_settings(tmp_path / "a.toml")
    with pytest.raises(ValueError, match=r"cannot read the settings file .*b\.toml: No such file"):
        read_settings(tmp_path / "b.toml")
