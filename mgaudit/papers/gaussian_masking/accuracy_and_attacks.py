"""Figures 4 and 5: test accuracy and attack success against kappa, for an MLP and a CNN."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mgaudit.papers.claim import Claim, Data, Measured, NotRun, Row
from mgaudit.papers.gaussian_masking.audits import accuracy_row, arm_of, attack_rows, audited, mask, told
from mgaudit.papers.paper import PaperFigure, Workshop
from mgaudit.reports.figures.drawing import legend, panels
from mgaudit.reports.results import StudyResult
from mgaudit.settings.study_settings import StudySettings
from mgaudit.targets.training import Training

HELPFUL = 0.2  # the kappa that is said to help the MLP
ATTACKS = ("lira", "shadow-classifier", "loss")
NAMES = {"mlp": "MLP", "cnn": "CNN"}
COLOURS = {"lira": "#0072B2", "shadow-classifier": "#D55E00", "loss": "#000000"}
MARKS = {"lira": "o", "shadow-classifier": "s", "loss": "^", "mlp": "o", "cnn": "s"}


@dataclass(frozen=True)
class Audits:
    """Audits of both networks at each kappa: so many models, each the target in turn, trained on half the examples."""

    dataset: str
    kappas: tuple[float, ...]
    models: int
    epochs: int
    examples_mlp: int | None
    examples_cnn: int | None

    def of(self, target: str) -> StudySettings:
        """Returns the study of one network."""
        return StudySettings(
            dataset=self.dataset,
            target=target,
            models=self.models,
            examples=self.examples_mlp if target == "mlp" else self.examples_cnn,
            attacks=ATTACKS,
            schemes=tuple(mask(kappa) for kappa in self.kappas),
            training=Training(epochs=self.epochs),
        )


def _studies(settings: Audits, workshop: Workshop) -> dict[str, StudyResult]:
    return {target: audited(settings.of(target), workshop) for target in NAMES}


def measure_accuracy(settings: Audits, workshop: Workshop) -> Data:
    """Returns the test `accuracy` of each network at each kappa."""
    return {
        "accuracy": [
            accuracy_row(arm_of(study, mask(kappa)), target=target, kappa=kappa)
            for target, study in _studies(settings, workshop).items()
            for kappa in settings.kappas
        ]
    }


def measure_attacks(settings: Audits, workshop: Workshop) -> Data:
    """Returns what each of the `attacks` finds at each kappa, by an adaptive and by a naive adversary.

    `ignorance` holds the AUC of the one less that of the other, paired.
    """
    studies, kappas = _studies(settings, workshop), {mask(kappa): kappa for kappa in settings.kappas}
    return {
        "attacks": [
            row
            for target, study in studies.items()
            for scheme, kappa in kappas.items()
            for row in attack_rows(arm_of(study, scheme), target=target, kappa=kappa)
        ],
        "ignorance": [
            {"target": target, "kappa": kappas[one.arm], "attack": one.attack, **told("gap", one.gap)}
            for target, study in studies.items()
            for one in study.analysis.ignorance
        ],
    }


def _points(rows: Sequence[Row], name: str, scale: float = 1.0) -> tuple[list[float], list[float], list[list[float]]]:
    """Returns kappa, the number and how far its interval reaches below and above."""
    values, lows, highs = ([float(row[key]) * scale for row in rows] for key in (name, f"{name}_low", f"{name}_high"))
    below = [value - low for value, low in zip(values, lows, strict=True)]
    above = [high - value for value, high in zip(values, highs, strict=True)]
    return [float(row["kappa"]) for row in rows], values, [below, above]


def draw_accuracy(data: Data) -> Figure:
    """Returns test accuracy against kappa, a panel for each network."""
    figure, axes = panels(2, 2.8, sharey=False, columns=2)
    for one, (target, name) in zip(axes, NAMES.items(), strict=True):
        kappas, values, reach = _points([row for row in data["accuracy"] if row["target"] == target], "accuracy", 100)
        one.errorbar(kappas, values, reach, color="#0072B2", marker="o", markersize=4, linewidth=1, capsize=2)
        one.set(xlabel="κ", ylabel="test accuracy, %", title=name)
    return figure


def draw_attacks(data: Data) -> Figure:
    """Returns AUC against kappa for each attack, adaptive and naive, a panel for each network."""
    figure, axes = panels(2, 3.2, columns=2)
    for one, (target, title) in zip(axes, NAMES.items(), strict=True):
        for attack in ATTACKS:
            for adversary, line in (("adaptive", "-"), ("naive", "--")):
                rows = [row for row in data["attacks"] if _is(row, target, attack, adversary)]
                if rows:
                    name = attack if attack == "loss" else f"{attack}, {adversary}"
                    look: dict[str, Any] = {"color": COLOURS[attack], "marker": MARKS[attack], "linestyle": line}
                    one.errorbar(*_points(rows, "auc"), label=name, markersize=4, linewidth=1, capsize=2, **look)
        one.axhline(0.5, color="0.6", linewidth=0.8)
        one.set(xlabel="κ", title=title)
    axes[0].set_ylabel("AUC")
    legend(figure, *axes)
    return figure


def _is(row: Row, target: str, attack: str, adversary: str) -> bool:
    return (row["target"], row["attack"], row["adversary"]) == (target, attack, adversary)


def small_kappa_helps(data: Data) -> Measured | NotRun:
    """A small kappa makes the MLP more accurate."""
    rows = [row for row in data["accuracy"] if row["target"] == "mlp" and row["kappa"] == HELPFUL]
    if not rows:
        return NotRun(f"κ = {HELPFUL:g} is not among those that were run")
    return _changed(
        rows[0], f"test accuracy of the MLP at κ = {HELPFUL:g} less that at κ = 0, as a fraction", at_least=0.0
    )


def accuracy_falls(target: str, data: Data) -> Measured:
    """The strongest mask makes the network less accurate."""
    row = _strongest([row for row in data["accuracy"] if row["target"] == target])
    return _changed(
        row,
        f"test accuracy of the {NAMES[target]} at κ = {row['kappa']:g} less that at κ = 0, as a fraction",
        at_most=0.0,
    )


def attack_falls(target: str, attack: str, data: Data) -> Measured:
    """The attack finds less under the strongest mask than without, though it knows of the mask."""
    row = _strongest([row for row in data["attacks"] if _is(row, target, attack, "adaptive")])
    return _changed(row, f"AUC at κ = {row['kappa']:g} less that at κ = 0; adaptive, {NAMES[target]}", at_most=0.0)


def monotone_fall(target: str, data: Data) -> Measured:
    """LiRA's AUC rises at no kappa above that without a mask."""
    rows = [row for row in data["attacks"] if _is(row, target, "lira", "adaptive") and "change" in row]
    row = max(rows, key=lambda one: float(one["change_high"]))
    told = f"AUC of LiRA less that at κ = 0, at the κ where its interval reaches highest, {row['kappa']:g}"
    return _changed(row, f"{told}; adaptive, {NAMES[target]}", at_most=0.0)


