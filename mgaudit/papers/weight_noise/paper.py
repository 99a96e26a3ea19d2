"""Orvieto, Raj, Kersting and Bach 2023: noise on the weights as an explicit regulariser."""

from mgaudit.papers.paper import Paper
from mgaudit.papers.weight_noise import lasso, nuclear, privacy, sigma_sweep, training, width

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
        width.FIGURE,
        training.FIGURE,
        lasso.FIGURE,
        nuclear.FIGURE,
        sigma_sweep.FIGURE,
        privacy.FIGURE,
    ),
)
