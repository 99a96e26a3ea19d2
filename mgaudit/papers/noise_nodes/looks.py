"""A colour and a mark for each phase, a line for each kind of noise."""

from mgaudit.reports.figures.palette import LOOKS

PHASE_LOOKS = {
    "decoupled": LOOKS["gaussian-mask"],
    "decay": LOOKS["dropout"],
    "catapult": LOOKS["weight-noise"],
    "divergence": LOOKS["dp-sgd"],
}
NOISE_LINES = {"fresh": "-", "fixed": "--"}
LOSSES = {"squared": LOOKS["gaussian-mask"], "cross-entropy": LOOKS["dp-sgd"]}
