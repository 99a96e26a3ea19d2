"""Audits of DP-SGD by many trainings with and without one example."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import mgaudit
from mgaudit.attacks.epsilon import gdp_epsilon
from mgaudit.errors import UsageError
from mgaudit.settings.study_settings import dp_audit_settings
from mgaudit.study.dp_audit import plan_dp_audit, run_dp_audit
from mgaudit.study.progress import Progress
from mgaudit.study.repeated import data_of_repeated
from mgaudit.targets import MLP
from mgaudit.targets.fitting.recipe import initial_model
from mgaudit.targets.networks.pretrained_head import PretrainedHead

SMALL: dict[str, Any] = {
    "adversary": "repeated",
    "scheme": "dp-sgd:epsilon=10,delta=1e-5",
    "target": "mlp:hidden=16",
    "examples": 100,
    "runs": 60,
    "training": {"epochs": 10},
}


def without_linear_layers(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, classes, 8), nn.Flatten())


def audited(**changes: Any) -> Any:
    plan = plan_dp_audit(dp_audit_settings(SMALL | changes))
    return run_dp_audit(plan, 1, Progress())


def test_the_runs_are_nearly_as_far_apart_as_the_claim_allows() -> None:
    plan = plan_dp_audit(dp_audit_settings(SMALL))
    privacy = plan.arm.recipe.plan
    assert privacy is not None
    assert (privacy.sample_rate, privacy.steps) == (1, 10)
    record, arrays = run_dp_audit(plan, 1, Progress())
    scores, members = arrays["scores"], arrays["membership"]
    difference = scores[members].mean() - scores[~members].mean()
    deviation = np.concatenate(
        [scores[members] - scores[members].mean(), scores[~members] - scores[~members].mean()]
    ).std()
    mu = np.sqrt(privacy.steps) / privacy.noise_multiplier  # of the steps together
    assert difference / deviation == pytest.approx(mu, rel=0.25)
    assert gdp_epsilon(mu, 1e-5) == pytest.approx(10, abs=0.1)
    proved, gaussian = (bound.epsilon for bound in record.bounds)
    assert 0 < proved < gaussian < 10
    assert proved < record.epsilon_provable < 3
    assert not record.alarm
    assert (
        "Bounds of repeated runs are not used for alarms"
        in mgaudit.DPResult(record, arrays, None).verdict
    )


class Trainings(Progress):
    """Keeps what is said of the trainings, in its order."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def stage(self, text: str) -> None:
        self.events.append(("stage", text))

    def training_started(self, label: str, models: int, reused: int) -> None:
        self.events.append(("started", label, models, reused))

    def model_trained(self, label: str, models: int = 1) -> None:
        self.events.append(("trained", models))

    def training_ended(self, label: str) -> None:
        self.events.append(("ended",))


@pytest.fixture(scope="module")
def by_jobs() -> dict[int, tuple[str, np.ndarray, list[tuple[Any, ...]]]]:
    """The label of 25 runs, their scores, and what was said of the trainings, by processes."""
    plan = plan_dp_audit(dp_audit_settings(SMALL | {"runs": 25}))
    found = {}
    for jobs in (1, 2):
        progress = Trainings()
        _, arrays = run_dp_audit(plan, jobs, progress)
        found[jobs] = (plan.arm.settings.label, arrays["scores"], progress.events)
    return found


@pytest.mark.slow
def test_the_scores_do_not_depend_on_the_number_of_processes(by_jobs: dict[int, Any]) -> None:
    one, two = (scores for _, scores, _ in by_jobs.values())
    np.testing.assert_array_equal(one, two)
    assert len(set(one)) == 50


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_progress_counts_the_trainings_of_each_task(jobs: int, by_jobs: dict[int, Any]) -> None:
    label, _, events = by_jobs[jobs]
    after = [event[0] for event in events].index("started")
    assert ("stage", f"{label}: training 50 times, each second time without the canary") in (
        events[:after]
    )
    assert events[after:] == [
        ("started", label, 50, 0),
        ("trained", 25),
        ("trained", 25),
        ("ended",),
    ]


def test_training_without_noise_is_told_apart_without_an_error() -> None:
    record, _ = audited(scheme="dp-sgd:noise_multiplier=0", runs=20)
    assert record.epsilon_claimed is None
    assert record.correct == record.guesses == 40
    assert record.bounds[0].epsilon > 0
    assert "no finite ε is claimed" in mgaudit.DPResult(record, {}, None).verdict


def test_the_start_is_trained_on_other_examples_than_the_audited_ones() -> None:
    settings = dp_audit_settings(SMALL)
    data = data_of_repeated(settings)
    assert len(data.audited.labels) == 100
    assert len(data.audited.labels) + len(data.outside.labels) == 1198
    assert not set(data.audited.indices) & set(data.outside.indices)
    assert (
        len(data_of_repeated(dp_audit_settings(SMALL | {"examples": None})).audited.labels) == 500
    )


def test_only_the_last_layer_is_trained() -> None:
    start = initial_model(MLP, (1, 8, 8), 10, seed=3)
    weights = {name: own.numpy() for name, own in start.state_dict().items()}
    models = [initial_model(PretrainedHead(MLP, weights), (1, 8, 8), 10, seed) for seed in (0, 1)]
    for model in models:
        for name, own in model.state_dict().items():
            np.testing.assert_array_equal(own.numpy(), weights[name])
        trained = [name for name, own in model.named_parameters() if own.requires_grad]
        assert trained == ["layers.5.weight", "layers.5.bias"]


def test_what_cannot_be_audited_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="scheme must be DP-SGD for repeated runs, got none"):
        audited(scheme="none")
    with pytest.raises(UsageError, match=r"examples must leave at least 50 of 1198 .* got 1150"):
        audited(examples=1150)
    with pytest.raises(UsageError, match="runs must be a whole number >= 20"):
        audited(runs=19)
    with pytest.raises(UsageError, match="target must have a linear layer"):
        mgaudit.audit_dp(
            adversary="repeated",
            target=without_linear_layers,
            scheme="dp-sgd:noise_multiplier=1",
            examples=100,
            epochs=1,
            runs=20,
            out=tmp_path,
            quiet=True,
        )
