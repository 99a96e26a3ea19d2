"""ROC curves on logarithmic axes."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from mgaudit.reports.arrays import Arrays, attack_tpr
from mgaudit.reports.figures.accuracy import MOST_NAMED_ARMS, adaptive_attacks, adversary_results
from mgaudit.reports.figures.drawing import STYLE, TITLE, Drawing, Row, cut
from mgaudit.reports.figures.palette import Look, kind, looks
from mgaudit.reports.figures.panels import MOST_COLUMNS, legend, panels
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.table import number

SMALLEST_FPR = 1e-3
FLOOR = SMALLEST_FPR / 3
APART = 1.25  # the last arm from the first, as a factor
LEVELS = (0.001, 0.01, 0.1)
Panel = tuple[str, str, list[int]]


def roc_drawing(study: StudyResult, arrays: Arrays) -> Drawing:
    """Returns the ROC curves: a panel for each attack or, with many arms, for each scheme under the first attack."""
    naive = any(attack.knowledge == "naive" for arm in study.arms for attack in arm.attacks)
    many = len(study.arms) > MOST_NAMED_ARMS
    return Drawing(
        "roc",
        lambda: roc_figure(study, arrays),
        "ROC curves on logarithmic axes, the mean over targets; points are the TPR at 0.1, 1 and 10 % FPR with 95 % "
        f"intervals. Dashed: guessing.{' Dotted: the naive adversary.' if naive else ''}"
        + (
            f" The attack {adaptive_attacks(study)[0]}; the stronger the noise of a scheme, the darker." if many else ""
        ),
        "; ".join(
            f"{arm.label} under {attack.name}: "
            + ", ".join(
                f"{study.metric(name).heading}: {number(estimate, scale=100, digits=2)}"
                for name, estimate in attack.metrics.items()
                if name.startswith("tpr")
            )
            for arm in study.arms
            for attack in arm.attacks
        ),
        _data(study, arrays),
    )


def _data(study: StudyResult, arrays: Arrays) -> list[Row]:
    return [
        {"scheme": arm.key, "attack": attack.attack, "knowledge": attack.knowledge, "fpr": fpr, "tpr": tpr}
        for index, arm in enumerate(study.arms)
        for attack in arm.attacks
        for fpr, tpr in zip(arrays["roc_fpr"].tolist(), attack_tpr(arrays, index, attack.name).tolist(), strict=True)
    ]


def roc_figure(study: StudyResult, arrays: Arrays) -> Figure:
    """Returns log-log ROC curves, a curve for each arm of a panel."""
    shown = _panels_of(study)
    figure, axes_of = panels(len(shown), 3.6 if len(shown) <= MOST_COLUMNS else 2.6)
    styles = looks(study.arms)
    with mpl.rc_context(STYLE):
        for axes, (title, attack, places) in zip(axes_of, shown, strict=True):
            for step, place in enumerate(places):
                # Arms are set a little apart, or their bars would hide one another.
                apart = APART ** (step / max(len(places) - 1, 1) - 0.5)
                _curves(axes, study.arms[place], place, attack, arrays, styles[place], apart)
            axes.plot([SMALLEST_FPR, 1], [SMALLEST_FPR, 1], color="0.4", linestyle="--", linewidth=1)
            axes.set(xscale="log", yscale="log", xlim=(SMALLEST_FPR * 0.8, 1), ylim=(FLOOR, 1.1))
            axes.set(xlabel="false positive rate", title=cut(title, TITLE))
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
        for axes in axes_of[::MOST_COLUMNS]:
            axes.set_ylabel("true positive rate")
        legend(figure, *axes_of[: 1 if len(study.arms) <= MOST_NAMED_ARMS else 0])
    return figure


def _panels_of(study: StudyResult) -> list[Panel]:
    """Returns for each panel its title, its attack and its arms."""
    attacks = adaptive_attacks(study)
    if len(study.arms) <= MOST_NAMED_ARMS:
        return [(attack, attack, list(range(len(study.arms)))) for attack in attacks]
    plain = [place for place, arm in enumerate(study.arms) if arm.is_plain]
    kinds: dict[str, list[int]] = {}
    for place, arm in enumerate(study.arms):
        if place not in plain:
            kinds.setdefault(kind(arm), []).append(place)
    return [(name, attacks[0], [*plain, *places]) for name, places in kinds.items()]


def _curves(axes: Axes, arm: AuditResult, place: int, attack: str, arrays: Arrays, look: Look, apart: float) -> None:
    fpr = arrays["roc_fpr"]
    shown = fpr >= SMALLEST_FPR
    for found in adversary_results(arm, attack):
        tpr = np.maximum(attack_tpr(arrays, place, found.name)[shown], FLOOR)
        if found.knowledge == "naive":
            axes.plot(fpr[shown], tpr, color=look.colour, linewidth=1, linestyle=":")
            continue
        axes.plot(fpr[shown], tpr, color=look.colour, label=arm.label, linewidth=1.4)
        for level in LEVELS:
            estimate = found.metrics[f"tpr_at_{level:g}_fpr"]
            low, value, high = (max(end, FLOOR) for end in (estimate.low, estimate.value, estimate.high))
            axes.plot([level * apart] * 2, [low, high], color=look.colour, linewidth=1)
            axes.plot(level * apart, value, look.mark, color=look.colour, markersize=4)
