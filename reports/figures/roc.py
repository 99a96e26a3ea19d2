"""ROC curves on logarithmic axes."""

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from mgaudit.reports.arrays import Arrays, attack_tpr
from mgaudit.reports.ceiling_table import ceiling_of
from mgaudit.reports.figures.accuracy import (
    MOST_NAMED_ARMS,
    adaptive_attacks,
    adversary_results,
    has_naive,
)
from mgaudit.reports.figures.drawing import STYLE, TITLE, Drawing, Row, cut, set_tip
from mgaudit.reports.figures.palette import Look, kind, looks
from mgaudit.reports.figures.panels import MOST_COLUMNS, columns_of, legend, panels
from mgaudit.reports.metric_names import is_tpr, tpr_name
from mgaudit.reports.results import AttackResult, AuditResult, StudyResult
from mgaudit.reports.table import number

SMALLEST_FPR = 1e-3
FLOOR = SMALLEST_FPR / 3
APART = 1.25  # factor between the first arm and the last
LEVELS = (0.001, 0.01, 0.1)
TIPS = np.geomspace(SMALLEST_FPR, 1, 16)  # false positive rates at which HTML shows the TPR


@dataclass(frozen=True)
class Panel:
    """A panel with ROC curves of one attack on the arms with these indices."""

    title: str
    attack: str
    arms: list[int]


@dataclass(frozen=True)
class Curve:
    """The curves of the arm with this index; `shift` is the factor that moves its error bars."""

    index: int
    arm: AuditResult
    look: Look
    shift: float


def roc_drawing(study: StudyResult, arrays: Arrays) -> Drawing:
    """Returns the ROC curves, a panel for each attack.

    With many arms, each scheme has a panel with its curves under the first attack.
    """
    descriptions = [_describe(study, arm, attack) for arm in study.arms for attack in arm.attacks]
    return Drawing(
        "roc",
        lambda: roc_figure(study, arrays),
        _caption(study),
        "; ".join(descriptions),
        _data(study, arrays),
    )


def _caption(study: StudyResult) -> str:
    caption = (
        "The figure shows ROC curves on logarithmic axes, as means over targets. Markers show the "
        "TPR at 0.1, 1 and 10 % FPR with 95 % intervals; they are moved sideways by up to "
        f"{(APART**0.5 - 1) * 100:.0f} % of the FPR, so that they do not hide each other. The "
        "dashed line is guessing."
    )
    if has_naive(study):
        caption += " Dotted lines show the naive adversary."
    if any(ceiling_of(arm) for arm in study.arms):
        caption += (
            " Dash-dotted lines show the ceilings of the accountant: no attack exceeds them if the "
            "claim of DP-SGD holds, even if it sees every step."
        )
    if len(study.arms) > MOST_NAMED_ARMS:
        attack = adaptive_attacks(study)[0]
        caption += (
            f" All curves are for the attack {attack}. Stronger noise of a scheme has a darker "
            "colour."
        )
    return caption


def _describe(study: StudyResult, arm: AuditResult, attack: AttackResult) -> str:
    rates = []
    for name, estimate in attack.metrics.items():
        if is_tpr(name):
            rate = number(estimate, scale=100, digits=2)
            rates.append(f"{study.metric(name).heading}: {rate}")
    return f"{arm.label} under {attack.name}: {', '.join(rates)}"


def _data(study: StudyResult, arrays: Arrays) -> list[Row]:
    rows: list[Row] = []
    grid = arrays["roc_fpr"].tolist()
    for index, arm in enumerate(study.arms):
        for attack in arm.attacks:
            rates = attack_tpr(arrays, index, attack.name).tolist()
            named = {"arm": arm.key, "attack": attack.attack, "adversary": attack.adversary}
            points = zip(grid, rates, strict=True)
            rows.extend({**named, "fpr": fpr, "tpr": tpr} for fpr, tpr in points)
        rows.extend(_ceiling_rows(arm))
    return rows


def _ceiling_rows(arm: AuditResult) -> list[Row]:
    ceiling = ceiling_of(arm)
    if ceiling is None:
        return []
    named = {"arm": arm.key, "attack": "ceiling", "adversary": "sees every step"}
    points = zip(ceiling.fpr, ceiling.tpr, strict=True)
    return [{**named, "fpr": fpr, "tpr": tpr} for fpr, tpr in points]


