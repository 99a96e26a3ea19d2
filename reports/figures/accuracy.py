"""Accuracy against privacy, and the front."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mgaudit.reports.families import families
from mgaudit.reports.figures.drawing import STYLE, Drawing, Row, estimate_cells
from mgaudit.reports.figures.palette import kind, looks
from mgaudit.reports.figures.panels import MOST_COLUMNS, bars, legend, panels
from mgaudit.reports.results import AttackResult, AuditResult, StudyResult
from mgaudit.reports.table import number
from mgaudit.reports.tables import headline

MOST_NAMED_ARMS = 7


def accuracy_drawing(study: StudyResult) -> Drawing:
    """Returns test accuracy against attack AUC."""
    naive = any(attack.knowledge == "naive" for arm in study.arms for attack in arm.attacks)
    return Drawing(
        "accuracy-vs-auc",
        lambda: accuracy_figure(study),
        "Test accuracy against attack AUC. Right is more accurate, down is more private; bars are 95 % intervals, "
        "and thin lines join the strengths of one scheme. The steps are the front of the attack "
        f"{headline(study.arms[0]).attack}: no other arm is both more accurate and more private. Dashed: "
        f"guessing.{' Hollow: the naive adversary.' if naive else ''}",
        "; ".join(
            f"{arm.label}: test accuracy {number(arm.test_accuracy, scale=100, digits=1)} %, "
            + ", ".join(f"AUC {number(attack.metrics['auc'])} under {attack.name}" for attack in arm.attacks)
            for arm in study.arms
        ),
        _data(study.arms),
    )


def _data(arms: Sequence[AuditResult]) -> list[Row]:
    return [
        {
            "scheme": arm.key,
            "attack": attack.attack,
            "knowledge": attack.knowledge,
            **estimate_cells("test_accuracy", arm.test_accuracy),
            **estimate_cells("auc", attack.metrics["auc"]),
        }
        for arm in arms
        for attack in arm.attacks
    ]


def accuracy_figure(study: StudyResult) -> Figure:
    """Returns test accuracy against AUC, a panel for each attack, a point with both intervals for each arm."""
    arms, attacks = study.arms, adaptive_attacks(study)
    names = [arm.label for arm in arms] if len(arms) <= MOST_NAMED_ARMS else [kind(arm) for arm in arms]
    figure, axes_of = panels(len(attacks), 3.3)
    with mpl.rc_context(STYLE):
        for attack, axes in zip(attacks, axes_of, strict=True):
            for arm, look, name in zip(arms, looks(arms), names, strict=True):
                for found in adversary_results(arm, attack):
                    naive = found.knowledge == "naive"
                    axes.errorbar(
                        arm.test_accuracy.value * 100,
                        found.metrics["auc"].value,
                        xerr=bars(arm.test_accuracy, 100),
                        yerr=bars(found.metrics["auc"]),
                        fmt=look.mark,
                        color=look.colour,
                        markerfacecolor="none" if naive else look.colour,
                        markersize=4 if naive else 5,
                        elinewidth=0.8,
                        capsize=1.5,
                        label=None if naive else name,
                        zorder=2.5 if naive else 3,
                    )
            for places in families(arms).values():
                points = [
                    (arms[place].test_accuracy.value * 100, arms[place].metric(attack, "auc").value) for place in places
                ]
                axes.plot(*zip(*points, strict=True), color=looks(arms)[places[-1]].colour, linewidth=0.6, zorder=2)
            if attack == attacks[0]:
                _steps(axes, study, attack)
            axes.axhline(0.5, color="0.4", linestyle="--", linewidth=1)
            axes.set(xlabel="test accuracy, %", title=attack)
            axes.margins(0.1)
            axes.yaxis.set_major_locator(MaxNLocator(6))
        for axes in axes_of[::MOST_COLUMNS]:
            axes.set_ylabel("attack AUC")
        legend(figure, axes_of[0])
    return figure


def _steps(axes: Axes, study: StudyResult, attack: str) -> None:
    """Draws the border of what the arms on the front reach."""
    on_front = {point.arm for point in study.analysis.front if point.status == "front"}
    points = sorted(
        (arm.test_accuracy.value * 100, arm.metric(attack, "auc").value) for arm in study.arms if arm.key in on_front
    )
    axes.step(*zip(*points, strict=True), where="pre", color="0.55", linewidth=3, alpha=0.35, zorder=1)


def adaptive_attacks(study: StudyResult) -> list[str]:
    """Returns the names of the attacks in their order."""
    return [attack.attack for attack in study.arms[0].attacks if attack.knowledge == "adaptive"]


def adversary_results(arm: AuditResult, attack: str) -> list[AttackResult]:
    """Returns the attack as the adaptive adversary mounts it and, if there is one, as the naive one does."""
    found = [arm.attack(attack, knowledge) for knowledge in ("adaptive", "naive")]
    return [one for one in found if one is not None]
