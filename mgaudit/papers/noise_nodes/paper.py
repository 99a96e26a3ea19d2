"""Noise injection nodes as a probe of training (arXiv 2210.13599): its figures and claims."""

from mgaudit.papers.noise_nodes import (
    decay_time,
    linear_boundaries,
    linear_phases,
    node_vs_loss,
    privacy,
    relu_boundaries,
    relu_phases,
)
from mgaudit.papers.paper import Paper

PAPER = Paper(
    key="noise-nodes",
    title="Noise Injection as a Probe of Deep Learning Dynamics",
    source="Levi, Bloch, Freytsis and Volansky 2022, arXiv 2210.13599",
    about=(
        "A node that holds noise joins a layer through trainable weights. How these evolve "
        "depends on the noise's strength, in four phases that the paper derives in a two-layer "
        "linear network: decoupled, decay, catapult and divergence. Formulas are those of "
        "mgaudit.theory.noise_nodes, each tested against simulation."
    ),
    figures=(
        linear_phases.FIGURE,
        linear_boundaries.FIGURE,
        decay_time.FIGURE,
        relu_phases.FIGURE,
        relu_boundaries.FIGURE,
        node_vs_loss.FIGURE,
        privacy.FIGURE,
    ),
)
