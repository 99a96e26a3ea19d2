"""How a model is attacked and how an attack is measured. Numpy, scipy and scikit-learn, never torch."""

from attacks.attack import Attack, score_every_target
from attacks.bavaria import BaVarIA
from attacks.calibration import Calibration
from attacks.gradient import GradientNorm
from attacks.label_only import LabelOnly
from attacks.lira import LiRA
from attacks.observations import AdversaryView, Observations
from attacks.population import Population
from attacks.quantile import QuantileRegression
from attacks.reference import Reference
from attacks.rmia import RMIA
from attacks.shadow_classifier import ShadowClassifier
from attacks.threshold import ConfidenceThreshold, EntropyThreshold, LossThreshold, ModifiedEntropyThreshold

ATTACKS: dict[str, type[Attack]] = {
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
    "score_every_target",
]
