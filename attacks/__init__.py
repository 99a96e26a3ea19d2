"""Membership inference attacks and their measurement, with numpy, scipy and scikit-learn only."""

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack, score_every_target
from mgaudit.attacks.bavaria import BaVarIA
from mgaudit.attacks.calibration import Calibration
from mgaudit.attacks.gradient import GradientNorm
from mgaudit.attacks.label_only import LabelOnly
from mgaudit.attacks.lira import LiRA
from mgaudit.attacks.observations import Observations
from mgaudit.attacks.population import Population
from mgaudit.attacks.quantile import QuantileRegression
from mgaudit.attacks.reference import Reference
from mgaudit.attacks.rmia import RMIA
from mgaudit.attacks.shadow_classifier import ShadowClassifier
from mgaudit.attacks.stacked import Stacked
from mgaudit.attacks.threshold import (
    ConfidenceThreshold,
    EntropyThreshold,
    LossThreshold,
    ModifiedEntropyThreshold,
)

ATTACKS: dict[str, type[Attack]] = {
    "stacked": Stacked,
    "lira": LiRA,
    "rmia": RMIA,
    "bavaria": BaVarIA,
    "reference": Reference,
    "calibration": Calibration,
    "shadow-classifier": ShadowClassifier,
    "population": Population,
    "quantile": QuantileRegression,
    "loss": LossThreshold,
    "confidence": ConfidenceThreshold,
    "entropy": EntropyThreshold,
    "modified-entropy": ModifiedEntropyThreshold,
    "label-only": LabelOnly,
    "gradient-norm": GradientNorm,
}

__all__ = [
    "ATTACKS",
    "RMIA",
    "AdversaryView",
    "Attack",
    "BaVarIA",
    "Calibration",
    "ConfidenceThreshold",
    "EntropyThreshold",
    "GradientNorm",
    "LabelOnly",
    "LiRA",
    "LossThreshold",
    "ModifiedEntropyThreshold",
    "Observations",
    "Population",
    "QuantileRegression",
    "Reference",
    "ShadowClassifier",
    "Stacked",
    "score_every_target",
]
