"""What an attacker gains from knowing about the noise, and from more shadow models."""

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.comparison_tables import ignorance_table, is_left_out, power_table
from mgaudit.reports.figures.accuracy import MOST_NAMED_ARMS
from mgaudit.reports.figures.drawing import STYLE, WIDTH, Drawing, Row, cut, estimate_cells, set_tip
from mgaudit.reports.figures.palette import Look, kind, looks
from mgaudit.reports.figures.panels import PAGE_HEIGHT, bars, error_bars, legend
from mgaudit.reports.findings import Ignorance
from mgaudit.reports.plain_arm import the_plain_arm
from mgaudit.reports.results import AuditResult, PowerPoint, StudyResult
from mgaudit.reports.section import Section
from mgaudit.reports.table import number
from mgaudit.reports.tables import headline


def ignorance_drawing(study: StudyResult) -> Drawing | None:
    """Returns the naive beside the adaptive adversary; None without a naive one.

    The adversaries mount the first attack.
    """
    comparisons = _first_attack(study)
    if not comparisons:
        return None
    labels = {arm.key: arm.label for arm in study.arms}
    descriptions = [
        f"{labels[item.arm]}: naive {number(item.naive)}, adaptive {number(item.adaptive)}"
        for item in comparisons
    ]
    secret = "noise" if study.models_from == "training" else "training function"
    return Drawing(
        "ignorance",
        lambda: ignorance_figure(study),
        f"The figure shows the AUC of the attack {comparisons[0].attack} by an adversary who knows "
        f"about the {secret} (filled markers) and by an adversary who does not (hollow markers), "
        "with 95 % intervals. The gap between the two is ignorance, not privacy. The solid line is "
        f"{the_plain_arm(study)}, and the dashed line is guessing.",
        "; ".join(descriptions),
        [_ignorance_row(item) for item in comparisons],
    )


def _first_attack(study: StudyResult) -> list[Ignorance]:
    """Returns the comparisons of adversaries who mount the first attack."""
    attack = headline(study.arms[0]).attack
    return [item for item in study.analysis.ignorance if item.attack == attack]


def _ignorance_row(comparison: Ignorance) -> Row:
    return {
        "arm": comparison.arm,
        **estimate_cells("naive", comparison.naive),
        **estimate_cells("adaptive", comparison.adaptive),
        **estimate_cells("gap", comparison.gap),
    }


def ignorance_figure(study: StudyResult) -> Figure:
    """Returns a row for each arm, with both adversaries' AUC."""
    comparisons = _first_attack(study)
    arm_looks = {arm.key: look for arm, look in zip(study.arms, looks(study.arms), strict=True)}
    labels = {arm.key: arm.label for arm in study.arms}
    height = min(1.1 + 0.24 * len(comparisons), PAGE_HEIGHT)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        for row, comparison in enumerate(comparisons):
            _adversary_pair(
                axes, row, comparison, arm_looks[comparison.arm], labels[comparison.arm]
            )
        row_labels = [cut(labels[comparison.arm], 45) for comparison in comparisons]
        axes.set_yticks(range(len(comparisons)), row_labels, fontsize=7)
        axes.set_ylim(len(comparisons) - 0.5, -0.5)
        axes.axvline(comparisons[0].plain.value, color="0.3", linewidth=1)
        axes.axvline(0.5, color="0.4", linestyle="--", linewidth=1)
        axes.set_xlabel("attack AUC")
    return figure


def _adversary_pair(axes: Axes, row: int, comparison: Ignorance, look: Look, label: str) -> None:
    """Draws the naive (hollow) and the adaptive (filled) adversary, joined by a line."""
    naive, adaptive = comparison.naive, comparison.adaptive
    ends = [naive.value, adaptive.value]
    axes.plot(ends, [row, row], color=look.colour, linewidth=2, alpha=0.4)
    for name, estimate, face, shift in (
        ("naive", naive, "white", 0.14),
        ("adaptive", adaptive, look.colour, -0.14),
    ):
        drawn = axes.errorbar(
            estimate.value,
            row + shift,
            xerr=bars(estimate),
            fmt=look.mark,
            color=look.colour,
            markerfacecolor=face,
            markersize=4,
            elinewidth=0.8,
        )
        set_tip(drawn, f"{label}, {name} adversary: AUC {number(estimate)}")


def power_drawing(study: StudyResult) -> Drawing | None:
    """Returns the first attack's AUC against the number of shadows; None if it uses none."""
    if not any(len(arm.power) > 1 for arm in study.arms):
        return None
    attack = headline(study.arms[0]).attack
    return Drawing(
        "power",
        lambda: power_figure(study),
        f"The figure shows the AUC of the attack {attack} against the number of shadow models, "
        "with 95 % intervals. If a curve is still rising, an attacker with more shadow models "
        "would have a higher AUC.",
        "; ".join(map(_describe_power, study.arms)),
        [_power_row(arm, point) for arm in study.arms for point in arm.power],
    )


def _describe_power(arm: AuditResult) -> str:
    points = [f"{number(point.metrics['auc'])} with {point.shadows}" for point in arm.power]
    return f"{arm.label}: AUC {', '.join(points)} shadow models"


def _power_row(arm: AuditResult, point: PowerPoint) -> Row:
    auc = estimate_cells("auc", point.metrics["auc"])
    return {"arm": arm.key, "shadows": point.shadows, **auc}


def power_figure(study: StudyResult) -> Figure:
    """Returns a curve for each arm."""
    arms = study.arms
    few = len(arms) <= MOST_NAMED_ARMS
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        axes = figure.subplots()
        for index, (arm, look) in enumerate(zip(arms, looks(arms), strict=True)):
            # Few arms have error bars, which would overlap at the same number of shadows.
            shift = 1.012 ** (index - (len(arms) - 1) / 2) if few else 1.0
            _power_curve(axes, arm, look, shift, few)
        shadows = sorted({point.shadows for arm in arms for point in arm.power})
        axes.set_xscale("log")
        axes.set_xticks(shadows)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.axhline(0.5, color="0.4", linestyle="--", linewidth=1)
        axes.set(xlabel="shadow models", ylabel="attack AUC")
        legend(figure, axes)
    return figure


def _power_curve(axes: Axes, arm: AuditResult, look: Look, shift: float, few: bool) -> None:
    """Draws the AUC of one arm, with error bars and its full name if there are few arms."""
    aucs = [point.metrics["auc"] for point in arm.power]
    axes.errorbar(
        [point.shadows * shift for point in arm.power],
        [auc.value for auc in aucs],
        yerr=error_bars(aucs) if few else None,
        fmt=look.mark,
        linestyle=look.line,
        color=look.colour,
        markersize=4,
        linewidth=1,
        capsize=2,
        label=arm.label if few else kind(arm),
    )
    for point in arm.power:
        auc = point.metrics["auc"]
        (spot,) = axes.plot(point.shadows * shift, auc.value, "o", alpha=0, markersize=7)
        set_tip(spot, f"{arm.label}: AUC {number(auc)} with {point.shadows} shadow models")


def ignorance_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section on the adaptive and the naive adversary."""
    if is_left_out(study, "ignorance"):
        return None
    title = "Adaptive and naive adversary"
    return Section.of(title, ignorance_drawing(study), ignorance_table(study))


def power_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section on the attack's success by the number of shadows.

    Returns None for models of the user that have no shadow models.
    """
    if study.checks is not None and not any(arm.power for arm in study.arms):
        return None
    return Section.of("Attack power and shadow models", power_drawing(study), power_table(study))
