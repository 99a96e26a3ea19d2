"""Figure 5: attack success against kappa, for an MLP and a CNN."""

from typing import Any

from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data, Measured, Row
from mgaudit.papers.gaussian_masking.audits import arm_of, attack_rows, mask
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
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.reports.figures.drawing import estimate_cells
from mgaudit.reports.figures.panels import legend, panels

COLOURS = {"lira": "#0072B2", "shadow-classifier": "#D55E00", "loss": "#000000"}
MARKS = {"lira": "o", "shadow-classifier": "s", "loss": "^"}


def measure(settings: KappaSweep, workshop: Workshop) -> Data:
    """Returns what each of the `attacks` finds at each kappa, by an adaptive and by a naive adversary.

    `ignorance` holds the AUC of the one less that of the other, paired.
    """
    audited_networks = studies(settings, workshop)
    kappas = {mask(kappa): kappa for kappa in settings.kappas}
    return {
        "attacks": [
            row
            for target, study in audited_networks.items()
            for scheme, kappa in kappas.items()
            for row in attack_rows(arm_of(study, scheme), target=target, kappa=kappa)
        ],
        "ignorance": [
            {"target": target, "kappa": kappas[one.arm], "attack": one.attack, **estimate_cells("gap", one.gap)}
            for target, study in audited_networks.items()
            for one in study.analysis.ignorance
        ],
    }


def draw(data: Data) -> Figure:
    """Returns AUC against kappa for each attack, adaptive and naive, a panel for each network."""
    figure, axes = panels(2, 3.2, columns=2)
    for one, (target, title) in zip(axes, NAMES.items(), strict=True):
        for attack in SWEPT_ATTACKS:
            for adversary, line in (("adaptive", "-"), ("naive", "--")):
                rows = [row for row in data["attacks"] if _is(row, target, attack, adversary)]
                if rows:
                    name = attack if attack == "loss" else f"{attack}, {adversary}"
                    look: dict[str, Any] = {
                        "color": COLOURS[attack],
                        "marker": MARKS[attack],
                        "linestyle": line,
                    }
                    one.errorbar(*points(rows, "auc"), label=name, markersize=4, linewidth=1, capsize=2, **look)
        one.axhline(0.5, color="0.6", linewidth=0.8)
        one.set(xlabel="κ", title=title)
    axes[0].set_ylabel("AUC")
    legend(figure, *axes)
    return figure


def _is(row: Row, target: str, attack: str, adversary: str) -> bool:
    return (row["target"], row["attack"], row["adversary"]) == (target, attack, adversary)


def attack_falls(target: str, attack: str, data: Data) -> Measured:
    """The attack finds less under the strongest mask than without, though it knows of the mask."""
    row = strongest([row for row in data["attacks"] if _is(row, target, attack, "adaptive")])
    return change(row, f"AUC at κ = {row['kappa']:g} less that at κ = 0; adaptive, {NAMES[target]}", at_most=0.0)


def monotone_fall(target: str, data: Data) -> Measured:
    """LiRA's AUC rises at no kappa above that without a mask."""
    rows = [row for row in data["attacks"] if _is(row, target, "lira", "adaptive") and "change" in row]
    row = max(rows, key=lambda one: float(one["change_high"]))
    told = f"AUC of LiRA less that at κ = 0, at the κ where its interval reaches highest, {row['kappa']:g}"
    return change(row, f"{told}; adaptive, {NAMES[target]}", at_most=0.0)


def knowing_helps(target: str, data: Data) -> Measured:
    """Under the strongest mask the adaptive classifier finds more than the naive one."""
    row = strongest(
        [row for row in data["ignorance"] if (row["target"], row["attack"]) == (target, "shadow-classifier")]
    )
    return Measured(
        f"AUC of the adaptive less the naive shadow classifier at κ = {row['kappa']:g}; paired, {NAMES[target]}",
        float(row["gap"]),
        at_least=0.0,
        low=float(row["gap_low"]),
        high=float(row["gap_high"]),
    )


FIGURE = PaperFigure(
    key="fig5",
    title="Fig. 5: membership inference against κ",
    about=(
        ABOUT_NETWORKS
        + "The paper's attack is ML-Leaks, one classifier trained on the outputs of one shadow. Ours is a classifier "
        "for each class trained on all other models, beside LiRA and the loss threshold. An adaptive adversary trains "
        "shadows with the mask, a naive one without."
    ),
    quick=QUICK,
    full=FULL,
    measure=measure,
    draw=draw,
    description="AUC of three attacks against the strength of the mask, of adaptive and naive adversaries.",
    claims=(
        *(
            Claim(
                f"{target}-{attack}-falls",
                f"Masks bring down the success of the attack {attack} on the {NAMES[target]}.",
                "Fig. 5",
                lambda data, target=target, attack=attack: attack_falls(target, attack, data),  # type: ignore[misc]
            )
            for target in NAMES
            for attack in SWEPT_ATTACKS
        ),
        *(
            Claim(
                f"{target}-monotone",
                f"At no κ is LiRA's success on the {NAMES[target]} above that without a mask.",
                "Fig. 5",
                lambda data, target=target: monotone_fall(target, data),  # type: ignore[misc]
            )
            for target in NAMES
        ),
        *(
            Claim(
                f"{target}-ignorance",
                f"Part of what a mask seems to hide on the {NAMES[target]} is hidden from attackers alone who do not "
                "know of it.",
                "open question",
                lambda data, target=target: knowing_helps(target, data),  # type: ignore[misc]
            )
            for target in NAMES
        ),
    ),
)
