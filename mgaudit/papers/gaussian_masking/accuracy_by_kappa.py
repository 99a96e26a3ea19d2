"""Figure 4: test accuracy against kappa, for an MLP and a CNN."""

from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data, Measured, NotRun
from mgaudit.papers.gaussian_masking.audits import accuracy_row, arm_of, mask
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
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.reports.figures.panels import panels

HELPFUL = 0.2  # the kappa that is said to help the MLP


def measure(settings: KappaSweep, workshop: Workshop) -> Data:
    """Returns the test `accuracy` of each network at each kappa."""
    return {
        "accuracy": [
            accuracy_row(arm_of(study, mask(kappa)), target=target, kappa=kappa)
            for target, study in studies(settings, workshop).items()
            for kappa in settings.kappas
        ]
    }


def draw(data: Data) -> Figure:
    """Returns test accuracy against kappa, a panel for each network."""
    figure, axes = panels(2, 2.8, sharey=False, columns=2)
    for one, (target, name) in zip(axes, NAMES.items(), strict=True):
        kappas, values, reach = points([row for row in data["accuracy"] if row["target"] == target], "accuracy", 100)
        one.errorbar(kappas, values, reach, color="#0072B2", marker="o", markersize=4, linewidth=1, capsize=2)
        one.set(xlabel="κ", ylabel="test accuracy, %", title=name)
    return figure


def small_kappa_helps(data: Data) -> Measured | NotRun:
    """A small kappa makes the MLP more accurate."""
    rows = [row for row in data["accuracy"] if row["target"] == "mlp" and row["kappa"] == HELPFUL]
    if not rows:
        return NotRun(f"κ = {HELPFUL:g} is not among those that were run")
    return change(
        rows[0], f"test accuracy of the MLP at κ = {HELPFUL:g} less that at κ = 0, as a fraction", at_least=0.0
    )


def accuracy_falls(target: str, data: Data) -> Measured:
    """The strongest mask makes the network less accurate."""
    row = strongest([row for row in data["accuracy"] if row["target"] == target])
    return change(
        row,
        f"test accuracy of the {NAMES[target]} at κ = {row['kappa']:g} less that at κ = 0, as a fraction",
        at_most=0.0,
    )


FIGURE = PaperFigure(
    key="fig4",
    title="Fig. 4: test accuracy against κ",
    about=ABOUT_NETWORKS + "Intervals are for new models and new test examples; differences are paired.",
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description="Test accuracy of the MLP and of the CNN against the strength of the mask, with intervals.",
    claims=(
        Claim("small-kappa-helps", "A small κ of 0.2 improves the MLP.", "Fig. 4, authors' README", small_kappa_helps),
        Claim("mlp-degrades", "A large κ costs the MLP accuracy.", "Fig. 4", lambda data: accuracy_falls("mlp", data)),
        Claim("cnn-degrades", "A large κ costs the CNN accuracy.", "Fig. 4", lambda data: accuracy_falls("cnn", data)),
    ),
)
