"""How a model is attacked and how an attack is measured. Numpy and scipy only, never torch."""

from attacks.attack import Attack, score_every_target
from attacks.bavaria import BaVarIA
from attacks.calibration import Calibration
from attacks.lira import LiRA
from attacks.observations import AdversaryView, Observations
from attacks.rmia import RMIA
from attacks.threshold import ConfidenceThreshold, EntropyThreshold, LossThreshold, ModifiedEntropyThreshold

ATTACKS: dict[str, type[Attack]] = {
    "lira": LiRA,
    "rmia": RMIA,
    "bavaria": BaVarIA,
    "calibration": Calibration,
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
    "score_every_target",
]
