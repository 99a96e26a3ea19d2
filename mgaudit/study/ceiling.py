"""The ceilings on attacks that follow from the accounting of DP-SGD."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.metrics import FPR_LEVELS, tpr_name
from mgaudit.reports.ceiling import Ceiling
from mgaudit.study.attack import ROC_GRID
from mgaudit.targets.fitting.accountants import Mechanism
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan
from mgaudit.targets.fitting.trade_off import trade_off

DECIMALS = 1e6  # ceilings are rounded up to a multiple of its inverse


def ceiling(plan: PrivacyPlan) -> Ceiling | None:
    """Returns the ceilings on attacks on models that are trained by the plan; None without noise.

    The TPR at an FPR of 0 is left out: an attack that accepts none of the non-members at hand has
    an unknown FPR above 0.
    """
    mechanism = Mechanism(plan.noise_multiplier, plan.sample_rate, plan.steps)
    curve = trade_off(mechanism, (plan.epsilon, plan.delta))
    if curve is None:
        return None
    levels = [level for level in FPR_LEVELS if level > 0]
    at_levels = _rounded_up(curve.tpr(np.array(levels)))
    auc, advantage, accuracy = _rounded_up(
        np.array([curve.auc, curve.advantage, (1 + curve.advantage) / 2])
    )
    metrics = {"auc": auc, "advantage": advantage, "balanced_accuracy": accuracy}
    metrics |= {tpr_name(level): tpr for level, tpr in zip(levels, at_levels, strict=True)}
    return Ceiling(
        accountant=curve.accountant,
        fpr=ROC_GRID.tolist(),
        tpr=_rounded_up(curve.tpr(ROC_GRID)),
        metrics=metrics,
    )


def _rounded_up(rates: NDArray[np.float64]) -> list[float]:
    """Returns rates in [0, 1], rounded up to six decimals, or by less where they are near them.

    Sums of other order differ by less than that, so that they give the same ceilings.

    >>> _rounded_up(np.array([0.12345601, 0.5, 1.0]))
    [0.123457, 0.5, 1.0]
    """
    rounded = np.ceil(rates * DECIMALS - 1e-5) / DECIMALS
    return [float(rate) for rate in rounded.clip(0.0, 1.0)]
