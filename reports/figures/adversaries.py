"""What an attacker gains who knows of the noise, and one who has more shadows."""

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.comparison_tables import ignorance_table, power_table
from mgaudit.reports.figures.accuracy import MOST_NAMED_ARMS
from mgaudit.reports.figures.drawing import STYLE, Drawing, cut, estimate_cells
from mgaudit.reports.figures.palette import kind, looks
from mgaudit.reports.figures.panels import PAGE_HEIGHT, WIDTH, bars, legend
from mgaudit.reports.results import StudyResult
from mgaudit.reports.section import Section
from mgaudit.reports.table import number
from mgaudit.reports.tables import headline


def ignorance_drawing(study: StudyResult) -> Drawing | None:
    """Returns the naive beside the adaptive adversary under the first attack; None where no naive one was mounted."""
    found = [one for one in study.analysis.ignorance if one.attack == headline(study.arms[0]).attack]
    if not found:
        return None
    labels = {arm.key: arm.label for arm in study.arms}
    return Drawing(
        "ignorance",
        lambda: ignorance_figure(study),
        f"AUC of the attack {found[0].attack} mounted by an adversary who knows of the noise (filled) and by one who "
        "does not (hollow), with 95 % intervals. What lies between is ignorance, not privacy. The line is the arm "
        "without noise; dashed is guessing.",
        "; ".join(f"{labels[one.arm]}: naive {number(one.naive)}, adaptive {number(one.adaptive)}" for one in found),
        [
            {
                "scheme": one.arm,
                **estimate_cells("naive", one.naive),
                **estimate_cells("adaptive", one.adaptive),
                **estimate_cells("gap", one.gap),
            }
            for one in found
        ],
    )


def ignorance_figure(study: StudyResult) -> Figure:
    """Returns a row for each arm, with both adversaries' AUC."""
    found = [one for one in study.analysis.ignorance if one.attack == headline(study.arms[0]).attack]
    places = {arm.key: place for place, arm in enumerate(study.arms)}
    styles = looks(study.arms)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, min(1.1 + 0.24 * len(found), PAGE_HEIGHT)), layout="constrained")
        axes = figure.subplots()
        for row, one in enumerate(found):
            look = styles[places[one.arm]]
            axes.plot([one.naive.value, one.adaptive.value], [row, row], color=look.colour, linewidth=2, alpha=0.4)
            for estimate, face, shift in ((one.naive, "white", 0.14), (one.adaptive, look.colour, -0.14)):
                axes.errorbar(
                    estimate.value,
                    row + shift,
                    xerr=bars(estimate),
                    fmt=look.mark,
                    color=look.colour,
                    markerfacecolor=face,
                    markersize=4,
                    elinewidth=0.8,
                )
        axes.set_yticks(range(len(found)), [cut(study.arms[places[one.arm]].label, 45) for one in found], fontsize=7)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.axvline(found[0].plain.value, color="0.3", linewidth=1)
        axes.axvline(0.5, color="0.4", linestyle="--", linewidth=1)
        axes.set_xlabel("attack AUC")
    return figure


def power_drawing(study: StudyResult) -> Drawing | None:
    """Returns the first attack's AUC against the number of shadows; None where it uses none."""
    if not any(len(arm.power) > 1 for arm in study.arms):
        return None
    return Drawing(
        "power",
        lambda: power_figure(study),
        f"AUC of the attack {headline(study.arms[0]).attack} against the number of shadow models, with 95 % intervals. "
        "A curve that still rises says that a richer attacker would find more.",
        "; ".join(
            f"{arm.label}: " + ", ".join(f"{number(point.metrics['auc'])} with {point.shadows}" for point in arm.power)
            for arm in study.arms
        ),
        [
            {"scheme": arm.key, "shadows": point.shadows, **estimate_cells("auc", point.metrics["auc"])}
            for arm in study.arms
            for point in arm.power
        ],
    )


def power_figure(study: StudyResult) -> Figure:
    """Returns a curve for each arm."""
    styles = looks(study.arms)
    few = len(study.arms) <= MOST_NAMED_ARMS
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        axes = figure.subplots()
        for place, (arm, look) in enumerate(zip(study.arms, styles, strict=True)):
            apart = 1.012 ** (place - (len(study.arms) - 1) / 2) if few else 1.0
            aucs = [point.metrics["auc"] for point in arm.power]
            below, above = ([bars(one)[side][0] for one in aucs] for side in (0, 1))
            axes.errorbar(
                [point.shadows * apart for point in arm.power],
                [one.value for one in aucs],
                yerr=[below, above] if few else None,
                fmt=look.mark,
                linestyle=look.line,
                color=look.colour,
                markersize=4,
                linewidth=1,
                capsize=2,
                label=arm.label if few else kind(arm),
            )
        shadows = sorted({point.shadows for arm in study.arms for point in arm.power})
        axes.set_xscale("log")
        axes.set_xticks(shadows)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.axhline(0.5, color="0.4", linestyle="--", linewidth=1)
        axes.set(xlabel="shadow models", ylabel="attack AUC")
        legend(figure, axes)
    return figure


def ignorance_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the adaptive and the naive adversary."""
    return Section.of("Adaptive and naive adversary", ignorance_drawing(study), ignorance_table(study))


def power_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the attack's success by the number of shadows."""
    return Section.of("Attack power and shadow models", power_drawing(study), power_table(study))
