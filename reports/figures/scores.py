"""What the attack's scores look like."""

import matplotlib as mpl
import numpy as np
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


def score_drawing(study: StudyResult, arrays: Arrays) -> Drawing:
    """Returns the scores of members and non-members under the first attack."""
    return Drawing(
        "scores",
        lambda: score_figure(study, arrays),
        f"Scores of the attack {headline(study.arms[0]).attack} for members and non-members, all targets together, "
        "between their 0.5 and 99.5 percentiles. The more they overlap, the less the attacker learns."
        + (f" The first {MOST_NAMED_ARMS} arms." if len(study.arms) > MOST_NAMED_ARMS else ""),
        "; ".join(
            f"{arm.label}: best balanced accuracy {number(headline(arm).metrics['balanced_accuracy'])}"
            for arm in study.arms
        ),
        _data(study, arrays),
    )


def _histograms(
    study: StudyResult, arrays: Arrays
) -> list[tuple[AuditResult, NDArray[np.float64], list[NDArray[np.float64]]]]:
    """Returns of each arm shown the edges of the bins, and the densities of members and of non-members."""
    found = []
    for index, arm in enumerate(study.arms[:MOST_NAMED_ARMS]):
        attack = headline(arm)
        scores, members = attack_scores(arrays, index, attack.attack), arrays["membership"][attack.targets]
        low, high = np.quantile(scores, [0.005, 0.995])
        edges = np.linspace(low, high if high > low else low + 1, BINS)
        found.append((arm, edges, [np.histogram(scores[side], edges, density=True)[0] for side in (members, ~members)]))
    return found


def _data(study: StudyResult, arrays: Arrays) -> list[Row]:
    return [
        {"scheme": arm.key, "from": low, "to": high, "members": inside, "non_members": outside}
        for arm, edges, densities in _histograms(study, arrays)
        for low, high, inside, outside in zip(
            edges[:-1].tolist(), edges[1:].tolist(), *map(list, densities), strict=True
        )
    ]


def score_figure(study: StudyResult, arrays: Arrays) -> Figure:
    """Returns histograms of the headline attack's scores, a panel for each of the first arms."""
    histograms = _histograms(study, arrays)
    figure, axes_of = panels(len(histograms), 2.4, sharey=False)
    with mpl.rc_context(STYLE):
        for axes, (arm, edges, densities) in zip(axes_of, histograms, strict=True):
            for density, colour, label in zip(densities, (MEMBER, NON_MEMBER), ("members", "non-members"), strict=True):
                axes.stairs(density, edges, fill=True, color=colour, alpha=0.55, label=label)
            axes.set(xlabel="score", title=cut(arm.label, TITLE), yticks=[])
            axes.title.set_fontsize(8)
            axes.xaxis.set_major_locator(MaxNLocator(5))
        for axes in axes_of[::MOST_COLUMNS]:
            axes.set_ylabel("density")
        legend(figure, axes_of[0])
    return figure
