"""Figure 4: test accuracy against kappa, for an MLP and a CNN.

kappa is the standard deviation of the Gaussian mask; changes are relative to kappa = 0.
"""

from functools import partial
from typing import Any

from matplotlib.figure import Figure

from mgaudit.papers.audits import accuracy_row, arm_of
from mgaudit.papers.claim import Claim, Data, Measured, NotRun
from mgaudit.papers.gaussian_masking.kappa_sweep import (
    ABOUT_NETWORKS,
    FULL,
    NAMES,
    QUICK,
    KappaSweep,
    change,
    points,
    strongest,
    studies,
)
from mgaudit.papers.gaussian_masking.masks import mask
from mgaudit.papers.gaussian_masking.rows import select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.reports.figures.panels import panels

HELPFUL = 0.2  # the kappa that is said to help the MLP


def measure(settings: KappaSweep, resources: Resources) -> Data:
    """Returns the test `accuracy` of each network at each kappa."""
    rows = []
    for target, study in studies(settings, resources).items():
        for kappa in settings.kappas:
            arm = arm_of(study, mask(kappa))
            rows.append(accuracy_row(arm, target=target, kappa=kappa))
    return {"accuracy": rows}


def draw(data: Data) -> Figure:
    """Returns test accuracy against kappa, a panel for each network."""
    figure, panel_axes = panels(2, 2.8, sharey=False, columns=2)
    look: dict[str, Any] = {"marker": "o", "markersize": 4, "linewidth": 1, "capsize": 2}
    for axes, (target, name) in zip(panel_axes, NAMES.items(), strict=True):
        rows = select(data["accuracy"], target=target)
        axes.errorbar(*points(rows, "accuracy", 100), color="#0072B2", **look)
        axes.set(xlabel="κ", ylabel="test accuracy, %", title=name)
    return figure


def small_kappa_helps(data: Data) -> Measured | NotRun:
    """Returns the change of the MLP's accuracy at a small kappa, which must not be negative."""
    rows = select(data["accuracy"], target="mlp", kappa=HELPFUL)
    if not rows:
        return NotRun(f"the settings have no κ = {HELPFUL:g}")
    quantity = f"test accuracy of the MLP at κ = {HELPFUL:g} less that at κ = 0, as a fraction"
    return change(rows[0], quantity, at_least=0.0)


def accuracy_falls(target: str, data: Data) -> Measured:
    """Returns the change of test accuracy under the strongest mask, which must not be positive."""
    row = strongest(select(data["accuracy"], target=target))
    kappa = f"κ = {row['kappa']:g}"
    quantity = f"test accuracy of the {NAMES[target]} at {kappa} less that at κ = 0, as a fraction"
    return change(row, quantity, at_most=0.0)


ABOUT = (
    ABOUT_NETWORKS + "Intervals are for new models and new test examples; differences are paired."
)
CLAIMS = (
    Claim(
        "small-kappa-helps",
        "A small κ of 0.2 improves the MLP.",
        "Fig. 4, authors' README",
        small_kappa_helps,
    ),
    Claim(
        "mlp-degrades",
        "A large κ costs the MLP accuracy.",
        "Fig. 4",
        partial(accuracy_falls, "mlp"),
    ),
    Claim(
        "cnn-degrades",
        "A large κ costs the CNN accuracy.",
        "Fig. 4",
        partial(accuracy_falls, "cnn"),
    ),
)
FIGURE = PaperFigure(
    key="fig4",
    title="Fig. 4: test accuracy against κ",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description=(
        "Test accuracy of the MLP and of the CNN against the strength of the mask, with intervals."
    ),
    claims=CLAIMS,
)
