"""Histograms of the attack's scores."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mgaudit.reports.arrays import Arrays, attack_scores
from mgaudit.reports.figures.accuracy import MOST_NAMED_ARMS
from mgaudit.reports.figures.drawing import STYLE, TITLE, Drawing, Row, cut
from mgaudit.reports.figures.palette import MEMBER, NON_MEMBER
from mgaudit.reports.figures.panels import MOST_COLUMNS, legend, panels
from mgaudit.reports.results import AuditResult, StudyResult
from mgaudit.reports.table import number
from mgaudit.reports.tables import headline

BINS = 60


@dataclass(frozen=True)
class _Histogram:
    """The scores of one arm: edges of the bins (bins + 1), and densities (bins) of both groups."""

    arm: AuditResult
    edges: NDArray[np.float64]
    members: NDArray[np.float64]
    non_members: NDArray[np.float64]


def score_drawing(study: StudyResult, arrays: Arrays) -> Drawing:
    """Returns the scores of members and non-members under the first attack."""
    attack = headline(study.arms[0]).attack
    caption = (
        f"The figure shows the scores of the attack {attack} for members and non-members of all "
        "targets, between the 0.5 and 99.5 percentiles. The more the two histograms overlap, the "
        "less the attacker learns."
    )
    if len(study.arms) > MOST_NAMED_ARMS:
        caption += f" Only the first {MOST_NAMED_ARMS} arms are shown."
    return Drawing(
        "scores",
        lambda: score_figure(study, arrays),
        caption,
        "; ".join(map(_describe, study.arms)),
        _data(study, arrays),
    )


def _describe(arm: AuditResult) -> str:
    accuracy = headline(arm).metrics["balanced_accuracy"]
    return f"{arm.label}: best balanced accuracy {number(accuracy)}"


def _histograms(study: StudyResult, arrays: Arrays) -> list[_Histogram]:
    """Returns the histograms of the first arms."""
    arms = study.arms[:MOST_NAMED_ARMS]
    return [_histogram(index, arm, arrays) for index, arm in enumerate(arms)]


def _histogram(index: int, arm: AuditResult, arrays: Arrays) -> _Histogram:
    attack = headline(arm)
    scores = attack_scores(arrays, index, attack.attack)
    membership = arrays["membership"][attack.targets]
    low, high = np.quantile(scores, [0.005, 0.995])
    # Equal scores have no range of their own.
    edges = np.linspace(low, high if high > low else low + 1, BINS)
    members, _ = np.histogram(scores[membership], edges, density=True)
    non_members, _ = np.histogram(scores[~membership], edges, density=True)
    return _Histogram(arm, edges, members, non_members)


def _data(study: StudyResult, arrays: Arrays) -> list[Row]:
    rows: list[Row] = []
    for histogram in _histograms(study, arrays):
        edges = histogram.edges.tolist()
        densities = (list(histogram.members), list(histogram.non_members))
        for low, high, inside, outside in zip(edges[:-1], edges[1:], *densities, strict=True):
            limits = {"arm": histogram.arm.key, "from": low, "to": high}
            rows.append({**limits, "members": inside, "non_members": outside})
    return rows


def score_figure(study: StudyResult, arrays: Arrays) -> Figure:
    """Returns histograms of the first attack's scores, a panel for each of the first arms."""
    histograms = _histograms(study, arrays)
    figure, panel_axes = panels(len(histograms), 2.4, sharey=False)
    with mpl.rc_context(STYLE):
        for axes, histogram in zip(panel_axes, histograms, strict=True):
            _draw_density(axes, histogram.members, histogram.edges, MEMBER, "members")
            _draw_density(axes, histogram.non_members, histogram.edges, NON_MEMBER, "non-members")
            axes.set(xlabel="score", title=cut(histogram.arm.label, TITLE), yticks=[])
            axes.title.set_fontsize(8)
            axes.xaxis.set_major_locator(MaxNLocator(5))
        for axes in panel_axes[::MOST_COLUMNS]:
            axes.set_ylabel("density")
        legend(figure, panel_axes[0])
    return figure


def _draw_density(
    axes: Axes, density: NDArray[np.float64], edges: NDArray[np.float64], colour: str, label: str
) -> None:
    axes.stairs(density, edges, fill=True, color=colour, alpha=0.55, label=label)
