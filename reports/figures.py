"""The figures of a report: results in, matplotlib figures out, and a figure as SVG."""

import io
import math
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from reports.results import Arrays, AttackResult, AuditResult, Estimate, StudyResult
from reports.tables import headline, metric_title, number

# Okabe and Ito's palette, told apart by colour-blind readers; the first colour is the first arm's, and so on.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
MEMBER, NON_MEMBER = "#D55E00", "#56B4E9"
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
}
SMALLEST_FPR = 1e-3
MOST_COLUMNS = 3
PICTURES = 8
MOST_PICTURED_ARMS = 4
MOST_DRAWN_ARMS = 7  # as many as there are colours
LEGEND_WIDTH = 100  # characters
PAGE_HEIGHT = 9.0  # inches


@dataclass(frozen=True)
class Drawing:
    """A figure as SVG with what it shows in words: a short caption, and its numbers for those who do not see it."""

    name: str
    svg: str
    caption: str
    description: str


def drawings(study: StudyResult, arrays: Arrays) -> list[Drawing]:
    """Returns the figures of attacks and accuracy, in their order."""
    first = headline(study.arms[0]).attack
    naive = any(attack.knowledge == "naive" for arm in study.arms for attack in arm.attacks)
    first_arms = f" The first {MOST_DRAWN_ARMS} arms." if len(study.arms) > MOST_DRAWN_ARMS else ""
    return [
        Drawing(
            "accuracy-vs-auc",
            svg(accuracy_figure(study), "accuracy-vs-auc"),
            "Test accuracy against attack AUC. Right is more accurate, down is more private; bars are 95 % intervals. "
            f"The dashed line is guessing.{' Hollow: the naive adversary.' if naive else ''}",
            "; ".join(
                f"{arm.label}: test accuracy {number(arm.test_accuracy, scale=100, digits=1)} %, "
                + ", ".join(f"AUC {number(attack.metrics['auc'])} under {attack.name}" for attack in arm.attacks)
                for arm in study.arms
            ),
        ),
        Drawing(
            "roc",
            svg(roc_figure(study, arrays), "roc"),
            "ROC curves on logarithmic axes, the mean over targets; points are the TPR at 0.1, 1 and 10 % FPR with "
            f"95 % intervals. The dashed line is guessing.{' Dotted: the naive adversary.' if naive else ''}"
            + first_arms,
            "; ".join(
                f"{arm.label} under {attack.name}: "
                + ", ".join(
                    f"{metric_title(name)}: {number(estimate, scale=100, digits=2)}"
                    for name, estimate in attack.metrics.items()
                    if name.startswith("tpr")
                )
                for arm in study.arms
                for attack in arm.attacks
            ),
        ),
        Drawing(
            "scores",
            svg(score_figure(study, arrays), "scores"),
            f"Scores of the attack {first} for members and non-members, all targets together, between their 0.5 and "
            f"99.5 percentiles. The more they overlap, the less the attacker learns.{first_arms}",
            "; ".join(
                f"{arm.label}: best balanced accuracy {number(headline(arm).metrics['balanced_accuracy'])}"
                for arm in study.arms
            ),
        ),
    ]


def exposed_drawing(study: StudyResult, arrays: Arrays) -> Drawing | None:
    """Returns the pictures of the most exposed examples, or None where the data are no pictures."""
    if "arm0/most_exposed_pictures" not in arrays:
        return None
    return Drawing(
        "most-exposed",
        svg(exposed_figure(study, arrays), "most-exposed"),
        "The most exposed examples, with their class and the share of non-members that they outrank where trained on"
        + (f" (the first {MOST_PICTURED_ARMS} arms)." if len(study.arms) > MOST_PICTURED_ARMS else "."),
        "; ".join(
            f"{arm.label}: " + ", ".join(f"{one.label} {one.origin}" for one in arm.most_exposed[:PICTURES])
            for arm in study.arms[:MOST_PICTURED_ARMS]
        ),
    )


