import math

import numpy as np
import pytest
from scipy.stats import norm

from mgaudit.attacks import LiRA, score_every_target
from mgaudit.attacks.roc import roc
from mgaudit.attacks.signals import logit_confidence
from tests import oracles


def mean_auc(attack: LiRA, observations) -> float:  # type: ignore[no-untyped-def]
    scores = score_every_target(attack, observations)
    return float(
        np.mean([roc(*pair).auc() for pair in zip(scores, observations.membership, strict=True)])
    )


@pytest.mark.parametrize("variance", ["pooled", "shrunk", "per-example"])
@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("models", [4, 70])
def test_scores_equal_the_slow_oracles(models: int, online: bool, variance: str) -> None:
    # 4 models leave some examples without an IN or an OUT shadow; 70 give most of them 32 of each.
    examples = 60 if models == 4 else 12
    observations = oracles.planted(models, examples, 1.0, np.random.default_rng(models), queries=2)
    phi = np.stack([logit_confidence(z, observations.labels) for z in observations.logits])
    attack = LiRA(online=online, variance=variance)  # type: ignore[arg-type]
    for target in range(0, models, 23):
        expected = oracles.lira(phi, observations.membership, target, online, variance)
        assert np.allclose(attack.score(observations.view(target)), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("shift", [0.5, 1.5])
def test_online_reaches_the_power_that_theory_allows(shift: float) -> None:
    observations = oracles.planted(64, 2000, shift, np.random.default_rng(0))
    assert mean_auc(LiRA(), observations) == pytest.approx(norm.cdf(shift / math.sqrt(2)), abs=0.01)


def test_averaging_over_queries_gains_what_theory_allows() -> None:
    observations = oracles.planted(64, 1000, 1.0, np.random.default_rng(1), queries=4)
    assert mean_auc(LiRA(), observations) == pytest.approx(
        norm.cdf(1.0 * 2 / math.sqrt(2)), abs=0.01
    )


def test_offline_is_one_sided() -> None:
    # Members are shifted up only. An unusually low phi is no sign of membership, and must not score
    # as one.
    generator = np.random.default_rng(2)
    membership = generator.random((20, 500)) < 0.5
    phi = generator.standard_normal((20, 500)) + membership
    phi[0, :10] = -50.0
    scores = LiRA(online=False).score(oracles.observations_of(phi, membership).view(0))
    assert scores[:10].max() < scores[10:].min()


def test_pooled_takes_the_spread_within_examples_not_between_them() -> None:
    # The difficulty of an example has sd 3; a total sd would put it into the denominator.
    observations = oracles.planted(32, 500, 1.0, np.random.default_rng(3))
    scores = score_every_target(LiRA(online=False), observations)
    assert scores[~observations.membership].std() == pytest.approx(1.0, abs=0.1)


def test_models_that_answer_all_alike_are_scored_all_alike() -> None:
    membership = np.random.default_rng(4).random((5, 20)) < 0.5
    scores = score_every_target(LiRA(), oracles.observations_of(np.zeros((5, 20)), membership))
    assert np.isfinite(scores).all()
    assert (scores == scores[0, 0]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"variance": "total"},
            "variance must be 'pooled', 'shrunk' or 'per-example', got 'total'",
        ),
        ({"prior_shadows": 0.0}, "prior_shadows must be a finite number > 0, got 0.0"),
        ({"prior_shadows": math.inf}, "prior_shadows must be a finite number > 0, got inf"),
        ({"min_std": math.nan}, "min_std must be a finite number > 0, got nan"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LiRA(**options)  # type: ignore[arg-type]