def roc_figure(study: StudyResult, arrays: Arrays) -> Figure:
    """Returns log-log ROC curves, a curve for each arm of a panel."""
    roc_panels = _panels_of(study)
    height = 3.6 if len(roc_panels) <= MOST_COLUMNS else 2.5
    figure, panel_axes = panels(len(roc_panels), height)
    arm_looks = looks(study.arms)
    with mpl.rc_context(STYLE):
        for axes, panel in zip(panel_axes, roc_panels, strict=True):
            for position, index in enumerate(panel.arms):
                # Arms are drawn slightly apart, because their error bars would overlap.
                shift = APART ** (position / max(len(panel.arms) - 1, 1) - 0.5)
                curve = Curve(index, study.arms[index], arm_looks[index], shift)
                _draw_curves(axes, curve, panel.attack, arrays)
                _draw_ceiling(axes, curve)
            _set_up_axes(axes, panel.title)
        for axes in panel_axes[:: columns_of(len(panel_axes))]:
            axes.set_ylabel("true positive rate, %")
        # With many arms, the panels' titles name the schemes.
        labelled = panel_axes[:1] if len(study.arms) <= MOST_NAMED_ARMS else []
        legend(figure, *labelled)
    return figure


def _set_up_axes(axes: Axes, title: str) -> None:
    diagonal = [SMALLEST_FPR, 1]
    axes.plot(diagonal, diagonal, color="0.4", linestyle="--", linewidth=1)
    axes.set(xscale="log", yscale="log", xlim=(SMALLEST_FPR * 0.8, 1), ylim=(FLOOR, 1.1))
    axes.set(xlabel="false positive rate, %", title=cut(title, TITLE))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g}"))


def _panels_of(study: StudyResult) -> list[Panel]:
    """Returns a panel for each attack or, with many arms, for each kind of scheme."""
    attacks = adaptive_attacks(study)
    if len(study.arms) <= MOST_NAMED_ARMS:
        indices = list(range(len(study.arms)))
        return [Panel(attack, attack, indices) for attack in attacks]
    plain = [index for index, arm in enumerate(study.arms) if arm.is_plain]
    kinds: dict[str, list[int]] = {}
    for index, arm in enumerate(study.arms):
        if index not in plain:
            kinds.setdefault(kind(arm), []).append(index)
    return [Panel(name, attacks[0], [*plain, *indices]) for name, indices in kinds.items()]


def _draw_curves(axes: Axes, curve: Curve, attack: str, arrays: Arrays) -> None:
    """Draws the ROC curve of each adversary, and error bars for the adaptive one."""
    fpr = arrays["roc_fpr"]
    visible = fpr >= SMALLEST_FPR
    colour = curve.look.colour
    for result in adversary_results(curve.arm, attack):
        tpr = attack_tpr(arrays, curve.index, result.name)[visible]
        _add_tips(axes, curve, result, fpr[visible], tpr)
        tpr = np.maximum(tpr, FLOOR)  # zero has no place on a logarithmic axis
        if result.adversary == "naive":
            axes.plot(fpr[visible], tpr, color=colour, linewidth=1, linestyle=":")
        else:
            axes.plot(fpr[visible], tpr, color=colour, label=curve.arm.label, linewidth=1.4)
            _draw_levels(axes, curve, result)


def _add_tips(
    axes: Axes, curve: Curve, result: AttackResult, fpr: NDArray[Any], tpr: NDArray[Any]
) -> None:
    """Adds points without colour along a curve, at which HTML shows its values."""
    nearest = np.unique(np.searchsorted(fpr, TIPS).clip(max=len(fpr) - 1))
    for level, rate in zip(fpr[nearest], tpr[nearest], strict=True):
        (point,) = axes.plot(level, max(rate, FLOOR), "o", alpha=0, markersize=7)
        text = f"TPR {rate * 100:.3g} % at {level * 100:.3g} % FPR"
        set_tip(point, f"{curve.arm.label}, {result.name}: {text}")


def _draw_ceiling(axes: Axes, curve: Curve) -> None:
    """Draws the largest TPR that the claim of an arm with DP-SGD allows."""
    ceiling = ceiling_of(curve.arm)
    if ceiling is None:
        return
    points = np.array([ceiling.fpr, ceiling.tpr])
    fpr, tpr = points[:, points[0] >= SMALLEST_FPR]
    label = f"ceiling of the accountant, {curve.arm.label}"
    axes.plot(fpr, tpr, color=curve.look.colour, label=label, linewidth=1, linestyle="-.")


def _draw_levels(axes: Axes, curve: Curve, attack: AttackResult) -> None:
    """Draws the TPR with its interval at each level of the FPR."""
    look = curve.look
    for level in LEVELS:
        estimate = attack.metrics[tpr_name(level)]
        low, high = max(estimate.low, FLOOR), max(estimate.high, FLOOR)
        value = max(estimate.value, FLOOR)
        fpr = level * curve.shift
        axes.plot([fpr, fpr], [low, high], color=look.colour, linewidth=1)
        (point,) = axes.plot(fpr, value, look.mark, color=look.colour, markersize=4)
        rate = f"TPR {number(estimate, 100, 2)} % at {level * 100:g} % FPR"
        set_tip(point, f"{curve.arm.label}, {attack.name}: {rate}")
