"""Figure 5: attack success against kappa, for an MLP and a CNN.

kappa is the standard deviation of the Gaussian mask. An adaptive adversary trains shadow models
with the mask, and a naive one without it. Ignorance is what a naive adversary loses: the difference
of the two AUCs.
"""

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.papers.audits import arm_of, attack_rows
from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.gaussian_masking.kappa_sweep import (
    ABOUT_NETWORKS,
    FULL,
    NAMES,
    QUICK,
    SWEPT_ATTACKS,
    KappaSweep,
    change,
    points,
    strongest,
    studies,
)
from mgaudit.papers.gaussian_masking.masks import mask
from mgaudit.papers.gaussian_masking.rows import select
from mgaudit.papers.paper import PaperFigure, Resources
from mgaudit.papers.rows import interval_of
from mgaudit.reports.figures.drawing import estimate_cells
from mgaudit.reports.figures.panels import legend, panels

COLOURS = {"lira": "#0072B2", "shadow-classifier": "#D55E00", "loss": "#000000"}
MARKS = {"lira": "o", "shadow-classifier": "s", "loss": "^"}
LINES = {"adaptive": "-", "naive": "--"}


def measure(settings: KappaSweep, resources: Resources) -> Data:
    """Returns two tables, each for every network and kappa.

    `attacks` has the AUC of each attack by an adaptive and by a naive adversary. `ignorance` has
    the difference of the two AUCs, adaptive minus naive, paired over targets and examples.
    """
    kappas = {mask(kappa): kappa for kappa in settings.kappas}  # by the text of the scheme
    attack_table: list[Row] = []
    ignorance_table: list[Row] = []
    for target, study in studies(settings, resources).items():
        for scheme, kappa in kappas.items():
            arm = arm_of(study, scheme)
            attack_table += attack_rows(arm, target=target, kappa=kappa)
        for comparison in study.analysis.ignorance:
            kappa = kappas[comparison.arm]
            labels: Row = {"target": target, "kappa": kappa, "attack": comparison.attack}
            gap = estimate_cells("gap", comparison.gap)
            ignorance_table.append({**labels, **gap})
    return {"attacks": attack_table, "ignorance": ignorance_table}


def draw(data: Data) -> Figure:
    """Returns AUC against kappa for each attack, adaptive and naive, a panel for each network."""
    figure, panel_axes = panels(2, 3.2, columns=2)
    for axes, (target, title) in zip(panel_axes, NAMES.items(), strict=True):
        for attack in SWEPT_ATTACKS:
            for adversary in LINES:
                rows = select(data["attacks"], target=target, attack=attack, adversary=adversary)
                if rows:
                    _draw_attack(axes, rows, attack, adversary)
        axes.axhline(0.5, color="0.6", linewidth=0.8)
        axes.set(xlabel="κ", title=title)
    panel_axes[0].set_ylabel("AUC")
    legend(figure, *panel_axes)
    return figure


def _draw_attack(axes: Axes, rows: Sequence[Row], attack: str, adversary: str) -> None:
    """Draws the AUC of one attack by one adversary with its interval against kappa."""
    kappas, aucs, error_bars = points(rows, "auc")
    axes.errorbar(
        kappas,
        aucs,
        error_bars,
        label=attack if attack == "loss" else f"{attack}, {adversary}",
        color=COLOURS[attack],
        marker=MARKS[attack],
        linestyle=LINES[adversary],
        markersize=4,
        linewidth=1,
        capsize=2,
    )


def attack_falls(target: str, attack: str, data: Data) -> Measured:
    """Returns the change of an adaptive attack's AUC at the largest kappa, which must be at most 0.

    The change is relative to the AUC without a mask. `target` is a network, "mlp" or "cnn".
    """
    row = strongest(select(data["attacks"], target=target, attack=attack, adversary="adaptive"))
    kappa = f"κ = {row['kappa']:g}"
    quantity = f"AUC at {kappa} less that at κ = 0; adaptive, {NAMES[target]}"
    return change(row, quantity, at_most=0.0)


def monotone_fall(target: str, data: Data) -> Measured:
    """Returns the change of LiRA's AUC at the kappa whose interval reaches highest: at most 0.

    The change is relative to the AUC without a mask.
    """
    attacked = select(data["attacks"], target=target, attack="lira", adversary="adaptive")
    masked = [row for row in attacked if "change" in row]
    row = max(masked, key=lambda row: float(row["change_high"]))
    kappa = f"the κ where its interval reaches highest, {row['kappa']:g}"
    quantity = f"AUC of LiRA less that at κ = 0, at {kappa}; adaptive, {NAMES[target]}"
    return change(row, quantity, at_most=0.0)


def knowing_helps(target: str, data: Data) -> Measured:
    """Returns the AUC of the adaptive minus the naive shadow classifier at the largest kappa.

    An adaptive adversary trains shadow models with the mask, and a naive one without it.
    """
    row = strongest(select(data["ignorance"], target=target, attack="shadow-classifier"))
    kappa = f"κ = {row['kappa']:g}"
    quantity = (
        f"AUC of the adaptive less the naive shadow classifier at {kappa}; paired, {NAMES[target]}"
    )
    return Measured.with_interval(quantity, interval_of(row, "gap"), at_least=0.0)


def _claims() -> tuple[Claim, ...]:
    """Returns all claims of the figure, for both networks."""
    falls = [_fall_claim(target, attack) for target in NAMES for attack in SWEPT_ATTACKS]
    monotone = [_monotone_claim(target) for target in NAMES]
    ignorance = [_ignorance_claim(target) for target in NAMES]
    return (*falls, *monotone, *ignorance)


def _fall_claim(target: str, attack: str) -> Claim:
    """Returns the claim that masks reduce the AUC of an attack on a network."""
    return Claim(
        f"{target}-{attack}-falls",
        f"Masks reduce the success of the attack {attack} on the {NAMES[target]}.",
        "Fig. 5",
        partial(attack_falls, target, attack),
    )


def _monotone_claim(target: str) -> Claim:
    """Returns the claim that LiRA's AUC is never above its AUC without a mask."""
    return Claim(
        f"{target}-monotone",
        f"At no κ is LiRA's success on the {NAMES[target]} above that without a mask.",
        "Fig. 5",
        partial(monotone_fall, target),
    )


def _ignorance_claim(target: str) -> Claim:
    """Returns the claim that an adversary who knows of the mask has a higher AUC."""
    return Claim(
        f"{target}-ignorance",
        f"Part of the protection that a mask seems to give the {NAMES[target]} exists only against "
        "attackers who do not know of it.",
        "open question",
        partial(knowing_helps, target),
    )


ABOUT = (
    ABOUT_NETWORKS
    + "The paper's attack is ML-Leaks, one classifier trained on the outputs of one shadow. "
    "Ours is a classifier for each class trained on all other models, beside LiRA and the "
    "loss threshold. An adaptive adversary trains shadows with the mask, a naive one "
    "without."
)
FIGURE = PaperFigure(
    key="fig5",
    title="Fig. 5: membership inference against κ",
    about=ABOUT,
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description=(
        "AUC of three attacks against the strength of the mask, of adaptive and naive adversaries."
    ),
    claims=_claims(),
)
