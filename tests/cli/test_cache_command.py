"""`mgaudit cache`: what it prints, its exit codes, and what is left after it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.storage.ensembles import EnsembleFolder, training_code_sha256
from mgaudit.storage.measurements import save_measurements

FACTS = {"steps": 3, "seconds": 1.0, "diverged": False}


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["cache", *arguments])


@pytest.fixture
def ensemble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EnsembleFolder:
    """The only ensemble of a cache, with three models."""
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / "cache"))
    folder = EnsembleFolder.at({"code": training_code_sha256()})
    with folder.locked():
        for index in range(3):
            folder.save_model(index, {"weight": np.arange(100.0)}, FACTS)
    return folder


def test_the_cache_is_shown_with_its_sizes(ensemble: EnsembleFolder) -> None:
    values = json.loads(mgaudit("--json").stdout)
    (kind,) = values["kinds"]
    assert (kind["kind"], kind["models"], kind["bytes"]) == ("ensembles", 3, values["bytes"])
    assert values["leftovers"]["files"] == 0
    (ensemble.path / ".model-00000.safetensors.0.partial").touch()
    (ensemble.path / "thesis.tex").touch()
    lines = mgaudit().stdout.splitlines()
    assert lines[0].startswith(f"{ensemble.path.parents[1]}: ")
    assert lines[2].split()[:3] == ["ensembles", "7", "3"]
    assert "`mgaudit cache prune` removes them" in lines[3]
    assert lines[4] == "1 entry that mgaudit did not write"
    assert max(map(len, lines[1:])) <= 80


def test_damaged_models_are_named_with_exit_code_1_and_pruned(ensemble: EnsembleFolder) -> None:
    assert mgaudit("verify").exit_code == 0
    path = ensemble.model_path(1)
    path.write_bytes(path.read_bytes()[:-1])
    found = mgaudit("verify")
    assert found.exit_code == 1
    assert found.stdout.startswith(f"{path}: ")
    as_json = mgaudit("verify", "--json")
    assert as_json.exit_code == 1
    values = json.loads(as_json.stdout)
    assert values["checked"] == 4
    assert [row["path"] for row in values["damaged"]] == [str(path)]
    dry = mgaudit("prune", "--dry-run")
    assert dry.exit_code == 0
    assert "would be removed" in dry.stdout
    assert path.exists()
    pruned = mgaudit("prune")
    assert pruned.exit_code == 0
    assert str(path) in pruned.stdout
    assert not path.exists()
    assert mgaudit("verify").exit_code == 0
    assert mgaudit("prune", "--quiet").output == ""


def test_ages_are_hours_days_or_weeks(ensemble: EnsembleFolder) -> None:
    for age in ("", "30", "d30", "-1d", "1.5d", "30 d", "1y", "9999999d"):
        refused = mgaudit("prune", "--older-than", age)
        assert refused.exit_code == 2, age
        assert "--older-than must be a number of hours, days or weeks" in refused.stderr
    for age in ("1h", "30d", "8w"):
        assert mgaudit("prune", "--older-than", age).exit_code == 0
    assert ensemble.path.exists()
    assert mgaudit("prune", "--older-than", "0h").exit_code == 0
    assert not ensemble.path.exists()


def test_the_cache_is_cleared_only_after_a_confirmation(ensemble: EnsembleFolder) -> None:
    assert mgaudit("clear").exit_code == 2
    assert CliRunner().invoke(app, ["cache", "clear"], input="n\n").exit_code == 2
    assert ensemble.path.exists()
    (ensemble.path / "thesis.tex").touch()
    with ensemble.locked():
        kept = mgaudit("clear", "--yes")
    assert kept.exit_code == 0
    assert f"{ensemble.path}: kept, because another process uses it" in kept.stdout
    assert ensemble.model_path(0).exists()
    cleared = CliRunner().invoke(app, ["cache", "clear"], input="y\n")
    assert cleared.exit_code == 0
    assert f"{ensemble.path / 'thesis.tex'}: kept" in cleared.stdout
    assert [path.name for path in ensemble.path.iterdir()] == ["thesis.tex"]
    assert "nothing is stored" in mgaudit("clear", "--yes").stdout


def test_a_cache_that_is_no_folder_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / "file"))
    for arguments in ([], ["verify"], ["prune"], ["clear", "--yes"]):
        failed = mgaudit(*arguments)
        assert failed.exit_code == 2
        assert failed.stderr.startswith(f"error: {tmp_path / 'file'}: ")
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / "gone"))
    for arguments in ([], ["verify"], ["prune"], ["clear", "--yes"]):
        assert mgaudit(*arguments).exit_code == 0
    assert not (tmp_path / "gone").exists()


def test_pruned_measurements_leave_no_folder(ensemble: EnsembleFolder) -> None:
    attacks = ensemble.path.parents[1] / "attacks"
    (attacks / "00").mkdir(parents=True)  # by an earlier version
    save_measurements(json.dumps({"code": "other"}), {"scores": np.arange(3.0)})
    mgaudit("prune", "--dry-run")
    assert len(list(attacks.iterdir())) == 2
    mgaudit("prune")
    assert not attacks.exists()
    assert ensemble.path.exists()
