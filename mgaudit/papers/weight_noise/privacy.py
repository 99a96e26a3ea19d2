"""Privacy beside the paper: the strongest attack under weight noise at matched accuracy."""

from functools import partial

from mgaudit.papers.claim import Claim
from mgaudit.papers.privacy import Noise, PrivacyAudit, gentler
from mgaudit.papers.privacy_figure import privacy_figure

ALL = Noise("all-layers", "noise on all layers", "weight-noise", "σ", "#E69F00", "P")
LAYERWISE = Noise(
    "layerwise",
    "layer-wise noise",
    "weight-noise:layerwise=true",
    "σ",
    "#009E73",
    "^",
    after_looking=True,
)
NOISES = (ALL, LAYERWISE)
ABOUT = (
    "The paper does not ask about privacy. Every weight matrix and every bias is a layer here: all "
    "of M get noise of standard deviation σ/√M at each step, or one of them in turn gets noise of "
    "standard deviation σ (layer-wise noise)."
)
QUICK = PrivacyAudit(
    "digits",
    None,
    schemes=(
        *(f"weight-noise:sigma={sigma}" for sigma in (0.3, 0.4)),
        *(f"weight-noise:sigma={sigma},layerwise=true" for sigma in (0.4, 0.65)),
    ),
    stops=(8, 3),
    attacks=("rmia", "lira"),
    models=8,
    trials=0,
)
FULL = PrivacyAudit(
    "cifar10",
    5_000,
    schemes=(
        *(f"weight-noise:sigma={sigma}" for sigma in (0.05, 0.1, 0.13)),
        *(f"weight-noise:sigma={sigma},layerwise=true" for sigma in (0.05, 0.1, 0.15)),
    ),
    stops=(8, 3, 1),
    attacks=("stacked", "rmia", "lira"),
    models=12,
    trials=16,
)
CLAIMS = (
    Claim(
        "privacy-layerwise-and-all",
        "At the accuracy of the strongest noise on all layers, the AUC of the strongest attack is "
        "not higher under layer-wise noise.",
        "open question",
        partial(gentler, LAYERWISE, ALL),
        LAYERWISE.after_looking,
    ),
)
FIGURE = privacy_figure(NOISES, ABOUT, QUICK, FULL, CLAIMS)
