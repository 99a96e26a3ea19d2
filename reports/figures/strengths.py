"""Attack and accuracy against the strength of the noise."""

from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from mgaudit.reports.families import families
from mgaudit.reports.figures.accuracy import adaptive_attacks
from mgaudit.reports.figures.drawing import STYLE, TITLE, Drawing, Row, cut, estimate_cells
from mgaudit.reports.figures.palette import Look, looks
from mgaudit.reports.figures.panels import MOST_COLUMNS, bars, legend, panels
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.table import number

Point = tuple[float, Estimate]
MOST_FAMILIES = 6
SPREAD = 8  # strengths that differ by more than this factor are drawn on a logarithmic axis


def strength_drawings(study: StudyResult) -> list[Drawing]:
    """Returns AUC and test accuracy against strength, for schemes of which there are several, a page each few."""
    swept = list(_swept(study).items())
    pages = [dict(swept[start : start + MOST_FAMILIES]) for start in range(0, len(swept), MOST_FAMILIES)]
    return [
        _drawing(study, page, "strength" if len(pages) == 1 else f"strength-{number_ + 1}")
        for number_, page in enumerate(pages)
    ]


def _drawing(study: StudyResult, swept: dict[str, list[int]], name: str) -> Drawing:
    attack = adaptive_attacks(study)[0]
    return Drawing(
        name,
        lambda: strength_figure(study, swept),
        f"Above, AUC of the attack {attack} (hollow and dotted: the naive adversary); below, test accuracy; both "
        "against the strength of each scheme. Bars are 95 % intervals, the grey band is the arm at strength zero.",
        "; ".join(
            f"{study.arms[place].label}: AUC {number(study.arms[place].metric(attack, 'auc'))}, test accuracy "
            f"{number(study.arms[place].test_accuracy, 100, 1)} %"
            for places in swept.values()
            for place in places
        ),
        [
            row
            for family, places in swept.items()
            for place in places
            for row in _rows(family, study.arms[place], attack)
        ],
    )


def _swept(study: StudyResult) -> dict[str, list[int]]:
    """Returns the families of two arms or more of known strength, without their origin."""
    found = {
        family: [place for place in places if _value(study.arms[place], family) is not None]
        for family, places in families(study.arms).items()
    }
    return {family: places for family, places in found.items() if len(places) > 1}


def _value(arm: AuditResult, family: str) -> float | None:
    return arm.strength.value if arm.strength is not None and arm.strength.family == family else None


def _rows(family: str, arm: AuditResult, attack: str) -> list[Row]:
    value = _value(arm, family)
    assert value is not None
    assert arm.strength is not None
    return [
        {
            "family": family,
            "parameter": arm.strength.parameter,
            "strength": value,
            "knowledge": found.knowledge,
            **estimate_cells("auc", found.metrics["auc"]),
            **estimate_cells("test_accuracy", arm.test_accuracy),
        }
        for found in arm.attacks
        if found.attack == attack
    ]


@dataclass(frozen=True)
class _Sweep:
    """A family of arms at several strengths; `origin` is the arm at strength zero, if there is one."""

    family: str
    arms: list[AuditResult]
    strengths: list[float]
    origin: AuditResult | None
    look: Look

    @classmethod
    def of(cls, study: StudyResult, family: str, members: list[int], look: Look) -> "_Sweep":
        """Returns the family of the arms with these numbers."""
        arms = [study.arms[index] for index in members]
        strengths = [value for arm in arms if (value := _value(arm, family)) is not None]
        strength = arms[0].strength
        origins = (arm for arm in study.arms if strength is not None and arm.key == strength.origin)
        return cls(family, arms, strengths, next(origins, None), look)


def strength_figure(study: StudyResult, swept: dict[str, list[int]]) -> Figure:
    """Returns two panels for each family of schemes, by the numbers of its arms: AUC above test accuracy."""
    attack, styles = adaptive_attacks(study)[0], looks(study.arms)
    columns = min(len(swept), MOST_COLUMNS)
    rows = -(-len(swept) // columns)
    figure, axes_of = panels(2 * rows * columns, 1.9 if rows > 1 else 2.2, sharey=False, columns=columns)
    with mpl.rc_context(STYLE):
        for row in range(rows):
            for column in range(columns):
                above, below = (axes_of[(2 * row + half) * columns + column] for half in (0, 1))
                index = row * columns + column
                if index >= len(swept):
                    above.remove()
                    below.remove()
                    continue
                family, members = list(swept.items())[index]
                sweep = _Sweep.of(study, family, members, styles[members[-1]])
                _draw_auc(above, sweep, attack, labelled=column == 0)
                _draw_accuracy(below, sweep, labelled=column == 0)
        legend(figure)
    return figure


def _draw_auc(axes: Axes, sweep: _Sweep, attack: str, labelled: bool) -> None:
    """Draws the AUC of the attack, that of the naive adversary, and the band of the origin."""
    adaptive = [arm.metric(attack, "auc") for arm in sweep.arms]
    _draw_sweep(axes, sweep, adaptive, 1.0)
    naive = [
        (strength, mounted.metrics["auc"])
        for strength, arm in zip(sweep.strengths, sweep.arms, strict=True)
        if (mounted := arm.attack(attack, "naive")) is not None
    ]
    if naive:
        _line(axes, naive, sweep.look, 1.0, ":", "none")
    if sweep.origin is not None:
        _band(axes, sweep.origin.metric(attack, "auc"), 1.0)
    axes.set(title=cut(sweep.family, TITLE), ylabel="attack AUC" if labelled else "")
    axes.axhline(0.5, color="0.4", linestyle="--", linewidth=1)


def _draw_accuracy(axes: Axes, sweep: _Sweep, labelled: bool) -> None:
    """Draws the test accuracy and the band of the origin."""
    _draw_sweep(axes, sweep, [arm.test_accuracy for arm in sweep.arms], 100.0)
    if sweep.origin is not None:
        _band(axes, sweep.origin.test_accuracy, 100.0)
    strength = sweep.arms[0].strength
    parameter = "" if strength is None else strength.parameter
    axes.set(xlabel=cut(parameter, TITLE), ylabel="test accuracy, %" if labelled else "")


def _draw_sweep(axes: Axes, sweep: _Sweep, estimates: list[Estimate], scale: float) -> None:
    """Draws estimates against strength, on a logarithmic axis where the strengths are far apart."""
    look = sweep.look
    _line(axes, list(zip(sweep.strengths, estimates, strict=True)), look, scale, look.line, look.colour)
    if min(sweep.strengths) > 0 and max(sweep.strengths) > SPREAD * min(sweep.strengths):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def _line(axes: Axes, points: list[Point], look: Look, scale: float, line: object, face: str) -> None:
    strengths = [strength for strength, _ in points]
    estimates = [estimate for _, estimate in points]
    below, above = ([bars(estimate, scale)[side][0] for estimate in estimates] for side in (0, 1))
    axes.errorbar(
        strengths,
        [estimate.value * scale for estimate in estimates],
        yerr=[below, above],
        fmt=look.mark,
        linestyle=line,
        color=look.colour,
        markerfacecolor=face,
        markersize=4,
        linewidth=1,
        capsize=2,
    )


def _band(axes: Axes, estimate: Estimate, scale: float) -> None:
    axes.axhspan(estimate.low * scale, estimate.high * scale, color="0.85", zorder=0)
    axes.axhline(estimate.value * scale, color="0.6", linewidth=1, zorder=0.5)
