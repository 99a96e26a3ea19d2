"""The ceilings of an arm with DP-SGD, from its plan to the record of its result."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from mgaudit.attacks.metrics import FPR_LEVELS, tpr_name
from mgaudit.reports.ceiling import Ceiling
from mgaudit.study.attack import ROC_GRID
from mgaudit.study.ceiling import ceiling
from mgaudit.targets.fitting.accountants import Mechanism
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.fitting.trade_off import trade_off

PLAN = PrivacyPlan(
    noise_multiplier=2.0,
    max_grad_norm=1.0,
    sample_rate=1.0,
    steps=16,
    batch_size=64,
    delta=1e-3,
    epsilon=math.inf,
)
MU = 2.0  # √16 / 2.0


def ceiling_of(plan: PrivacyPlan) -> Ceiling:
    record = ceiling(plan)
    assert record is not None
    return record


def test_the_record_has_the_curve_and_the_metrics_of_the_gaussian_mechanism() -> None:
    record = ceiling_of(PLAN)
    assert record.accountant == "PLD"
    assert record.fpr == ROC_GRID.tolist()
    excess = np.array(record.tpr) - norm.cdf(norm.ppf(ROC_GRID) + MU)
    assert excess.min() >= 0
    assert excess.max() < 1e-3
    expected = {
        "auc": norm.cdf(MU / math.sqrt(2)),
        "advantage": 2 * norm.cdf(MU / 2) - 1,
        "balanced_accuracy": norm.cdf(MU / 2),
    }
    levels = [level for level in FPR_LEVELS if level > 0]
    expected |= {tpr_name(level): norm.cdf(norm.ppf(level) + MU) for level in levels}
    assert record.metrics.keys() == expected.keys()
    for name, value in expected.items():
        assert 0 <= record.metrics[name] - value < 1e-3, name


def test_the_claim_of_the_plan_lowers_the_ceiling() -> None:
    claimed = ceiling_of(replace(PLAN, epsilon=0.5))
    assert claimed.metrics["tpr@0.1"] == pytest.approx(0.1 * math.exp(0.5) + 1e-3, abs=1e-5)
    assert claimed.metrics["tpr@0.1"] < ceiling_of(PLAN).metrics["tpr@0.1"]


def test_ceilings_are_rounded_up_to_six_decimals() -> None:
    record = ceiling_of(PLAN)
    curve = trade_off(Mechanism(2.0, 1.0, 16))
    assert curve is not None
    excess = np.array(record.tpr) - curve.tpr(ROC_GRID)
    assert excess.min() > -1e-10
    assert excess.max() < 1e-6
    assert record.tpr == [round(rate, 6) for rate in record.tpr]


def test_without_noise_there_is_no_ceiling() -> None:
    assert ceiling(replace(PLAN, noise_multiplier=0.0)) is None
