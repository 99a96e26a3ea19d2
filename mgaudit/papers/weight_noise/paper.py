"""Orvieto, Raj, Kersting and Bach 2023: noise on the weights as an explicit regulariser."""

from mgaudit.papers.paper import Coverage, Paper
from mgaudit.papers.weight_noise import (
    cnns,
    depth,
    fig3,
    fig6,
    lasso,
    mlps,
    nuclear,
    piecewise,
    privacy,
    sigma_sweep,
    theorem1,
    theorem2,
    training,
    width,
)

ON_CPUS = (
    "the settings of the text are for a GPU, on which they have not been run; on CPUs smaller "
    "networks, fewer images and fewer steps; "
)
COVERAGE = (
    Coverage(
        "Theorem 1",
        "orders in σ of the loss under noise and of the rest of its expansion",
        "reproduced",
        ("theorem1",),
    ),
    Coverage(
        "Theorem 2",
        "distances of the outputs at the minimisers",
        "partly",
        ("theorem2",),
        "two networks; the minima of the linear network are local ones",
    ),
    Coverage(
        "Section 2.2, Appendix B",
        "direction to which weights diverge in separable logistic regression",
        "not",
        (),
        "the paper states it as a conjecture, without an experiment",
    ),
    Coverage(
        "Section 2.3, Appendix C.1", "diagonal networks and the Lasso", "reproduced", ("lasso",)
    ),
    Coverage(
        "Section 2.4, Appendix C.2",
        "two linear layers and the nuclear norm",
        "reproduced",
        ("nuclear",),
    ),
    Coverage(
        "Section 2.5",
        "products of a matrix with its transpose, higher-order polynomials",
        "not",
        (),
        "the paper names these models without a result",
    ),
    Coverage(
        "Fig. 1",
        "loss against the width of a linear network, both kinds of noise",
        "reproduced",
        ("width",),
    ),
    Coverage(
        "Section 3.3, Appendix D.1 and D.2",
        "one hidden ReLU layer, both kinds of noise",
        "reproduced",
        ("width", "piecewise"),
    ),
    Coverage(
        "Section 4, Appendix E",
        "deep networks, both kinds of noise",
        "partly",
        ("depth",),
        "linear networks; the paper's ReLU network with positive weights has the same terms",
    ),
    Coverage(
        "Fig. 2",
        "loss with the regulariser along training, 50 and 300 hidden units",
        "partly",
        ("training",),
        "images in place of 40 sparse examples in 10 dimensions, another learning rate",
    ),
    Coverage(
        "Fig. 3",
        "test accuracy of a wide MLP for several σ",
        "partly",
        ("fig3",),
        ON_CPUS + "the values of σ and the number of steps are ours",
    ),
    Coverage(
        "Fig. 4",
        "deep MLPs, narrow and wide",
        "partly",
        ("fig7-10",),
        ON_CPUS + "the σ of Fig. 9, where that of Fig. 4 differs",
    ),
    Coverage(
        "Fig. 5",
        "toy CNN and wide CNN",
        "partly",
        ("fig11-12",),
        ON_CPUS + "the σ of Fig. 11 and 12, a tenth of which the caption states; no augmentation",
    ),
    Coverage(
        "Fig. 6",
        "ResNet-18 with BatchNorm against σ",
        "partly",
        ("fig6",),
        ON_CPUS + "the values of σ are ours, but for 0.1",
    ),
    Coverage(
        "Appendix A.3",
        "expansion and theorems for functions that are smooth only piecewise",
        "partly",
        ("piecewise",),
        "the expansion and Theorem 1 for a ReLU network, not Theorem 2",
    ),
    Coverage("Appendix C.3", "grouped products and the group Lasso", "reproduced", ("nuclear",)),
    Coverage(
        "Appendix D.3",
        "the penalty of infinitely many ReLU units as a norm of functions",
        "not",
        (),
        "it is a derivation; the second order that it starts from is tested in width",
    ),
    *(
        Coverage(
            f"Fig. {number}",
            f"{words} MLP, full batches",
            "partly",
            ("fig7-10",),
            ON_CPUS + "the number of steps is ours",
        )
        for number, words in (
            (7, "shallow narrow"),
            (8, "shallow wide"),
            (9, "deep narrow"),
            (10, "deep wide"),
        )
    ),
    *(
        Coverage(
            f"Fig. {number}",
            f"{words} CNN along training",
            "partly",
            ("fig11-12",),
            ON_CPUS + "the number of epochs is ours; no augmentation",
        )
        for number, words in ((11, "toy"), (12, "wide"))
    ),
)
PAPER = Paper(
    key="weight-noise",
    title="Explicit Regularization in Overparametrized Models via Noise Injection",
    source="arXiv 2206.04613",
    about=(
        "Orvieto, Raj, Kersting and Bach 2023. Gradients taken at weights with Gaussian noise "
        "minimise, on average, the loss and an explicit regulariser: the ℓ₁ norm in diagonal "
        "networks, the nuclear norm in linear ones. With noise on all layers at once a further "
        "term grows with the width; with noise on one layer at a time there is none. All expected "
        "losses are exact here, not only of second order in σ."
    ),
    figures=(
        theorem1.FIGURE,
        theorem2.FIGURE,
        piecewise.FIGURE,
        lasso.FIGURE,
        nuclear.FIGURE,
        width.FIGURE,
        depth.FIGURE,
        training.FIGURE,
        fig3.FIGURE,
        mlps.FIGURE,
        cnns.FIGURE,
        fig6.FIGURE,
        sigma_sweep.FIGURE,
        privacy.FIGURE,
    ),
    coverage=COVERAGE,
)
