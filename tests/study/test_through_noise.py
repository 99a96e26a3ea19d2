"""Queries through the noise: on the arm, and with the same queries on the plain arm."""

from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from mgaudit.analysis.limits import FEWEST_MODELS
from mgaudit.attacks import Observations, Stacked, score_every_target
from mgaudit.attacks.roc import roc
from mgaudit.errors import UsageError
from mgaudit.reports.comparison_tables import through_noise_section, through_noise_table
from mgaudit.reports.method import method
from mgaudit.settings.study_settings import study_settings
from mgaudit.study.plan import plan_study
from mgaudit.study.progress import Progress
from mgaudit.study.query import ArmOutputs
from mgaudit.study.study import run_study
from mgaudit.study.train import train_arm
from mgaudit.targets.querying.queries import NoiseDraws, Queries
from mgaudit.targets.schemes import Scheme

MASK = "gaussian-mask:kappa=0.8"


def planned(small: dict[str, Any], **changes: Any) -> Any:
    values = {**small, "models": 6, "schemes": ["none", MASK], "attacks": ["stacked"], **changes}
    return plan_study(study_settings(values))


def test_both_arms_are_attacked_with_the_same_two_queries(small: dict[str, Any]) -> None:
    plan = planned(small)
    study, _ = run_study(plan, 1, Progress())
    assert study.arms[0].noise_queries is None
    queries = study.arms[1].noise_queries
    assert queries is not None
    assert (queries.attack, queries.draws) == ("stacked", 4)
    assert queries.targets == queries.plain_targets == list(range(6))

    draws = plan.arms[1].through
    assert isinstance(draws, NoiseDraws)
    aucs = {}
    for name, arm in zip(("plain", "through"), plan.arms, strict=True):
        outputs = ArmOutputs(train_arm(arm, plan.design, 1, Progress()), plan.design)
        direct = outputs.logits(Queries())
        noisy = outputs.logits(draws)  # every draw on its own
        both = {
            split: np.concatenate([direct[split], noisy[split].mean(axis=2, keepdims=True)], axis=2)
            for split in direct
        }
        dataset, membership = plan.design.dataset, plan.design.membership
        observations = Observations(
            both["pool"], dataset.labels, membership, both["test"], dataset.test_labels
        )
        scores = score_every_target(Stacked(contrasts=True), observations)
        pairs = zip(scores, membership, strict=True)
        aucs[name] = np.mean([roc(*pair).auc() for pair in pairs])

    auc = next(record for record in study.analysis.through_noise if record.metric == "auc")
    assert auc.direct.value == pytest.approx(study.arms[1].attacks[0].metrics["auc"].value)
    # The mean logits differ by rounding to float32.
    assert auc.through.value == pytest.approx(aucs["through"], abs=2e-4)
    assert auc.plain is not None
    assert auc.difference is not None
    assert auc.plain.value == pytest.approx(aucs["plain"], abs=2e-4)
    assert auc.difference.value == pytest.approx(auc.through.value - auc.plain.value)
    assert auc.gain.value == pytest.approx(auc.through.value - auc.direct.value)
    section = through_noise_section(study, {})
    assert section is not None
    assert "same two queries" in through_noise_table(study).notes[0]
    assert "mean of the logits over 4 draws of this noise" in " ".join(method(study))


def test_only_noise_on_inputs_and_plain_queries_of_built_in_attacks(small: dict[str, Any]) -> None:
    def draws(**changes: Any) -> list[int | None]:
        plan = planned(small, **changes)
        return [None if arm.through is None else arm.through.count for arm in plan.arms]

    assert draws() == [None, 4]
    assert draws(queries="plain:noise_draws=2") == [None, 2]
    assert draws(queries="plain:noise_draws=0") == [None, None]
    assert draws(queries="mask:2") == [None, None]
    with_dp = f"{MASK} + dp-sgd:noise_multiplier=1"
    schemes = ["none", "weight-noise:sigma=0.01", "dp-sgd:noise_multiplier=1", with_dp]
    assert draws(schemes=schemes) == [None, None, None, 4]
    # Attacks that average over queries are weaker with a second one; so is stacked with 3 shadows.
    for first in ("gradient-norm", "rmia", "loss"):
        assert draws(attacks=[first, "stacked"]) == [None, None]
    assert draws(models=4) == [None, None]
    assert draws(models=5) == [None, 4]
    for number in (-1, 1001):
        with pytest.raises(ValueError, match=r"noise_draws must be >= 0 and <= 1000"):
            draws(queries=f"plain:noise_draws={number}")


class SmallBatches(Scheme):
    """Noise that can only be drawn for a batch of training, or is not finite for more examples."""

    fails: ClassVar[bool] = True

    def inputs(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        noisy = x + torch.randn(x.shape, generator=generator)
        if len(x) <= 150:
            return noisy
        if self.fails:
            raise RuntimeError("too large")
        return noisy / 0


def test_an_own_scheme_is_queried_through_before_anything_is_trained(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    schemes = ["none", SmallBatches()]
    for fails in (True, False):
        monkeypatch.setattr(SmallBatches, "fails", fails)
        with pytest.raises(UsageError, match=r"SmallBatches.*noise_draws=0") as refused:
            planned(small, schemes=schemes)
        assert ("too large" in str(refused.value)) == fails
    assert planned(small, schemes=schemes, queries="plain:noise_draws=0").arms[1].through is None


def test_without_a_plain_arm_there_is_no_difference(small: dict[str, Any]) -> None:
    study, _ = run_study(planned(small, schemes=[MASK]), 1, Progress())
    auc = study.analysis.through_noise[0]
    assert (auc.metric, auc.plain, auc.difference) == ("auc", None, None)
    assert auc.gain.value == pytest.approx(auc.through.value - auc.direct.value)
    (note,) = through_noise_table(study).notes
    assert "same two queries" not in note


def test_the_plain_query_can_be_the_only_one(small: dict[str, Any]) -> None:
    with_noise, _ = run_study(planned(small), 1, Progress())
    without, arrays = run_study(planned(small, queries="plain:noise_draws=0"), 1, Progress())
    assert without.analysis.through_noise == []
    assert through_noise_section(without, {}) is None
    assert without.arms[1].attacks == with_noise.arms[1].attacks
    assert not [name for name in arrays if "through" in name]
    assert len(without.arms[1].attacks[0].targets) >= FEWEST_MODELS
