"""Accuracy against privacy, and the front."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mgaudit.reports.families import families
from mgaudit.reports.figures.drawing import STYLE, Drawing, Row, estimate_cells, set_tip
from mgaudit.reports.figures.palette import Look, kind, looks
from mgaudit.reports.figures.panels import MOST_COLUMNS, bars, columns_of, legend, panels
from mgaudit.reports.results import AttackResult, AuditResult, StudyResult, accuracies_known
from mgaudit.reports.table import number
from mgaudit.reports.tables import headline

MOST_NAMED_ARMS = 7
FIRST_SIZE = (4.6, 3.4)  # inches


def first_accuracy_drawing(study: StudyResult) -> Drawing | None:
    """Returns test accuracy against the AUC of the first attack; None if one is not known."""
    if not accuracies_known(study.arms):
        return None
    attack = headline(study.arms[0]).attack
    caption = (
        f"Test accuracy and AUC of the attack {attack}, with 95 % intervals. Further right is more "
        "accurate, further down is more private; the dashed line is guessing."
    )
    if has_naive(study):
        caption += " Hollow markers show the naive adversary."
    return Drawing(
        "accuracy-vs-first-auc",
        lambda: accuracy_figure(study, [attack], FIRST_SIZE),
        caption,
        "; ".join(map(_describe, study.arms)),
        [row for row in _data(study.arms) if row["attack"] == attack],
    )


def accuracy_drawing(study: StudyResult) -> Drawing | None:
    """Returns test accuracy against attack AUC; None for one attack and where none is known."""
    if not accuracies_known(study.arms) or len(adaptive_attacks(study)) < 2:
        return None
    attack = headline(study.arms[0]).attack
    caption = (
        "The figure shows the attack AUC against the test accuracy. Markers further right are more "
        "accurate, and markers further down are more private. Bars are 95 % intervals, and thin "
        "lines join the strengths of one scheme. The steps show the Pareto front of the attack "
        f"{attack}: no other arm is both more accurate and more private than an arm on the front. "
        "The dashed line is guessing."
    )
    if has_naive(study):
        caption += " Hollow markers show the naive adversary."
    return Drawing(
        "accuracy-vs-auc",
        lambda: accuracy_figure(study, adaptive_attacks(study)),
        caption,
        "; ".join(map(_describe, study.arms)),
        _data(study.arms),
    )


def has_naive(study: StudyResult) -> bool:
    """Returns whether a naive adversary attacks any arm."""
    return any(attack.adversary == "naive" for arm in study.arms for attack in arm.attacks)


def _describe(arm: AuditResult) -> str:
    accuracy = number(arm.accuracy, scale=100, digits=1)
    aucs = [f"AUC {number(attack.metrics['auc'])} under {attack.name}" for attack in arm.attacks]
    return f"{arm.label}: test accuracy {accuracy} %, {', '.join(aucs)}"


def _data(arms: Sequence[AuditResult]) -> list[Row]:
    return [
        {
            "arm": arm.key,
            "attack": attack.attack,
            "adversary": attack.adversary,
            **estimate_cells("accuracy", arm.known_accuracy),
            **estimate_cells("auc", attack.metrics["auc"]),
        }
        for arm in arms
        for attack in arm.attacks
    ]


def accuracy_figure(
    study: StudyResult, attacks: Sequence[str], size: tuple[float, float] | None = None
) -> Figure:
    """Returns test accuracy against AUC: a panel for each attack, a point for each arm."""
    figure, panel_axes = panels(len(attacks), 3.3 if len(attacks) <= MOST_COLUMNS else 2.6)
    if size is not None:
        figure.set_size_inches(size)
    with mpl.rc_context(STYLE):
        for attack, axes in zip(attacks, panel_axes, strict=True):
            _points(axes, study.arms, attack)
            _family_lines(axes, study.arms, attack)
            if attack == headline(study.arms[0]).attack:
                _steps(axes, study, attack)
            axes.axhline(0.5, color="0.4", linestyle="--", linewidth=1)
            axes.set(xlabel="test accuracy, %", title=attack)
            axes.margins(0.1)
            axes.yaxis.set_major_locator(MaxNLocator(6))
        for axes in panel_axes[:: columns_of(len(panel_axes))]:
            axes.set_ylabel("attack AUC")
        legend(figure, panel_axes[0])
    return figure


def _points(axes: Axes, arms: Sequence[AuditResult], attack: str) -> None:
    """Draws a point with both intervals for each arm and adversary."""
    few = len(arms) <= MOST_NAMED_ARMS
    for arm, look in zip(arms, looks(arms), strict=True):
        name = arm.label if few else kind(arm)
        for result in adversary_results(arm, attack):
            _point(axes, arm, result, look, name)


def _point(axes: Axes, arm: AuditResult, attack: AttackResult, look: Look, name: str) -> None:
    naive = attack.adversary == "naive"
    auc = attack.metrics["auc"]
    drawn = axes.errorbar(
        arm.known_accuracy.value * 100,
        auc.value,
        xerr=bars(arm.known_accuracy, 100),
        yerr=bars(auc),
        fmt=look.mark,
        color=look.colour,
        markerfacecolor="none" if naive else look.colour,
        markersize=4 if naive else 5,
        elinewidth=0.8,
        capsize=1.5,
        label=None if naive else name,
        zorder=2.5 if naive else 3,
    )
    set_tip(
        drawn,
        f"{arm.label}: test accuracy {number(arm.accuracy, 100, 1)} %, AUC {number(auc)} of "
        f"{attack.name}",
    )


def _family_lines(axes: Axes, arms: Sequence[AuditResult], attack: str) -> None:
    """Draws a thin line through the strengths of each scheme, in the colour of the strongest."""
    arm_looks = looks(arms)
    for indices in families(arms).values():
        accuracies, aucs = zip(*(_position(arms[index], attack) for index in indices), strict=True)
        axes.plot(accuracies, aucs, color=arm_looks[indices[-1]].colour, linewidth=0.6, zorder=2)


def _steps(axes: Axes, study: StudyResult, attack: str) -> None:
    """Draws the border of what the arms on the front reach."""
    on_front = {point.arm for point in study.analysis.front if point.status == "front"}
    positions = sorted(_position(arm, attack) for arm in study.arms if arm.key in on_front)
    accuracies, aucs = zip(*positions, strict=True)
    axes.step(accuracies, aucs, where="pre", color="0.55", linewidth=3, alpha=0.35, zorder=1)


def _position(arm: AuditResult, attack: str) -> tuple[float, float]:
    """Returns test accuracy in percent and the AUC of the adaptive attack."""
    return arm.known_accuracy.value * 100, arm.metric(attack, "auc").value


def adaptive_attacks(study: StudyResult) -> list[str]:
    """Returns the names of the attacks in their order."""
    return [attack.attack for attack in study.arms[0].attacks if attack.adversary == "adaptive"]


def adversary_results(arm: AuditResult, attack: str) -> list[AttackResult]:
    """Returns the results of the attack, of the adaptive adversary and of the naive one, if any."""
    results = [arm.attack(attack, adversary) for adversary in ("adaptive", "naive")]
    return [result for result in results if result is not None]
