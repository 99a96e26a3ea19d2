"""Noise injection nodes as a probe of training (arXiv 2210.13599): its figures and claims."""

from mgaudit.papers.noise_nodes import (
    bounded_activations,
    curvature_and_loss,
    decay_time,
    linear_boundaries,
    linear_phases,
    local_traces,
    node_vs_loss,
    noise_products,
    one_hidden_layer,
    privacy,
    relu_boundaries,
    relu_phases,
    several_nodes,
)
from mgaudit.papers.paper import Coverage, Paper

OTHER_NETWORK = (
    "widths, learning rate and initial weights are missing from the text that we have, and the "
    "data are digits or CIFAR-10 images instead of Fashion-MNIST, unless it is downloaded"
)
COVERAGE = (
    Coverage(
        "Fig. 1 (left)",
        "drawing of a network with a noise node",
        "not",
        why="a drawing without data",
    ),
    Coverage(
        "Fig. 1 (centre, right)",
        "node's weights and loss of a ReLU network of three hidden layers, with noise drawn anew "
        "in each epoch and drawn once",
        "partly",
        ("curvature-and-loss", "relu-phases", "node-vs-loss"),
        why=OTHER_NETWORK,
    ),
    Coverage(
        "Section 2, equations 1 to 3",
        "expansion of the loss in the noise; local gradient and Hessian in the steps of the node",
        "partly",
        ("local-traces", "curvature-and-loss"),
        why="the formulas are missing from the text that we have; ours are derived from its words, "
        "and the sizes of terms beyond the second order are not estimated",
    ),
    Coverage(
        "Section 3, equations 4 to 7",
        "linear network: coupled equations and four phases with their boundaries",
        "reproduced",
        ("linear-phases", "linear-boundaries"),
    ),
    Coverage(
        "Fig. 2 (top)",
        "trajectories of the linear network in its phases",
        "partly",
        ("linear-phases",),
        why="initial weights, learning rate and strengths of the noise are missing from the text "
        "that we have",
    ),
    Coverage(
        "Fig. 2 (bottom)",
        "phases of a ReLU network with one hidden layer, squared loss, batches of 1,000",
        "partly",
        ("one-hidden-layer",),
        why=OTHER_NETWORK,
    ),
    Coverage(
        "Footnote 10",
        "bounded activations: no divergence, but saturated neurons and failure to learn",
        "partly",
        ("bounded-activations",),
        why="the paper does not name its networks; ours have one hidden layer",
    ),
    Coverage(
        "Section 4, equation 8",
        "the loss falls by the learning rate times its squared gradient; in the linear network, "
        "by the trace of its Hessian",
        "reproduced",
        ("curvature-and-loss",),
    ),
    Coverage(
        "Section 4, equations 9 and 10",
        "decay times of the node's weights and of the loss in the linear network",
        "reproduced",
        ("decay-time",),
    ),
    Coverage(
        "Section 4, outlook",
        "several nodes, and nodes in other layers, as probes of the Hessian",
        "partly",
        ("several-nodes", "curvature-and-loss", "local-traces"),
        why="the paper gives no construction; several nodes are trained in the linear network only",
    ),
    Coverage(
        "Fig. 3",
        "phases of a ReLU network with one hidden layer, cross-entropy, batches of 1,000",
        "partly",
        ("one-hidden-layer",),
        why=OTHER_NETWORK,
    ),
    Coverage(
        "Theorem 1 (appendix C)",
        "mean and variance of batch averages of odd and even powers of the noise",
        "reproduced",
        ("noise-products",),
    ),
    Coverage(
        "Appendix D",
        "derivation of the decay times in the linear network",
        "reproduced",
        ("decay-time",),
    ),
)

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
        several_nodes.FIGURE,
        noise_products.FIGURE,
        relu_phases.FIGURE,
        relu_boundaries.FIGURE,
        one_hidden_layer.FIGURE,
        node_vs_loss.FIGURE,
        curvature_and_loss.FIGURE,
        bounded_activations.FIGURE,
        local_traces.FIGURE,
        privacy.FIGURE,
    ),
    coverage=COVERAGE,
)
