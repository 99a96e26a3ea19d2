"""The risk of a released model in results, from outputs that are made up."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mgaudit
from mgaudit.attacks import BaVarIA, LiRA, LossThreshold, Stacked
from mgaudit.attacks.flagged import flagged_in_one, flagged_records
from mgaudit.attacks.positive_predictive_value import OperatingPoint, positive_predictive_value
from mgaudit.attacks.pseudo_targets import pseudo_target_scores
from mgaudit.attacks.roc import roc
from mgaudit.reports.risk import Risk
from mgaudit.storage.run_folder import RunFolder
from mgaudit.study.risk import ONE_TARGET_OF_SCORES, risk_of_arm, scores_with_halves
from tests.attacks.test_flagged import observed

EXAMPLES = 240


@pytest.fixture(autouse=True)
def _no_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    monkeypatch.chdir(tmp_path)


def outputs(models: int, leak: float = 3.0, seed: int = 0) -> dict[str, np.ndarray]:
    """Logits of models that are `leak` nats more confident of their members, drawn by coins."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, EXAMPLES)
    membership = generator.random((models, EXAMPLES)) < 0.5
    logits = generator.standard_normal((models, EXAMPLES, 3))
    logits[:, np.arange(EXAMPLES), labels] += generator.standard_normal(EXAMPLES)
    logits[:, np.arange(EXAMPLES), labels] += leak * membership
    return {"logits": logits, "labels": labels, "membership": membership}


def risk_of(result: mgaudit.Result) -> Risk:
    (arm,) = result.record.studies[0].arms
    assert arm.risk is not None
    return arm.risk


def scored(**arguments: Any) -> mgaudit.Result:
    return mgaudit.score(**{"quiet": True, "attacks": ["lira", "loss"], **arguments})


def test_the_risk_of_several_targets_is_that_of_the_first_attacks_scores() -> None:
    made = outputs(8)
    result = scored(**made)
    risk, arrays = risk_of(result), result.arrays[0]
    scores, membership = arrays["arm0/lira/scores"], made["membership"]
    expected = flagged_records(scores, membership)
    flagged = risk.flagged
    assert risk.attack == "lira"
    assert flagged is not None
    assert flagged.flagged == expected.numbers.tolist()
    assert flagged.false == expected.false.tolist()
    assert flagged.oracle == expected.oracle.tolist()
    assert sum(flagged.flagged) > 100
    shares = [
        false / max(made, 1) for false, made in zip(flagged.false, flagged.flagged, strict=True)
    ]
    assert flagged.false_discovery_rate == pytest.approx(np.mean(shares))
    assert (flagged.pseudo_targets, flagged.targets) == (7, list(range(8)))
    assert arrays["arm0/flagged"].tolist() == expected.times.tolist()
    assert arrays["arm0/flagged_out"].tolist() == expected.times_false.tolist()
    most = flagged.most_flagged
    assert [example.flagged for example in most] == sorted(expected.times, reverse=True)[:20]
    for example in most:
        trained = int(membership[:, example.example].sum())
        assert (example.targets, example.targets_out) == (trained, 8 - trained)
        assert example.flagged == expected.times[example.example]
    halves, targets = risk.over_halves, risk.over_targets
    assert halves is not None
    assert targets is not None
    assert (halves.shadows, halves.targets) == (3, list(range(8)))
    assert 0 < halves.in_both <= min(halves.in_first, halves.in_second) <= halves.in_any
    assert 0 < targets.in_all <= targets.in_any


def test_predictive_values_are_those_of_the_mean_tpr_and_the_fpr_of_new_non_members() -> None:
    made = outputs(6)
    result = scored(**made)
    scores = result.arrays[0]["arm0/lira/scores"]
    for values in risk_of(result).predictive_values:
        tprs, fprs = [], []
        for mine, members in zip(scores, made["membership"], strict=True):
            tprs.append(float(roc(mine, members).tpr_at(values.level)))
            others = int((~members).sum())
            fprs.append((int(values.level * others + 1e-9) + 1) / (others + 1))
        assert values.fpr == pytest.approx(np.mean(fprs))
        assert values.tpr.value == pytest.approx(np.mean(tprs))
        assert values.realised_fpr <= values.level < values.fpr
        for value in values.values:
            expected = positive_predictive_value(np.mean(tprs), np.mean(fprs), value.prior)
            assert value.ppv.value == pytest.approx(expected)
            assert value.ppv.low < value.ppv.value < value.ppv.high


def test_one_target_is_calibrated_by_its_shadow_models() -> None:
    observations = observed(3.0, 7, np.random.default_rng(1))
    view = observations.view(2)
    scores = LiRA().score(view)[np.newaxis]
    risk = risk_of_arm(LiRA(), observations, [2], scores, halves=None)
    expected = flagged_in_one(
        scores, observations.membership[[2]], *pseudo_target_scores(LiRA(), view, 16)
    )
    assert risk.flagged is not None
    assert risk.flagged.flagged.tolist() == expected.flagged.tolist()
    assert risk.pseudo_targets == 6
    assert risk.flagged.numbers[0] > 30
    assert (risk.shared, risk.halves) == (None, None)
    assert risk.without_shared == risk.without_halves == "there is only one target"


