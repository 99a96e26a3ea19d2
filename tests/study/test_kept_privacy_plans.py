"""Privacy plans that are kept in the cache."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from mgaudit.errors import UsageError
from mgaudit.study import kept_privacy_plans
from mgaudit.study.kept_privacy_plans import plan_without_accountants, privacy_plan
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


@pytest.fixture
def without_accountants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails where an accountant is asked about steps with noise."""

    def asked(*_: float) -> None:
        raise AssertionError("an accountant was asked")

    monkeypatch.setattr("mgaudit.targets.fitting.accountants.pld_epsilon", asked)


@pytest.mark.usefixtures("without_accountants")
@pytest.mark.parametrize(
    "scheme",
    [
        DPSGD(epsilon=0.5),
        DPSGD(epsilon=8, views=1, averaging=0.9, max_grad_norm=2.5),
        DPSGD(noise_multiplier=1.3, delta=1e-6),
        DPSGD(noise_multiplier=0.0),
    ],
)
def test_a_plan_without_accountants_has_the_steps_of_the_plan(
    own_cache: Path, scheme: DPSGD
) -> None:
    rough = plan_without_accountants(scheme, TRAINING, n=300)
    # The steps do not depend on the noise, so that none is the fastest to compute.
    exact = plan_privacy(replace(scheme, epsilon=None, noise_multiplier=0.0), TRAINING, n=300)
    unknown = {"noise_multiplier": 0.0, "epsilon": 0.0, "accountant": ""}
    unknown |= {"epsilon_prv": None, "epsilon_pld": None}
    assert replace(rough, **unknown) == replace(exact, **unknown)
    assert rough.noise_multiplier == (
        1 if scheme.noise_multiplier is None else scheme.noise_multiplier
    )
    assert (rough.accountant == "") == (scheme.noise_multiplier != 0)
    assert not (own_cache / "accountants").exists()


def test_a_plan_without_accountants_is_the_kept_one_where_there_is_one(own_cache: Path) -> None:
    scheme = DPSGD(noise_multiplier=1.3)
    assert plan_without_accountants(scheme, TRAINING, n=300).accountant == ""
    exact = privacy_plan(scheme, TRAINING, n=300)
    assert plan_without_accountants(scheme, TRAINING, n=300) == exact


@pytest.mark.parametrize(
    ("scheme", "line"),
    [
        (DPSGD(epsilon=1, delta=0.1), "delta must be < 1/n"),
        (
            DPSGD(epsilon=1e-6, delta=1e-12),
            "epsilon must be > ",
        ),  # for which the accountants are asked
    ],
)
def test_a_plan_without_accountants_refuses_what_the_plan_does(
    own_cache: Path, scheme: DPSGD, line: str
) -> None:
    for planned in (privacy_plan, plan_without_accountants):
        with pytest.raises(UsageError, match=line):
            planned(scheme, TRAINING, 300)
