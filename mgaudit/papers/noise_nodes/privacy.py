"""Privacy beside the paper: the strongest attack under a noise node at matched accuracy."""

from mgaudit.papers.privacy import Noise, PrivacyAudit
from mgaudit.papers.privacy_figure import privacy_figure

NODE = Noise("node", "a noise node", "noise-nodes", "σ", "#CC79A7", "X", after_looking=True)
ABOUT = (
    "The paper does not ask about privacy. The node is in the first layer, and its noise is fresh "
    "in each epoch."
)
QUICK = PrivacyAudit(
    "digits",
    None,
    schemes=tuple(f"noise-nodes:sigma={sigma}" for sigma in (30, 42, 45)),
    stops=(8, 3),
    attacks=("rmia", "lira"),
    models=8,
    trials=0,
)
FULL = PrivacyAudit(
    "cifar10",
    5_000,
    schemes=tuple(f"noise-nodes:sigma={sigma}" for sigma in (40, 52, 55)),
    stops=(8, 3, 1),
    attacks=("stacked", "rmia", "lira"),
    models=12,
    trials=16,
)
FIGURE = privacy_figure((NODE,), ABOUT, QUICK, FULL)
