"""Colours and marks (matplotlib) of phases and losses, and the line style of each kind of noise.

Phases are those of `mgaudit.theory.noise_nodes`. Fresh noise is drawn anew in each epoch, and fixed
noise once for each example.
"""

from mgaudit.reports.figures.palette import LOOKS

PHASE_LOOKS = {
    "decoupled": LOOKS["gaussian-mask"],
    "decay": LOOKS["dropout"],
    "catapult": LOOKS["weight-noise"],
    "divergence": LOOKS["dp-sgd"],
}
NOISE_LINES = {"fresh": "-", "fixed": "--"}
LOSSES = {"squared": LOOKS["gaussian-mask"], "cross-entropy": LOOKS["dp-sgd"]}
