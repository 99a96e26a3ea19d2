"""Noise injection nodes as a probe of training (arXiv 2210.13599): its figures and claims."""

from mgaudit.papers.noise_nodes import (
    decay_time,
    linear_boundaries,
    linear_phases,
    node_vs_loss,
    relu_boundaries,
    relu_phases,
)
from mgaudit.papers.paper import Paper, PaperFigure

NETWORK = (
    "The paper's own network is a ReLU MLP of three hidden layers on Fashion-MNIST; its widths, rate and batch are not "
    "known to us. Ours has three hidden layers, the node at the first, torch's own initial weights and plain SGD at a "
    "constant rate. The curvature λ is the top eigenvalue of the Gauss-Newton part of the Hessian of the training loss "
    "with noise, by all weights, at the start; for the linear network it is σ²(‖w₂‖² + ‖w_ni‖²). σ is given over "
    "that at which ηλ = 2. "
)

PAPER = Paper(
    key="noise-nodes",
    title="Noise Injection as a Probe of Deep Learning Dynamics",
    source="Levi, Bloch, Freytsis and Volansky 2022, arXiv 2210.13599",
    about=(
        "A node that holds noise joins a layer through trainable weights. How these evolve depends on the noise's "
        "strength, in four phases that the paper derives in a two-layer linear network: decoupled, decay, catapult and "
        "divergence. Formulas are those of mgaudit.theory.noise_nodes, each tested against simulation."
    ),
    figures=(
        PaperFigure(
            key="linear-phases",
            title="Four phases of the linear network",
            about=(
                "f = w₂·(w₁x + w_ni e), loss (f − w*x)²/2, one σ for each phase, noise fresh each epoch or drawn once. "
                "Only lengths and angles of the three weight vectors matter: we begin at length 1, w₁ at a right angle "
                "to the others and w_ni nearly so to w₂, as long random vectors are. The paper's initial weights are "
                "not known to us. At another angle the loss need not grow in the catapult phase: with w_ni = w₂ it "
                "never does."
            ),
            quick=linear_phases.LinearPhases(),
            full=linear_phases.LinearPhases(runs=400),
            measure=linear_phases.measure,
            draw=linear_phases.draw,
            description=(
                "Medians over runs of the loss with noise, the noise-free loss, the node's weight w₂·w_ni in the "
                "output and the norm of w_ni, against the step, for each phase, with fresh and fixed noise."
            ),
            claims=linear_phases.CLAIMS,
        ),
        PaperFigure(
            key="linear-boundaries",
            title="Where the phases of the linear network meet",
            about=(
                "Bisection in σ at two rates and three batches for the onset of growth and of divergence. The batches "
                "that decide are large, so that the noise of a step is its expectation. "
                "The decoupled phase: at which σ the pull on the node is as large as its chance steps, after one step "
                "and after several, the residual staying as it is."
            ),
            quick=linear_boundaries.LinearBoundaries(),
            full=linear_boundaries.LinearBoundaries(
                etas=(0.001, 0.003, 0.01, 0.03), batches=(16, 64, 256, 4096, 65536), runs=50, escape_steps=2000
            ),
            measure=linear_boundaries.measure,
            draw=linear_boundaries.draw,
            description=(
                "Left: ηλ at which growth and divergence begin, against the batch, with lines at 2 and 4. Right: σ at "
                "which pull and walk are equal against the number of steps, with the rule of one step and its 1/√T."
            ),
            claims=linear_boundaries.CLAIMS,
        ),
        PaperFigure(
            key="decay-time",
            title="Decay times of the linear network",
            about=(
                "Straight lines through logarithms over two predicted decay times. For the node: w_ni along w₂, 1/20 "
                "as long as w₂, ησ²‖w₂‖² ≤ 0.1, noise 5 or 10 times the data. For the loss: near the target, σ = 3. "
                "Along other directions w_ni does not decay at all. The third panel lets w_ni be as long as w₂."
            ),
            quick=decay_time.DecayTime(),
            full=decay_time.DecayTime(runs=50),
            measure=decay_time.measure,
            draw=decay_time.draw,
            description=(
                "Measured against predicted decay times of the node's weights and of the noise-free loss, and the "
                "node's against the length of its weights."
            ),
            claims=decay_time.CLAIMS,
        ),
        PaperFigure(
            key="relu-phases",
            title="Four phases of a ReLU network",
            about=(
                NETWORK
                + "The quick σ of catapult and divergence lie between and beyond the onsets that relu-boundaries "
                "finds, not between ηλ = 2 and 4; on CIFAR-10 those onsets are so close that few σ are between. "
                "Decay and catapult have other σ for cross-entropy, whose curvature grows in training. Torch's "
                "first layer starts at 1/√(inputs + 1), so on larger images the node begins small and chance moves "
                "it more."
            ),
            quick=relu_phases.ReluPhases(),
            full=relu_phases.ReluPhases(
                dataset="cifar10",
                examples=1000,
                epochs=120,
                models=4,
                snapshots=20,
                squared=(("decoupled", 0.002), ("decay", 0.5), ("catapult", 1.3), ("divergence", 5.0)),
                cross_entropy=(("decoupled", 0.001), ("decay", 0.15), ("catapult", 1.0), ("divergence", 8.0)),
            ),
            measure=relu_phases.measure,
            draw=relu_phases.draw,
            description=(
                "Medians over models of the training loss with noise, the noise-free training loss and the norm of the "
                "node's weights, against the step, for each phase, loss and kind of noise."
            ),
            claims=relu_phases.CLAIMS,
        ),
        PaperFigure(
            key="relu-boundaries",
            title="Where the phases of a ReLU network meet",
            about=(
                NETWORK + "Each model by itself, by bisection in σ, over the first steps, of the whole data each. The "
                "claims ask whether the linear network's numbers carry over; that is our question, not one that we "
                "know the paper to answer in these units."
            ),
            quick=relu_boundaries.ReluBoundaries(),
            full=relu_boundaries.ReluBoundaries(dataset="cifar10", examples=1000, halvings=6),
            measure=relu_boundaries.measure,
            draw=relu_boundaries.draw,
            description="ηλ at which each model begins to grow and to diverge, beside the linear network's 2 and 4.",
            claims=relu_boundaries.CLAIMS,
        ),
        PaperFigure(
            key="node-vs-loss",
            title="The node's weights beside the loss",
            about=(
                NETWORK + "The paper shows the decay times of the node's weights and of the losses against σ; we give "
                "the steps at which they halve, and where they end. "
                "The claims take the σ at which they hold best, with an interval as wide as that choice asks for. "
                "Test accuracy is shown without a claim."
            ),
            quick=node_vs_loss.NodeVsLoss(),
            full=node_vs_loss.NodeVsLoss(
                dataset="cifar10", examples=1000, epochs=100, shares=(0.002, 0.05, 0.15, 0.35, 0.7, 1.4)
            ),
            measure=node_vs_loss.measure,
            draw=node_vs_loss.draw,
            description=(
                "The norm of the node's weights against train and test loss at the end of training; test accuracy, "
                "norm and halving times against σ."
            ),
            claims=node_vs_loss.CLAIMS,
        ),
    ),
)
