"""Privacy plans that are kept in the cache."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from mgaudit.study import kept_privacy_plans
from mgaudit.study.kept_privacy_plans import privacy_plan
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan, plan_privacy
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.training import Training

TRAINING = Training(epochs=2, batch_size=32)


@pytest.fixture
def computed(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[DPSGD]:
    """The schemes whose plan was computed."""
    schemes: list[DPSGD] = []

    def compute(scheme: DPSGD, training: Training, n: float) -> PrivacyPlan:
        schemes.append(scheme)
        return plan_privacy(scheme, training, n)

    monkeypatch.setattr(kept_privacy_plans, "plan_privacy", compute)
    return schemes


@pytest.mark.parametrize("scheme", [DPSGD(noise_multiplier=1.3), DPSGD(noise_multiplier=0.0)])
def test_a_plan_is_computed_once_and_read_with_the_same_bits(
    computed: list[DPSGD], scheme: DPSGD
) -> None:
    first, again = (privacy_plan(scheme, TRAINING, n=300.5) for _ in range(2))
    assert first == again == plan_privacy(scheme, TRAINING, n=300.5)
    assert math.isinf(first.epsilon) == (scheme.noise_multiplier == 0)
    assert computed == [scheme]


def test_a_plan_for_anything_else_is_computed(
    computed: list[DPSGD], monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = DPSGD(noise_multiplier=1.3)
    plan = privacy_plan(scheme, TRAINING, n=300)
    others = [
        privacy_plan(DPSGD(noise_multiplier=1.4), TRAINING, n=300),
        privacy_plan(scheme, replace(TRAINING, epochs=3), n=300),
        privacy_plan(scheme, TRAINING, n=301),
    ]
    monkeypatch.setattr(kept_privacy_plans, "training_code_sha256", lambda: "another")
    privacy_plan(scheme, TRAINING, n=300)
    assert len(computed) == 5
    assert plan not in others


def test_a_damaged_plan_is_set_aside_and_computed_again(
    computed: list[DPSGD], own_cache: Path
) -> None:
    scheme = DPSGD(noise_multiplier=1.3)
    plan = privacy_plan(scheme, TRAINING, n=300)
    (file,) = (own_cache / "accountants").rglob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    assert privacy_plan(scheme, TRAINING, n=300) == plan
    assert len(computed) == 2
    assert list((own_cache / "accountants").rglob("*.damaged"))


def test_a_cache_that_is_full_keeps_no_plan_and_is_no_error(
    computed: list[DPSGD], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(kept_privacy_plans, "save_measurements", full)
    scheme = DPSGD(noise_multiplier=1.3)
    assert privacy_plan(scheme, TRAINING, n=300) == plan_privacy(scheme, TRAINING, n=300)
    assert not (own_cache / "accountants").exists()