def svg(figure: Figure, salt: str) -> str:
    """Returns the figure as an SVG element, the same bytes each time; `salt` keeps ids apart on one page."""
    buffer = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _panels(count: int, height: float, sharey: bool = True) -> tuple[Figure, list[Axes]]:
    """Returns a figure with `count` panels, at most three in a row, of `height` inches where a page has room."""
    columns = min(count, MOST_COLUMNS)
    rows = math.ceil(count / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, min(height * rows, PAGE_HEIGHT)), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False, sharey=sharey).flat)
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def _attacks(study: StudyResult) -> list[str]:
    return [attack.attack for attack in study.arms[0].attacks if attack.knowledge == "adaptive"]


def _mounted(arm: AuditResult, attack: str) -> list[AttackResult]:
    """Returns the attack as the adaptive adversary mounts it and, if there is one, as the naive one does."""
    found = [arm.attack(attack, knowledge) for knowledge in ("adaptive", "naive")]
    return [one for one in found if one is not None]


def _bars(estimate: Estimate, scale: float = 1.0) -> list[list[float]]:
    return [[(estimate.value - estimate.low) * scale], [(estimate.high - estimate.value) * scale]]


def accuracy_figure(study: StudyResult) -> Figure:
    """Returns test accuracy against AUC, a panel for each attack, a point with both intervals for each arm.

    Many arms share a colour and a mark by their schemes, whatever the strength.
    """
    names = [arm.label for arm in study.arms]
    if len(names) > MOST_DRAWN_ARMS:
        names = [_kind(arm) for arm in study.arms]
    places = [list(dict.fromkeys(names)).index(name) for name in names]
    figure, panels = _panels(len(_attacks(study)), 3.1)
    with mpl.rc_context(STYLE):
        for attack, axes in zip(_attacks(study), panels, strict=True):
            for index, arm in enumerate(study.arms):
                for mounted in _mounted(arm, attack):
                    naive = mounted.knowledge == "naive"
                    auc = mounted.metrics["auc"]
                    axes.errorbar(
                        arm.test_accuracy.value * 100,
                        auc.value,
                        xerr=_bars(arm.test_accuracy, 100),
                        yerr=_bars(auc),
                        fmt=MARKERS[(places[index] + places[index] // len(COLOURS)) % len(MARKERS)],
                        color=COLOURS[places[index] % len(COLOURS)],
                        markerfacecolor="none" if naive else COLOURS[places[index] % len(COLOURS)],
                        capsize=2,
                        label=None if naive else names[index],
                    )
            axes.axhline(0.5, color="0.4", linestyle="--", linewidth=1)
            axes.set(xlabel="test accuracy, %", title=attack)
            axes.margins(0.12)
            axes.yaxis.set_major_locator(MaxNLocator(6))
        for axes in panels[::MOST_COLUMNS]:
            axes.set_ylabel("attack AUC")
        _legend(figure, panels[0])
    return figure


def roc_figure(study: StudyResult, arrays: Arrays) -> Figure:
    """Returns log-log ROC curves, a panel for each attack, a curve for each of the first arms."""
    figure, panels = _panels(len(_attacks(study)), 3.6)
    fpr = arrays["roc_fpr"]
    shown = fpr >= SMALLEST_FPR
    floor = SMALLEST_FPR / 3
    with mpl.rc_context(STYLE):
        for axes, attack in zip(panels, _attacks(study), strict=True):
            for index, arm in enumerate(study.arms[:MOST_DRAWN_ARMS]):
                colour = COLOURS[index % len(COLOURS)]
                for mounted in _mounted(arm, attack):
                    tpr = np.maximum(arrays[f"arm{index}/{mounted.name}/roc_tpr"][shown], floor)
                    if mounted.knowledge == "naive":
                        axes.plot(fpr[shown], tpr, color=colour, linewidth=1, linestyle=":")
                        continue
                    axes.plot(fpr[shown], tpr, color=colour, label=arm.label, linewidth=1.4)
                    for level in (0.001, 0.01, 0.1):
                        estimate = mounted.metrics[f"tpr_at_{level:g}_fpr"]
                        low, high = max(estimate.low, floor), max(estimate.high, floor)
                        # Arms are set a little apart, or their bars would hide one another.
                        x = level * 1.08 ** (index - (min(len(study.arms), MOST_DRAWN_ARMS) - 1) / 2)
                        axes.plot([x, x], [low, high], color=colour, linewidth=1)
                        value = max(estimate.value, floor)
                        axes.plot(x, value, MARKERS[index % len(MARKERS)], color=colour, markersize=4)
            axes.plot([SMALLEST_FPR, 1], [SMALLEST_FPR, 1], color="0.4", linestyle="--", linewidth=1)
            axes.set(xscale="log", yscale="log", xlim=(SMALLEST_FPR * 0.8, 1), ylim=(floor, 1.1))
            axes.set(xlabel="false positive rate", title=attack)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
        for axes in panels[::MOST_COLUMNS]:
            axes.set_ylabel("true positive rate")
        _legend(figure, panels[0])
    return figure


def score_figure(study: StudyResult, arrays: Arrays) -> Figure:
    """Returns histograms of the headline attack's scores, a panel for each of the first arms."""
    arms = study.arms[:MOST_DRAWN_ARMS]
    figure, panels = _panels(len(arms), 2.4, sharey=False)
    membership = arrays["membership"]
    with mpl.rc_context(STYLE):
        for index, (axes, arm) in enumerate(zip(panels, arms, strict=True)):
            attack = headline(arm)
            scores, members_of = arrays[f"arm{index}/{attack.attack}/scores"], membership[attack.targets]
            low, high = np.quantile(scores, [0.005, 0.995])
            bins = np.linspace(low, high if high > low else low + 1, 60)
            for members, colour, label in ((True, MEMBER, "members"), (False, NON_MEMBER, "non-members")):
                axes.hist(
                    scores[members_of == members], bins=list(bins), density=True, color=colour, alpha=0.55, label=label
                )
            axes.set(xlabel="score", title=_title(arm), yticks=[])
            axes.title.set_fontsize(8 if len(arms) < MOST_COLUMNS else 7)
            axes.xaxis.set_major_locator(MaxNLocator(5))
        for axes in panels[::MOST_COLUMNS]:
            axes.set_ylabel("density")
        _legend(figure, panels[0])
    return figure


def exposed_figure(study: StudyResult, arrays: Arrays) -> Figure:
    """Returns pictures of the most exposed examples, a row for each of the first arms."""
    arms = study.arms[:MOST_PICTURED_ARMS]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 1.5 * len(arms)), layout="constrained")
        bands = figure.subfigures(len(arms), 1, squeeze=False)[:, 0]
        for index, (band, arm) in enumerate(zip(bands, arms, strict=True)):
            band.suptitle(_title(arm), x=0.01, ha="left", fontsize=8, fontweight="bold")
            row = band.subplots(1, PICTURES, squeeze=False)[0]
            for axes in row:
                axes.set_axis_off()
            for axes, picture, one in zip(
                row, arrays[f"arm{index}/most_exposed_pictures"], arm.most_exposed, strict=False
            ):
                axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                axes.set_title(f"{_cut(one.label, 12)}\n{_percent(one.rank_in)}", fontsize=7)
    return figure


def _percent(rank: Estimate | None) -> str:
    return "–" if rank is None else f"{rank.value * 100:.0f} %"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _title(arm: AuditResult) -> str:
    return _cut(arm.label, 40)


def _kind(arm: AuditResult) -> str:
    """Returns the arm's schemes without their strengths."""
    return " + ".join(part.partition(":")[0] for part in arm.scheme.split("+")) if arm.scheme != "none" else arm.label


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    entries = dict(zip(labels, handles, strict=True))
    columns = max(1, min(len(entries), MOST_COLUMNS, LEGEND_WIDTH // (max(map(len, entries)) + 8)))
    figure.legend(entries.values(), entries.keys(), loc="outside upper center", ncols=columns)
