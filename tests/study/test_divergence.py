"""Models that diverge are left out, and the result says so."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.document import document
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.results import StudyResult
from mgaudit.reports.tables import accuracy_vs_privacy
from mgaudit.reports.verdict import verdict
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.study import run_study
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import Recipe, TrainedModel, train
from mgaudit.targets.schemes import GaussianMask
from tests.fake_study import result

Diverging = Callable[[dict[str, Sequence[int]]], tuple[StudyResult, Arrays]]


@pytest.fixture(scope="module")
def trained() -> dict[tuple[str, int], TrainedModel]:
    """The models of each arm by their number, trained once for all tests."""
    return {}


@pytest.fixture
def run(
    small: dict[str, Any],
    trained: dict[tuple[str, int], TrainedModel],
    monkeypatch: pytest.MonkeyPatch,
) -> Diverging:
    """Returns a run of six models an arm, with and without a mask; the named models diverge."""

    def start(diverging: dict[str, Sequence[int]]) -> tuple[StudyResult, Arrays]:
        def some_diverge(
            recipe: Recipe,
            dataset: Dataset,
            membership: NDArray[np.bool_],
            indices: Sequence[int],
            device: str,
        ) -> list[TrainedModel]:
            arm = "mask" if isinstance(recipe.scheme, GaussianMask) else "none"
            (index,) = indices  # the study trains one model at a time
            if (arm, index) not in trained:
                (trained[arm, index],) = train(recipe, dataset, membership, indices, device)
            model = trained[arm, index]
            return [
                replace(model, weights={}, diverged=True)
                if index in diverging.get(arm, ())
                else model
            ]

        monkeypatch.setattr("mgaudit.study.worker.train", some_diverge)
        values = {
            **small,
            "models": 6,
            "schemes": ["none", "gaussian-mask:kappa=0.3"],
            "attacks": ["lira", "loss"],
        }
        return run_study(plan_study(study_settings(values)), 1, Progress())

    return start


def test_diverged_models_are_neither_targets_nor_shadows(run: Diverging) -> None:
    study, arrays = run({"none": [4], "mask": [1, 5]})
    plain, masked = study.arms
    assert (plain.diverged, masked.diverged) == ([4], [1, 5])
    lira, loss, naive = masked.attacks
    assert (lira.targets, loss.targets) == ([0, 2, 3, 4], [0, 2, 3, 4])
    assert naive.targets == [0, 2, 3]  # model 4 has no twin without noise
    assert plain.attacks[0].targets == [0, 1, 2, 3, 5]
    for attack in masked.attacks:
        assert arrays[f"arm1/{attack.name}/scores"].shape == (len(attack.targets), 200)
        assert (
            len(attack.per_target["auc"])
            == len(attack.single_targets["auc"])
            == len(attack.targets)
        )
    assert len(arrays["membership"]) == 6


def test_differences_are_paired_over_the_targets_that_both_arms_have(run: Diverging) -> None:
    study, _ = run({"none": [4], "mask": [1, 5]})
    plain, masked = (arm.attacks[1] for arm in study.arms)
    pairs = [
        masked.per_target["auc"][masked.targets.index(target)]
        - plain.per_target["auc"][plain.targets.index(target)]
        for target in (0, 2, 3)
    ]
    assert masked.differences["auc"].value == pytest.approx(np.mean(pairs))


def html_of(study: StudyResult, arrays: Arrays) -> str:
    return render_html(document(result(study), [arrays]))


@pytest.mark.usefixtures("blank_figures")
def test_the_report_counts_them(run: Diverging) -> None:
    study, arrays = run({"none": [4], "mask": [1, 5]})
    notes = accuracy_vs_privacy(study).notes
    assert (
        "no noise: 1 of 6 models diverged and are left out, as targets and as shadow models."
        in notes
    )
    assert (
        "gaussian-mask (kappa=0.3): 2 of 6 models diverged and are left out, as targets and "
        "as shadow models." in notes
    )
    assert any("2 of 6 models diverged" in sentence for sentence in verdict(study))
    assert "2 of 6 models diverged" in html_of(study, arrays)


@pytest.mark.usefixtures("blank_figures")
def test_an_arm_with_too_few_models_left_says_so_and_the_others_stand(run: Diverging) -> None:
    study, arrays = run({"mask": [0, 1, 2, 3]})
    assert [arm.label for arm in study.arms] == ["no noise"]
    assert [(arm.label, arm.diverged) for arm in study.lost] == [
        ("gaussian-mask (kappa=0.3)", [0, 1, 2, 3])
    ]
    lost = "gaussian-mask (kappa=0.3): 4 of 6 models diverged; too few are left for an audit."
    assert lost in accuracy_vs_privacy(study).notes
    assert lost in verdict(study)
    assert "4 of 6 models diverged; too few" in html_of(study, arrays)


def test_without_a_plain_arm_that_converged_arms_stand_alone(run: Diverging) -> None:
    study, _ = run({"none": [0, 1, 2, 3]})
    (masked,) = study.arms
    assert masked.accuracy_difference is None
    assert [(attack.attack, attack.adversary) for attack in masked.attacks] == [
        ("lira", "adaptive"),
        ("loss", "adaptive"),
    ]
    assert all(attack.differences == {} for attack in masked.attacks)
    assert "models trained with gaussian-mask (kappa=0.3)" in verdict(study)[0]
    assert study.analysis.verdicts[0].against == "chance"


def test_arms_whose_models_converged_apart_are_not_compared(run: Diverging) -> None:
    study, _ = run({"none": [0, 1], "mask": [4, 5]})  # 2 and 3 are all they share
    masked = study.arms[1]
    assert [attack.adversary for attack in masked.attacks] == ["adaptive", "adaptive"]
    assert masked.accuracy_difference is None
    assert masked.attacks[0].differences == {}
    assert any(
        "Too few models converged both here and without noise" in sentence
        for sentence in verdict(study)
    )


def test_a_study_of_which_nothing_is_left_fails(run: Diverging) -> None:
    with pytest.raises(RuntimeError, match="in every arm fewer than 3 of 6 models converged; try"):
        run({"none": range(6), "mask": range(4)})
