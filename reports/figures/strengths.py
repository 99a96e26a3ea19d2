"""Attack and accuracy against the strength of the noise."""

import math
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from mgaudit.reports.families import families
from mgaudit.reports.figures.accuracy import adaptive_attacks
from mgaudit.reports.figures.drawing import (
    STYLE,
    TITLE,
    Drawing,
    Row,
    cut,
    estimate_cells,
    pages,
    set_tip,
)
from mgaudit.reports.figures.palette import Look, looks
from mgaudit.reports.figures.panels import MOST_COLUMNS, error_bars, legend, panels
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.table import number

Point = tuple[float, Estimate]
MOST_FAMILIES = 6
SPREAD = 8  # strengths that differ by more than this factor are drawn on a logarithmic axis


def strength_drawings(study: StudyResult) -> list[Drawing]:
    """Returns AUC and test accuracy against the strength of each scheme with several strengths.

    A page shows a few schemes.
    """
    swept = list(_swept(study).items())
    return [
        _drawing(study, dict(page), name) for name, page in pages("strength", swept, MOST_FAMILIES)
    ]


def _drawing(study: StudyResult, swept: dict[str, list[int]], name: str) -> Drawing:
    attack = adaptive_attacks(study)[0]
    descriptions, rows = [], []
    for family, indices in swept.items():
        for index in indices:
            descriptions.append(_describe(study.arms[index], attack))
            rows += _rows(family, study.arms[index], attack)
    return Drawing(
        name,
        lambda: strength_figure(study, swept),
        f"The upper panels show the AUC of the attack {attack}, and the lower panels show the test "
        "accuracy, both against the strength of each scheme. Hollow markers and dotted lines show "
        "the naive adversary. Bars are 95 % intervals, and the grey band is the arm at strength "
        "zero.",
        "; ".join(descriptions),
        rows,
    )


def _describe(arm: AuditResult, attack: str) -> str:
    auc, accuracy = number(arm.metric(attack, "auc")), number(arm.accuracy, 100, 1)
    return f"{arm.label}: AUC {auc}, test accuracy {accuracy} %"


def _swept(study: StudyResult) -> dict[str, list[int]]:
    """Returns the families of two or more arms of known strength, without their origin."""
    swept = {}
    for family, indices in families(study.arms).items():
        of_known = [index for index in indices if _value(study.arms[index], family) is not None]
        if len(of_known) > 1:
            swept[family] = of_known
    return swept


def _value(arm: AuditResult, family: str) -> float | None:
    """Returns the strength of an arm; None if it is infinite or the arm is of another family."""
    if arm.strength is None or arm.strength.family != family:
        return None
    return arm.strength.value


def _rows(family: str, arm: AuditResult, attack: str) -> list[Row]:
    value = _value(arm, family)
    assert value is not None
    assert arm.strength is not None
    named: Row = {"family": family, "parameter": arm.strength.parameter, "strength": value}
    accuracy = estimate_cells("accuracy", arm.known_accuracy)
    return [
        {
            **named,
            "adversary": result.adversary,
            **estimate_cells("auc", result.metrics["auc"]),
            **accuracy,
        }
        for result in arm.attacks
        if result.attack == attack
    ]


@dataclass(frozen=True)
class _Sweep:
    """A family of arms at several strengths; `origin` is the arm at strength zero, if any."""

    family: str
    arms: list[AuditResult]
    strengths: list[float]
    origin: AuditResult | None
    look: Look

    @classmethod
    def of(cls, study: StudyResult, family: str, members: list[int], look: Look) -> "_Sweep":
        """Returns the family of the arms with these indices."""
        arms = [study.arms[index] for index in members]
        values = [_value(arm, family) for arm in arms]
        strengths = [value for value in values if value is not None]
        strength = arms[0].strength
        origin = None
        if strength is not None:
            origin = next((arm for arm in study.arms if arm.key == strength.origin), None)
        return cls(family, arms, strengths, origin, look)


