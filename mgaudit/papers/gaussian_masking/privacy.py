"""Privacy beside the paper: the strongest attack under Gaussian masks at matched accuracy."""

from mgaudit.papers.gaussian_masking.masks import mask
from mgaudit.papers.privacy import Noise, PrivacyAudit
from mgaudit.papers.privacy_figure import privacy_figure

MASK = Noise("mask", "a mask", "gaussian-mask", "κ", "#0072B2", "s")
ABOUT = (
    "The paper compares attacks at equal κ, not at equal accuracy, and not with training that is "
    "proved to be private."
)
QUICK = PrivacyAudit(
    "digits",
    None,
    schemes=tuple(mask(kappa) for kappa in (1.0, 1.5, 2.0)),
    stops=(8, 3),
    attacks=("rmia", "lira"),
    models=8,
    trials=0,
)
FULL = PrivacyAudit(
    "cifar10",
    5_000,
    schemes=tuple(mask(kappa) for kappa in (1.0, 2.0, 2.1)),
    stops=(8, 3, 1),
    attacks=("stacked", "rmia", "lira"),
    models=12,
    trials=16,
)
FIGURE = privacy_figure((MASK,), ABOUT, QUICK, FULL)
