"""A grid of studies: each is what `mgaudit run` makes of it, and nothing is trained twice."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import Result, StudyResult
from mgaudit.settings.grid import grid_settings
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.comparison import ComparisonPlan, cell_name, plan_comparison, run_comparison
from mgaudit.study.estimate import estimated
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study

SCHEMES = ["none", "gaussian-mask:kappa=0", "gaussian-mask:kappa=0.5"]


class Heard(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.trained = 0

    def stage(self, text: str) -> None:
        self.stages.append(text)

    def model_trained(self, label: str, models: int = 1) -> None:
        self.trained += models


def plan(**changes: Any) -> ComparisonPlan:
    values = {
        "title": "Small",
        "note": "words",
        "targets": ["mlp:hidden=8", "mlp:hidden=16"],
        "seeds": [0, 1],
        "models": 4,
        "examples": 120,
        "stack": 1,
        "schemes": SCHEMES,
        "attacks": ["loss"],
        "training": {"epochs": 2, "batch_size": 32},
    }
    return plan_comparison(grid_settings(values | changes))


def without_times(study: StudyResult) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(study.model_dump_json())
    del content["times"]
    return content


def compared(**changes: Any) -> tuple[Result, list[Arrays], Heard]:
    progress = Heard()
    return *run_comparison(plan(**changes), 1, progress), progress


def test_every_cell_is_what_run_makes_of_it_and_a_second_time_trains_nothing() -> None:
    result, arrays, progress = compared()
    assert progress.trained == 4 * 3 * 4
    assert [(study.settings["target"], study.settings["seed"]) for study in result.studies] == [
        (target, seed) for target in ("mlp:hidden=8", "mlp:hidden=16") for seed in (0, 1)
    ]
    assert [text for text in progress.stages if text.startswith("study")] == [
        "study 1 of 4: mlp:hidden=8 on digits, seed 0",
        "study 2 of 4: mlp:hidden=8 on digits, seed 1",
        "study 3 of 4: mlp:hidden=16 on digits, seed 0",
        "study 4 of 4: mlp:hidden=16 on digits, seed 1",
    ]
    assert (result.title, result.note) == ("Small", "words")
    assert result.command == "mgaudit compare RUN/settings.toml"

    settings = plan().settings.cells()[2]
    again = Heard()
    alone, alone_arrays = run_study(plan_study(study_settings(settings.as_dict())), 1, again)
    assert again.trained == 0
    assert without_times(alone) == without_times(result.studies[2])
    assert alone_arrays.keys() == arrays[2].keys()
    for name, values in alone_arrays.items():
        np.testing.assert_array_equal(values, arrays[2][name])

    repeated, _, progress = compared()
    assert progress.trained == 0
    assert [without_times(study) for study in repeated.studies] == [
        without_times(study) for study in result.studies
    ]
    assert plan_comparison(grid_settings(result.settings)).sha256 == plan().sha256


def test_a_mask_of_no_strength_is_no_mask_bit_for_bit() -> None:
    notes = {"gaussian-mask:kappa=0": "no mask at all"}
    result, (arrays,), _ = compared(
        targets=["mlp:hidden=8"], seeds=[0], notes=notes, attacks=["lira", "loss"]
    )
    plain, zero, noisy = result.studies[0].arms
    assert (zero.key, zero.label, zero.note) == (
        "gaussian-mask:kappa=0",
        "gaussian-mask (kappa=0)",
        "no mask at all",
    )
    for ours, theirs in zip(plain.attacks, zero.attacks, strict=False):
        assert ours.metrics == theirs.metrics
        assert np.array_equal(
            arrays[f"arm0/{ours.name}/scores"], arrays[f"arm1/{theirs.name}/scores"]
        )
        assert not np.array_equal(
            arrays[f"arm0/{ours.name}/scores"], arrays[f"arm2/{ours.name}/scores"]
        )
    assert plain.accuracy == zero.accuracy
    assert noisy.note == ""


def test_targets_share_coins_and_data_and_other_seeds_draw_their_own() -> None:
    first, other_seed, other_target, _ = (cell.design for cell in plan().cells)
    assert other_target is first
    assert not np.array_equal(other_seed.membership, first.membership)
    for cell in plan().cells:
        assert len({arm.recipe.seed for arm in cell.arms}) == 1


def test_other_words_are_another_run_and_the_slug_says_what_is_compared() -> None:
    first = plan(seeds=[0])
    assert plan(seeds=[0]).sha256 == first.sha256
    changes = ({"title": "x"}, {"note": "x"}, {"seeds": [2]})
    assert (
        len({first.sha256, *(plan(**{"seeds": [0], **change}).sha256 for change in changes)}) == 4
    )
    assert first.slug == "compare-digits-mlp-hidden-8-mlp-hidden-16-3-arms"


def test_stack_sizes_of_the_rule_are_in_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = {"mlp:hidden=8": 2, "mlp:hidden=16": 1}
    monkeypatch.setattr(
        "mgaudit.study.stacking._size", lambda settings, _: sizes[settings.target.text]
    )
    settings = plan(stack="auto").settings
    assert (settings.stack, settings.stacks) == (
        "auto",
        {f"{target} on digits": size for target, size in sizes.items()},
    )
    assert [cell.stack for cell in settings.cells()] == [2, 2, 1, 1]
    single = plan(stack="auto", targets=["mlp:hidden=8"]).settings
    assert (single.stack, single.stacks) == (2, {})


def test_all_studies_are_checked_before_any_training(own_cache: Path) -> None:
    with pytest.raises(ValueError, match="use --target mlp for feature vectors"):
        plan(datasets=["digits", "synthetic"], targets=["cnn"])
    assert not (own_cache / "ensembles").exists()


def test_a_study_that_fails_is_named() -> None:
    with pytest.raises(
        RuntimeError, match=r"^mlp:hidden=8 on digits, seed 0: in every arm fewer than 3"
    ):
        compared(schemes=["none"], training={"epochs": 3, "learning_rate": 1e30})


def test_an_estimate_counts_what_is_there_and_keeps_only_the_privacy_plan(own_cache: Path) -> None:
    small = {
        "targets": ["mlp:hidden=8"],
        "seeds": [0],
        "schemes": ["none", "dp-sgd:noise_multiplier=1"],
    }
    planned = plan(**small)
    before = estimated(planned.cells, 1, Progress())
    # The privacy plan is not written again where an earlier test has made it in this process.
    assert {folder.name for folder in own_cache.glob("*")} <= {"accountants"}
    (cell,) = before.cells
    assert cell.name == cell_name(planned.cells[0])
    assert [(arm.label, arm.models, arm.there) for arm in cell.arms] == [
        ("no noise", 4, 0),
        ("dp-sgd (noise_multiplier=1)", 4, 0),
    ]
    assert all(arm.training > 0 for arm in cell.arms)
    assert cell.auditing > 0
    (auc,) = cell.detectable  # a target has too few non-members for a TPR
    assert (auc.metric, auc.has_plain) == ("auc", True)
    # limits of the plain arm and of the other: one, and three
    assert auc.level == pytest.approx(1 - 2 * 0.05 / 4)
    assert auc.excess is not None
    assert 0.1 < auc.excess < 0.4
    assert before.seconds == pytest.approx(
        before.starting + sum(arm.training for arm in cell.arms) + cell.auditing
    )

    run_comparison(planned, 1, Progress())
    (after,) = estimated(plan(**small, models=6).cells, 1, Progress()).cells
    assert [(arm.models, arm.there) for arm in after.arms] == [(6, 4), (6, 4)]
    (done,) = estimated(planned.cells, 1, Progress()).cells
    assert [arm.training for arm in done.arms] == [0, 0]


def test_an_estimate_knows_of_several_queries_and_of_gradients() -> None:
    several = {"queries": "mask:3", "attacks": ["lira", "gradient-norm"], "stack": 2}
    planned = plan(targets=["mlp:hidden=8"], seeds=[0], **several)
    (cell,) = estimated(planned.cells, 1, Progress()).cells
    assert cell.auditing > 0