def knowing_helps(target: str, data: Data) -> Measured:
    """Under the strongest mask the adaptive classifier finds more than the naive one."""
    row = _strongest(
        [row for row in data["ignorance"] if (row["target"], row["attack"]) == (target, "shadow-classifier")]
    )
    return Measured(
        f"AUC of the adaptive less the naive shadow classifier at κ = {row['kappa']:g}; paired, {NAMES[target]}",
        float(row["gap"]),
        at_least=0.0,
        low=float(row["gap_low"]),
        high=float(row["gap_high"]),
    )


def _strongest(rows: Sequence[Row]) -> Row:
    return max(rows, key=lambda row: float(row["kappa"]))


def _changed(row: Row, quantity: str, at_least: float = -np.inf, at_most: float = np.inf) -> Measured:
    return Measured(
        quantity, float(row["change"]), at_least, at_most, float(row["change_low"]), float(row["change_high"])
    )


QUICK = Audits("digits", (0.0, 0.2, 0.5, 1.0, 1.5), models=8, epochs=30, examples_mlp=None, examples_cnn=None)
FULL = Audits(
    "cifar10",
    (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5),
    models=8,
    epochs=30,
    examples_mlp=10_000,
    examples_cnn=5_000,
)
OURS = (
    "Our networks are the suite's own: an MLP (512, 256) and a small CNN without batch norm, trained by SGD with "
    "momentum for 30 epochs on half of the examples; the paper's are a GELU MLP of width 4,096 with dropout and a CNN "
    "with batch norm and dropout, trained for 80 to 120 epochs on other splits. "
)

FIGURE_4 = PaperFigure(
    key="fig4",
    title="Fig. 4: test accuracy against κ",
    about=OURS + "Intervals are for new models and new test examples; differences are paired.",
    quick=QUICK,
    full=FULL,
    measure=measure_accuracy,
    draw=draw_accuracy,
    description="Test accuracy of the MLP and of the CNN against the strength of the mask, with intervals.",
    claims=(
        Claim("small-kappa-helps", "A small κ of 0.2 improves the MLP.", "Fig. 4, authors' README", small_kappa_helps),
        Claim("mlp-degrades", "A large κ costs the MLP accuracy.", "Fig. 4", lambda data: accuracy_falls("mlp", data)),
        Claim("cnn-degrades", "A large κ costs the CNN accuracy.", "Fig. 4", lambda data: accuracy_falls("cnn", data)),
    ),
)

FIGURE_5 = PaperFigure(
    key="fig5",
    title="Fig. 5: membership inference against κ",
    about=(
        OURS
        + "The paper's attack is ML-Leaks, one classifier trained on the outputs of one shadow. Ours is a classifier "
        "for each class trained on all other models, beside LiRA and the loss threshold. An adaptive adversary trains "
        "shadows with the mask, a naive one without."
    ),
    quick=QUICK,
    full=FULL,
    measure=measure_attacks,
    draw=draw_attacks,
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
            for attack in ATTACKS
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