def test_one_target_has_intervals_for_this_model() -> None:
    made = outputs(6)
    result = scored(**made, targets=[1])
    risk = risk_of(result)
    assert risk.flagged is not None
    assert risk.flagged.targets == [1]
    scores, members = result.arrays[0]["arm0/lira/scores"][0], made["membership"][1]
    for values in risk.predictive_values:
        fpr = OperatingPoint.of(scores, members, values.level).fpr_interval()
        for value in values.values:
            narrower = positive_predictive_value(
                [values.tpr.low, values.tpr.high], fpr.value, value.prior
            )
            assert value.ppv.low < narrower[0]
            assert value.ppv.high > narrower[1]


def test_scores_of_one_target_and_no_shadow_models_flag_nothing_and_say_why() -> None:
    made = outputs(3)
    scores = made["logits"][:1, :, 0]
    risk = risk_of(mgaudit.score(scores=scores, membership=made["membership"][:1], quiet=True))
    assert (risk.flagged, risk.over_targets, risk.over_halves) == (None, None, None)
    assert risk.without_flagged == ONE_TARGET_OF_SCORES
    assert len(risk.predictive_values) == 3


@pytest.mark.parametrize(
    ("attack", "models", "reason"),
    [
        (LossThreshold(), 6, "the attack uses no shadow models"),
        (LiRA(), 3, "half of the shadow models (1) are too few for the attack"),
        (LiRA(), 5, ""),
        (Stacked(), 8, "half of the shadow models (3) are too few for the attack"),
        (BaVarIA(), 10, ""),
    ],
)
def test_why_there_are_no_halves(attack: Any, models: int, reason: str) -> None:
    observations = observed(2.0, models, np.random.default_rng(2))
    scores = np.random.default_rng(3).standard_normal((2, 300))
    halves = scores_with_halves(attack, observations, [0, 1], [0, 1], seed=0)
    risk = risk_of_arm(attack, observations, [0, 1], scores, halves)
    assert reason in risk.without_halves
    assert (risk.halves is None) == bool(reason)


def test_too_few_shadow_models_for_pseudo_targets_are_named() -> None:
    observations = observed(2.0, 2, np.random.default_rng(4))
    scores = np.zeros((1, 300))
    risk = risk_of_arm(LiRA(), observations, [0], scores, halves=None)
    assert risk.flagged is None
    assert "with one shadow model, none can be attacked like the target" in risk.without_flagged


def test_limits_on_references_allow_no_halves() -> None:
    made = outputs(6)
    generator = np.random.default_rng(5)
    made["membership"] = np.stack(
        [generator.permutation(np.arange(6) % 2 == 0) for _ in range(EXAMPLES)], axis=1
    )
    risk = risk_of(scored(**made))
    assert "limited" in risk.without_over_halves
    assert risk.flagged is not None


def test_a_study_that_leaks_nothing_has_numbers_everywhere() -> None:
    result = scored(**outputs(4, leak=0.0), attacks=["loss"])
    content = json.loads(result.record.model_dump_json())
    assert "NaN" not in json.dumps(content)
    risk = risk_of(result)
    assert risk.flagged is not None
    assert risk.flagged.false_discovery_rate <= 1
    assert all(value.ppv.low <= 0.5 for value in risk.predictive_values[0].values)


def test_groups_widen_the_interval_of_one_target() -> None:
    made = outputs(4)
    groups = np.arange(EXAMPLES) // 6
    made["membership"] = made["membership"][:, groups * 6]
    alone, grouped = scored(**made, targets=[0]), scored(**made, targets=[0], groups=groups)
    widths = []
    for result in (alone, grouped):
        ppv = risk_of(result).predictive_values[0].values[0].ppv
        widths.append(ppv.high - ppv.low)
    assert widths[0] < widths[1]


def test_halves_are_the_same_however_targets_are_divided() -> None:
    observations = observed(2.0, 12, np.random.default_rng(5))
    targets = list(range(12))
    whole = scores_with_halves(LiRA(), observations, targets, targets, seed=0)
    assert whole is not None
    assert whole.targets == targets[:8]
    for rows in ([0, 1, 2], [3, 7, 8], [11]):
        part = scores_with_halves(LiRA(), observations, targets, rows, seed=0)
        known = [row for row in rows if row < 8]
        assert (part is None) == (not known)
        if part is not None:
            assert part.targets == known
            np.testing.assert_array_equal(part.first, whole.first[known])
            np.testing.assert_array_equal(part.second, whole.second[known])
