"""Histograms of the attack's scores."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from mgaudit.reports.arrays import Arrays, attack_scores
from mgaudit.reports.figures.drawing import STYLE, TITLE, Drawing, Row, cut, pages, set_tip
from mgaudit.reports.figures.palette import MEMBER, NON_MEMBER
from mgaudit.reports.figures.panels import columns_of, legend, panels
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.table import number
from mgaudit.reports.tables import headline

BINS = 60
ARMS_OF_A_PAGE = 9


@dataclass(frozen=True)
class _Histogram:
    """The scores of one arm: edges of the bins (bins + 1), and densities (bins) of both groups."""

    arm: AuditResult
    edges: NDArray[np.float64]
    members: NDArray[np.float64]
    non_members: NDArray[np.float64]


def score_drawings(study: StudyResult, arrays: Arrays) -> list[Drawing]:
    """Returns the scores of members and non-members under the first attack.

    A figure has a few arms.
    """
    every = range(len(study.arms))
    return [
        _drawing(study, arrays, page, name) for name, page in pages("scores", every, ARMS_OF_A_PAGE)
    ]


def _drawing(study: StudyResult, arrays: Arrays, page: list[int], name: str) -> Drawing:
    attack = headline(study.arms[0]).attack
    return Drawing(
        name,
        lambda: score_figure(study, arrays, page),
        f"The figure shows the density of the scores of the attack {attack} on a logarithmic axis, "
        "for members (solid) and non-members (dashed) of all targets, between the 0.1 and 99.9 "
        "percentiles. Where the lines are apart, the score reveals members.",
        "; ".join(_describe(study.arms[index]) for index in page),
        _data(study, arrays, page),
    )


def _describe(arm: AuditResult) -> str:
    accuracy = headline(arm).metrics["balanced_accuracy"]
    return f"{arm.label}: best balanced accuracy {number(accuracy)}"


def _histograms(study: StudyResult, arrays: Arrays, page: list[int]) -> list[_Histogram]:
    """Returns the histograms of the arms with these indices."""
    return [_histogram(index, study.arms[index], arrays) for index in page]


def _histogram(index: int, arm: AuditResult, arrays: Arrays) -> _Histogram:
    attack = headline(arm)
    scores = attack_scores(arrays, index, attack.attack)
    membership = arrays["membership"][attack.targets]
    low, high = np.quantile(scores, [0.001, 0.999])
    # Equal scores have no range of their own.
    edges = np.linspace(low, high if high > low else low + 1, BINS)
    members, _ = np.histogram(scores[membership], edges, density=True)
    non_members, _ = np.histogram(scores[~membership], edges, density=True)
    return _Histogram(arm, edges, members, non_members)


def _data(study: StudyResult, arrays: Arrays, page: list[int]) -> list[Row]:
    rows: list[Row] = []
    for histogram in _histograms(study, arrays, page):
        edges = histogram.edges.tolist()
        densities = (list(histogram.members), list(histogram.non_members))
        for low, high, inside, outside in zip(edges[:-1], edges[1:], *densities, strict=True):
            limits = {"arm": histogram.arm.key, "from": low, "to": high}
            rows.append({**limits, "members": inside, "non_members": outside})
    return rows


def score_figure(study: StudyResult, arrays: Arrays, page: list[int]) -> Figure:
    """Returns histograms of the first attack's scores, a panel for each of the arms."""
    histograms = _histograms(study, arrays, page)
    figure, panel_axes = panels(len(histograms), 2.4, sharey=False)
    with mpl.rc_context(STYLE):
        for axes, histogram in zip(panel_axes, histograms, strict=True):
            _draw_density(axes, histogram.members, histogram.edges, MEMBER, "members", "-")
            _draw_density(
                axes, histogram.non_members, histogram.edges, NON_MEMBER, "non-members", "--"
            )
            _add_tips(axes, histogram)
            axes.set(xlabel="score", title=cut(histogram.arm.label, TITLE), yscale="log")
            axes.title.set_fontsize(8)
            axes.yaxis.set_major_formatter(NullFormatter())
            axes.yaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_locator(MaxNLocator(5))
        for axes in panel_axes[:: columns_of(len(panel_axes))]:
            axes.set_ylabel("density, log scale")
        legend(figure, panel_axes[0])
    return figure


def _add_tips(axes: Axes, histogram: _Histogram) -> None:
    """Adds bars without colour, at which HTML shows the densities of a bin."""
    densities = (histogram.members, histogram.non_members)
    for low, high, inside, outside in zip(
        histogram.edges[:-1], histogram.edges[1:], *densities, strict=True
    ):
        span = axes.axvspan(low, high, alpha=0)
        text = f"density of members {inside:.3g}, of non-members {outside:.3g}"
        set_tip(span, f"{histogram.arm.label}, scores {low:.3g} to {high:.3g}: {text}")


def _draw_density(
    axes: Axes,
    density: NDArray[np.float64],
    edges: NDArray[np.float64],
    colour: str,
    label: str,
    line: str,
) -> None:
    """Draws the outline of a histogram; bins without a score have no place on the axis."""
    positive = np.where(density > 0, density, np.nan)
    axes.stairs(
        positive, edges, baseline=None, color=colour, linestyle=line, linewidth=1.3, label=label
    )
