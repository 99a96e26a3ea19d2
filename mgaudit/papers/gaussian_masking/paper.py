"""The paper on Gaussian input masking: its figures and claims."""

from mgaudit.papers.gaussian_masking import (
    accuracy_by_kappa,
    attacks_by_kappa,
    bias_and_noise,
    correlated_masks,
    decomposition,
    depth,
    distributed,
    loss_trajectories,
    masked_neuron,
    open_questions,
    other_biases,
    privacy,
    proxy,
    radius_of_convergence,
    smoothed_activation,
    terms_in_training,
)
from mgaudit.papers.gaussian_masking.coverage import COVERAGE
from mgaudit.papers.paper import Paper

FIGURES = (
    proxy.FIGURE,
    smoothed_activation.FIGURE,
    masked_neuron.FIGURE,
    decomposition.FIGURE,
    terms_in_training.FIGURE,
    bias_and_noise.FIGURE,
    other_biases.FIGURE,
    radius_of_convergence.FIGURE,
    loss_trajectories.FIGURE,
    distributed.FIGURE,
    accuracy_by_kappa.FIGURE,
    attacks_by_kappa.FIGURE,
    open_questions.FIGURE,
    correlated_masks.FIGURE,
    depth.FIGURE,
    privacy.FIGURE,
)
PAPER = Paper(
    key="gaussian-masking",
    title="Convergence Analysis of Two-Layer Neural Networks under Gaussian Input Masking",
    source="arXiv 2602.17423",
    about=(
        "Kolomvaki, Liao, Dramko, Guang and Kyrillidis multiply each input entry by a fresh draw "
        "of N(1, κ²) at every step and show that a wide two-layer ReLU network then trains at a "
        "linear rate down to a floor that κ sets: the mask smooths the activation and adds a "
        "regulariser to the loss."
    ),
    figures=FIGURES,
    coverage=COVERAGE,
)