def strength_figure(study: StudyResult, swept: dict[str, list[int]]) -> Figure:
    """Returns two panels for each family of schemes: AUC above test accuracy.

    `swept` holds the indices of each family's arms.
    """
    attack, arm_looks = adaptive_attacks(study)[0], looks(study.arms)
    columns = min(len(swept), MOST_COLUMNS)
    rows = math.ceil(len(swept) / columns)
    height = 1.9 if rows > 1 else 2.2
    count = 2 * rows * columns
    figure, panel_axes = panels(count, height, sharey=False, columns=columns)
    swept_families = list(swept.items())
    with mpl.rc_context(STYLE):
        for index in range(rows * columns):
            row, column = divmod(index, columns)
            above = panel_axes[2 * row * columns + column]
            below = panel_axes[(2 * row + 1) * columns + column]
            if index >= len(swept):
                above.remove()
                below.remove()
                continue
            family, members = swept_families[index]
            sweep = _Sweep.of(study, family, members, arm_looks[members[-1]])
            _draw_auc(above, sweep, attack, labelled=column == 0)
            _draw_accuracy(below, sweep, labelled=column == 0)
        for start in range(0, count, columns):
            _same_limits(panel_axes[start : start + columns])
        legend(figure)
    return figure


def _same_limits(row: list[Axes]) -> None:
    """Gives the panels of a row the same y axis, so that slopes can be compared."""
    present = [axes for axes in row if axes.figure is not None]
    limits = [axes.get_ylim() for axes in present]
    for axes in present:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def _draw_auc(axes: Axes, sweep: _Sweep, attack: str, labelled: bool) -> None:
    """Draws the AUC of the attack, that of the naive adversary, and the band of the origin."""
    adaptive = [arm.metric(attack, "auc") for arm in sweep.arms]
    _draw_sweep(axes, sweep, adaptive, 1.0)
    naive: list[Point] = []
    for strength, arm in zip(sweep.strengths, sweep.arms, strict=True):
        result = arm.attack(attack, "naive")
        if result is not None:
            naive.append((strength, result.metrics["auc"]))
    if naive:
        _line(axes, naive, sweep.look, 1.0, ":", "none")
    if sweep.origin is not None:
        _band(axes, sweep.origin.metric(attack, "auc"), 1.0)
    axes.set(title=cut(sweep.family, TITLE), ylabel="attack AUC" if labelled else "")
    axes.axhline(0.5, color="0.4", linestyle="--", linewidth=1)


def _draw_accuracy(axes: Axes, sweep: _Sweep, labelled: bool) -> None:
    """Draws the test accuracy and the band of the origin."""
    _draw_sweep(axes, sweep, [arm.known_accuracy for arm in sweep.arms], 100.0)
    if sweep.origin is not None:
        _band(axes, sweep.origin.known_accuracy, 100.0)
    strength = sweep.arms[0].strength
    parameter = "" if strength is None else strength.parameter
    axes.set(xlabel=cut(parameter, TITLE), ylabel="test accuracy, %" if labelled else "")


def _draw_sweep(axes: Axes, sweep: _Sweep, estimates: list[Estimate], scale: float) -> None:
    """Draws estimates against strength, on a logarithmic axis where the strengths are far apart."""
    look = sweep.look
    points = list(zip(sweep.strengths, estimates, strict=True))
    _line(axes, points, look, scale, look.line, look.colour)
    weakest, strongest = min(sweep.strengths), max(sweep.strengths)
    if weakest > 0 and strongest > SPREAD * weakest:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def _line(
    axes: Axes, points: list[Point], look: Look, scale: float, line: object, face: str
) -> None:
    strengths = [strength for strength, _ in points]
    estimates = [estimate for _, estimate in points]
    axes.errorbar(
        strengths,
        [estimate.value * scale for estimate in estimates],
        yerr=error_bars(estimates, scale),
        fmt=look.mark,
        linestyle=line,
        color=look.colour,
        markerfacecolor=face,
        markersize=4,
        linewidth=1,
        capsize=2,
    )
    for strength, estimate in points:
        (spot,) = axes.plot(strength, estimate.value * scale, "o", alpha=0, markersize=7)
        digits = 1 if scale > 1 else 3
        set_tip(spot, f"strength {strength:g}: {number(estimate, scale, digits)}")


def _band(axes: Axes, estimate: Estimate, scale: float) -> None:
    axes.axhspan(estimate.low * scale, estimate.high * scale, color="0.85", zorder=0)
    axes.axhline(estimate.value * scale, color="0.6", linewidth=1, zorder=0.5)
