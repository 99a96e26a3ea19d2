"""How a model is attacked and how an attack is measured. Numpy and scipy only, never torch."""

from attacks.attack import Attack, score_every_target
from attacks.lira import LiRA
from attacks.observations import AdversaryView, Observations
from attacks.threshold import LossThreshold

ATTACKS: dict[str, type[Attack]] = {
    "lira": LiRA,
    "loss": LossThreshold,
}

__all__ = ["ATTACKS", "AdversaryView", "Attack", "LiRA", "LossThreshold", "Observations", "score_every_target"]
