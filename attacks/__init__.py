"""How a model is attacked and how an attack is measured. Numpy and scipy only, never torch."""

from attacks.attack import Attack, score_every_target
from attacks.bavaria import BaVarIA
from attacks.calibration import Calibration
from attacks.lira import LiRA
from attacks.observations import AdversaryView, Observations
from attacks.population import Population
from attacks.reference import Reference
from attacks.rmia import RMIA
from attacks.threshold import ConfidenceThreshold, EntropyThreshold, LossThreshold, ModifiedEntropyThreshold

ATTACKS: dict[str, type[Attack]] = {
    "lira": LiRA,
    "rmia": RMIA,
    "bavaria": BaVarIA,
    "reference": Reference,
    "calibration": Calibration,
    "population": Population,
    "loss": LossThreshold,
    "confidence": ConfidenceThreshold,
    "entropy": EntropyThreshold,
    "modified-entropy": ModifiedEntropyThreshold,
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
    "LiRA",
    "LossThreshold",
    "ModifiedEntropyThreshold",
    "Observations",
    "Population",
    "Reference",
    "score_every_target",
]
