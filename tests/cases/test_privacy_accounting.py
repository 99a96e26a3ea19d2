"""Claims of ε that DP-SGD's accountant makes: numbers that are right, or one line."""

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mgaudit
from mgaudit.attacks.epsilon import gdp_epsilon
from mgaudit.errors import UsageError
from mgaudit.study.progress import Progress, announced_if_slow
from mgaudit.targets.fitting.privacy_plan import epsilon_spent, plan_privacy
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.schemes.dpsgd import LARGEST_NOISE
from mgaudit.targets.training import Training

TINY = {"examples": 60, "target": "mlp:hidden=8", "stack": 1, "jobs": 1, "quiet": True}
FEW_STEPS = {"epochs": 2, "batch_size": 16}


@pytest.fixture
def blank_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgaudit.storage.run_folder.RunFolder.write_reports", lambda *_: [])


# A1: the bound at a high delta may be negative


@pytest.mark.parametrize("noise_multiplier", [30, 1000, LARGEST_NOISE])
def test_a01_epsilon_is_never_negative(noise_multiplier: float) -> None:
    plan = plan_privacy(DPSGD(noise_multiplier=noise_multiplier), Training(**FEW_STEPS), n=30)
    assert plan.epsilon == 0
    assert epsilon_spent(1.0, 0.5, 4, 0.02) > 0


def test_a01_a_small_epsilon_is_reached() -> None:
    plan = plan_privacy(DPSGD(epsilon=0.001), Training(**FEW_STEPS), n=30)
    assert 0.9e-3 <= plan.epsilon <= 0.001


def test_a01_no_false_alarm(tmp_path: Path, blank_reports: None) -> None:
    scheme = "dp-sgd:noise_multiplier=1000"
    audited = mgaudit.audit_dp(**TINY, **FEW_STEPS, canaries=30, scheme=scheme, out=tmp_path)
    assert audited.record.epsilon_claimed == 0
    assert not audited.alarm
    assert "No alarm" in audited.verdict
    ran = mgaudit.run(**TINY, **FEW_STEPS, models=3, epsilon=0.001, plain=False, out=tmp_path)
    claims = [arm.claim for arm in ran.record.studies[0].arms if arm.claim is not None]
    assert len(claims) == 1
    assert 0 <= claims[0].epsilon <= 0.001
    assert "Alarm" not in ran.verdict


def test_b39_the_verdict_of_a_private_arm_alone_has_no_doubled_comma(
    tmp_path: Path, blank_reports: None
) -> None:
    ran = mgaudit.run(**TINY, **FEW_STEPS, models=3, epsilon=8, plain=False, out=tmp_path)
    assert "ε ≤ 8.00 is claimed" in " ".join(ran.verdict.split())
    assert ",," not in ran.verdict


# A11, A12: batches of one example and of all examples


@pytest.mark.parametrize("batch_size", [1, 30])
def test_a11_a12_batches_of_one_and_of_all(batch_size: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = plan_privacy(
            DPSGD(noise_multiplier=1), Training(epochs=1, batch_size=batch_size), n=30
        )
    assert plan.steps == 30 // batch_size
    assert plan.sample_rate == batch_size / 30
    assert 0 < plan.epsilon < 20


def test_a12_at_rate_one_the_claim_is_that_of_the_gaussian_mechanism() -> None:
    plan = plan_privacy(DPSGD(noise_multiplier=2), Training(epochs=4, batch_size=30), n=30)
    exact = gdp_epsilon(np.sqrt(4) / 2, plan.delta)  # mu = sqrt(steps) / noise multiplier
    assert exact <= plan.epsilon <= exact + 0.02


def test_a12_a_batch_above_the_data_is_refused() -> None:
    with pytest.raises(UsageError) as error:
        plan_privacy(DPSGD(noise_multiplier=1), Training(epochs=1, batch_size=31), n=30)
    assert error.value.key == "batch_size"


# A13, B36: a number or one line, and the search is announced


@pytest.mark.parametrize(("epsilon", "n"), [(0.001, 300), (0.0001, 600)])
def test_a13_b36_a_small_epsilon_can_be_proved(epsilon: float, n: int) -> None:
    plan = plan_privacy(DPSGD(epsilon=epsilon), Training(epochs=20, batch_size=32), n=n)
    assert 0.9 * epsilon <= plan.epsilon <= epsilon


def test_a13_b36_an_epsilon_that_cannot_be_proved_is_named() -> None:
    scheme = DPSGD(epsilon=1e-9, delta=1e-30)
    with pytest.raises(UsageError) as error:
        plan_privacy(scheme, Training(epochs=20, batch_size=32), n=600)
    assert error.value.key == "epsilon"
    assert "must be > " in error.value.rule
    assert error.value.value == "1e-09"


def test_a13_a_tiny_delta_has_a_bound() -> None:
    scheme = DPSGD(epsilon=8, delta=1e-300)
    plan = plan_privacy(scheme, Training(epochs=2, batch_size=32), n=300)
    assert 7.99 <= plan.epsilon <= 8
    assert plan.accountant in ("RDP", "GDP")
    assert plan.epsilon_prv is plan.epsilon_pld is None


class Stages(Progress):
    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)


def test_a13_a_slow_step_is_announced_once_and_a_fast_one_is_not() -> None:
    slow, fast = Stages(), Stages()
    with announced_if_slow(slow, "slow", seconds=0):
        while not slow.stages:
            time.sleep(0.001)
    with announced_if_slow(fast, "fast", seconds=1000):
        pass
    with pytest.raises(KeyError), announced_if_slow(fast, "fast", seconds=1000):
        raise KeyError
    assert slow.stages == ["slow"]
    assert fast.stages == []


def test_a13_the_search_for_noise_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages()

    def search(*_: Any) -> None:
        while len(stages.stages) < 2:
            time.sleep(0.001)
        raise UsageError("epsilon", "is the end of this test")

    monkeypatch.setattr("mgaudit.study.progress.SLOW", 0.0)
    monkeypatch.setattr("mgaudit.study.plan._planned", search)
    with pytest.raises(UsageError, match="end of this test"):
        mgaudit.audit_dp(**TINY, canaries=30, out=tmp_path, progress=stages)  # type: ignore[arg-type]
    assert any("noise of DP-SGD" in stage for stage in stages.stages)
