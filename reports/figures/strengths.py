"""Attack and accuracy against the strength of the noise."""

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from mgaudit.reports.families import families
from mgaudit.reports.figures.accuracy import adaptive_attacks
from mgaudit.reports.figures.drawing import (
    MOST_COLUMNS,
    STYLE,
    TITLE,
    Drawing,
    Row,
    bars,
    cut,
    estimate_cells,
    legend,
    panels,
)
from mgaudit.reports.figures.palette import Look, looks
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


def strength_figure(study: StudyResult, swept: dict[str, list[int]]) -> Figure:
    """Returns two panels for each family of schemes, by the numbers of its arms: AUC above test accuracy."""
    attack, styles = adaptive_attacks(study)[0], looks(study.arms)
    columns = min(len(swept), MOST_COLUMNS)
    rows = -(-len(swept) // columns)
    figure, axes_of = panels(2 * rows * columns, 1.9 if rows > 1 else 2.2, sharey=False, columns=columns)
    with mpl.rc_context(STYLE):
        for place, (family, members) in enumerate(swept.items()):
            row, column = divmod(place, columns)
            above, below = (axes_of[(2 * row + half) * columns + column] for half in (0, 1))
            arms, look = [study.arms[one] for one in members], styles[members[-1]]
            strengths = [value for arm in arms if (value := _value(arm, family)) is not None]
            origin = next((arm for arm in study.arms if arms[0].strength and arm.key == arms[0].strength.origin), None)
            for axes, scale, found in (
                (above, 1.0, [arm.metric(attack, "auc") for arm in arms]),
                (below, 100.0, [arm.test_accuracy for arm in arms]),
            ):
                _line(axes, list(zip(strengths, found, strict=True)), look, scale, look.line, look.colour)
                if min(strengths) > 0 and max(strengths) > SPREAD * min(strengths):
                    axes.set_xscale("log")
                    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                    axes.xaxis.set_minor_formatter(NullFormatter())
            naive = [
                (value, one.metrics["auc"])
                for value, arm in zip(strengths, arms, strict=True)
                if (one := arm.attack(attack, "naive")) is not None
            ]
            if naive:
                _line(above, naive, look, 1.0, ":", "none")
            if origin is not None:
                _band(above, origin.metric(attack, "auc"), 1.0)
                _band(below, origin.test_accuracy, 100.0)
            above.set(title=cut(family, TITLE), ylabel="attack AUC" if column == 0 else "")
            above.axhline(0.5, color="0.4", linestyle="--", linewidth=1)
            name = arms[0].strength.parameter if arms[0].strength is not None else ""
            below.set(xlabel=cut(name, TITLE), ylabel="test accuracy, %" if column == 0 else "")
        for spare in range(len(swept), rows * columns):
            row, column = divmod(spare, columns)
            for half in (0, 1):
                axes_of[(2 * row + half) * columns + column].remove()
        legend(figure)
    return figure


def _line(axes: Axes, points: list[Point], look: Look, scale: float, line: object, face: str) -> None:
    strengths, estimates = [one[0] for one in points], [one[1] for one in points]
    below, above = ([bars(one, scale)[side][0] for one in estimates] for side in (0, 1))
    axes.errorbar(
        strengths,
        [one.value * scale for one in estimates],
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
