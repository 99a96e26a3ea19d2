"""Studies with canaries in the pool of every arm, from the setting to the result."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import mgaudit
from mgaudit.attacks.pooled import pooled
from mgaudit.cli.app import app
from mgaudit.errors import UsageError
from mgaudit.settings.canaries import CanariesChoice, canaries_choice
from mgaudit.settings.grid import grid_settings
from mgaudit.settings.study_settings import study_settings
from mgaudit.storage.join import joined, read_runs
from mgaudit.storage.run_folder import RunFolder
from mgaudit.study.design import draw_design

pytestmark = pytest.mark.usefixtures("no_reports")

SMALL: dict[str, Any] = {
    "target": "mlp:hidden=64",
    "examples": 200,
    "models": 6,
    "attack": "lira",
    "epochs": 15,
    "jobs": 1,
    "quiet": True,
}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> mgaudit.Result:
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "write_reports", lambda *_: [])
        return mgaudit.run(canaries="mislabelled:40", plain=True, dp=False, out=out, **SMALL)


def test_the_result_has_the_first_attack_on_the_canaries_alone(audited: mgaudit.Result) -> None:
    (study,) = audited.record.studies
    (arrays,) = audited.arrays
    assert study.settings["canaries"] == "mislabelled:40"
    for index, arm in enumerate(study.arms):
        attack = arm.canaries
        assert attack is not None
        assert (attack.attack, attack.kind, len(attack.indices)) == ("lira", "mislabelled", 40)
        scores = arrays[f"arm{index}/lira/scores"][:, attack.indices]
        membership = arrays["membership"][arm.attacks[0].targets][:, attack.indices]
        alone = pooled(scores, membership, attack.level, np.random.default_rng(0))
        assert alone.auc is not None
        assert alone.tpr is not None
        assert attack.level == 0.1
        assert attack.canaries.auc is not None
        assert attack.canaries.tpr is not None
        assert attack.canaries.auc.value == pytest.approx(alone.auc.value, abs=1e-12)
        assert attack.canaries.tpr.value == pytest.approx(alone.tpr.value, abs=1e-12)
        assert attack.canaries.non_members == (~membership).sum()
        assert attack.canaries.examples + attack.others.examples == 200
        # Canaries are exposed more than the examples on average.
        assert attack.others.auc is not None
        assert attack.canaries.auc.value > attack.others.auc.value + 0.05
        exposed = {example.example: example.origin for example in arm.most_exposed}
        for example, origin in exposed.items():
            assert ("mislabelled canary" in origin) == (example in attack.indices)
        assert "mislabelled canary" in " ".join(exposed.values())
    assert any(
        "40 of 200 examples are mislabelled canaries" in note for note in study.dataset.notes
    )


def test_the_settings_of_a_run_repeat_the_canaries(audited: mgaudit.Result, tmp_path: Path) -> None:
    again = mgaudit.run(settings=audited.path / "settings.toml", out=tmp_path, jobs=1, quiet=True)
    assert again.record.studies[0].arms == audited.record.studies[0].arms
    without = mgaudit.run(
        settings=audited.path / "settings.toml", canaries="none", out=tmp_path, jobs=1, quiet=True
    )
    assert "canaries" not in without.record.studies[0].settings
    assert without.record.studies[0].arms[0].canaries is None


def test_joined_runs_keep_the_canaries_and_runs_with_others_are_not_joined(
    audited: mgaudit.Result, tmp_path: Path
) -> None:
    options = {**SMALL, "plain": False, "dp": False, "scheme": "dropout:rate=0.3"}
    second = mgaudit.run(canaries="mislabelled:40", out=tmp_path, **options)
    paths = [str(audited.path), str(second.path)]
    record, _ = joined(read_runs(paths, tmp_path))
    arms = record.studies[0].arms
    assert len(arms) == 3
    assert all(arm.canaries is not None for arm in arms)
    third = mgaudit.run(canaries="noise:40", out=tmp_path, **options)
    paths = [str(audited.path), str(third.path)]
    with pytest.raises(UsageError, match=r"canaries is mislabelled:40 in .* and noise:40 in"):
        joined(read_runs(paths, tmp_path))


def design_of(**values: Any) -> Any:
    return draw_design(study_settings({"examples": 200, "models": 4, **values}))


@pytest.mark.parametrize("kind", ["mislabelled", "blank", "noise"])
def test_canaries_change_no_test_example_no_other_example_and_no_coin(kind: str) -> None:
    plain, planted = design_of(), design_of(canaries=f"{kind}:30")
    indices = planted.planted.indices
    others = np.setdiff1d(np.arange(200), indices)
    assert plain.planted is None
    assert len(indices) == 30
    assert np.array_equal(plain.membership, planted.membership)
    before, after = plain.dataset, planted.dataset
    assert np.array_equal(before.test_inputs, after.test_inputs)
    assert np.array_equal(before.test_labels, after.test_labels)
    assert np.array_equal(before.inputs[others], after.inputs[others])
    assert np.array_equal(before.labels[others], after.labels[others])
    assert plain.sha256 != planted.sha256
    assert plain.pool_sha256 != planted.pool_sha256
    assert planted.expected_members == plain.expected_members


def test_the_text_is_a_kind_with_a_number() -> None:
    assert canaries_choice("noise:7") == CanariesChoice("noise", 7)
    assert str(canaries_choice("blank")) == "blank:100"
    assert canaries_choice("none") is None
    settings = study_settings({"canaries": "noise:7"})
    assert settings.as_dict()["canaries"] == "noise:7"
    assert study_settings(settings.values()) == settings
    assert "canaries" not in study_settings({}).as_dict()
    grid = grid_settings({"schemes": ["none"], "canaries": "noise:7"})
    assert {str(cell.canaries) for cell in grid.cells()} == {"noise:7"}
    assert grid_settings(grid.as_dict()) == grid


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("odd:5", "canaries must be mislabelled, blank or noise with a number >= 1"),
        ("mislabeled:5", "did you mean 'mislabelled'?"),
        ("noise:0", "as in mislabelled:100, got 'noise:0'"),
        ("noise:-3", "got 'noise:-3'"),
        ("noise:1.5", "got 'noise:1.5'"),
        ("noise:", "got 'noise:'"),
        ("noise:²", "got 'noise:²'"),
        ("noise:101", "canaries must be between 1 and 100, half of the examples, got 101"),
    ],
)
def test_bad_canaries_are_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    arguments = ["--examples", "200", "--canaries", text, "--quiet", "--out", str(tmp_path)]
    commands = [["run"], ["compare", "--scheme", "none"]]
    for command in commands:
        printed = CliRunner().invoke(app, [*command, *arguments])
        assert printed.exit_code == 2, printed.output
        assert message in printed.stderr
        assert printed.stderr.count("\n") == 1


def test_a_training_function_takes_no_canaries() -> None:
    with pytest.raises(UsageError, match="canaries must not be given with fit"):
        mgaudit.run(fit="math:sqrt", canaries="noise:7", quiet=True)


@pytest.mark.slow
def test_an_average_that_looks_private_hides_canaries_that_are_found(tmp_path: Path) -> None:
    result = mgaudit.compare(
        scheme=["none", "early-stop:epochs=10", "label-smoothing:smoothing=0.3"],
        canaries="mislabelled:50",
        attack="loss",
        out=tmp_path,
        quiet=True,
    )
    for arm in result.record.studies[0].arms:
        average = arm.attacks[0].metrics
        assert average["auc"].high < 0.56
        assert average["tpr@0.01"].value < 0.02
        assert arm.canaries is not None
        assert arm.canaries.canaries.auc is not None
        assert arm.canaries.canaries.tpr is not None
        assert arm.canaries.canaries.auc.low > 0.62
        assert arm.canaries.canaries.tpr.value > 2 * average["tpr@0.1"].value
