"""The figures of an audit of DP-SGD: its scores, its ROC curve under the ceiling, and its steps."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.dp_audit import DPAuditResult
from mgaudit.reports.figures.drawing import STYLE, Drawing, Row
from mgaudit.reports.figures.palette import MEMBER, NON_MEMBER
from mgaudit.reports.figures.panels import panels

BINS = 60
FLOOR = 1e-3
MOST_POINTS = 2000  # of a ROC curve that is drawn


def score_drawing(result: DPAuditResult, arrays: Arrays) -> Drawing:
    """Returns the scores with and without a canary."""
    scores, members = _scores(arrays)
    low, high = np.quantile(scores, [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1, BINS)
    with_canary, _ = np.histogram(scores[members], edges, density=True)
    without, _ = np.histogram(scores[~members], edges, density=True)

    def draw() -> Figure:
        figure, (axes,) = panels(1, 2.6)
        with mpl.rc_context(STYLE):
            for density, colour, label in (
                (with_canary, MEMBER, "canary in"),
                (without, NON_MEMBER, "canary out"),
            ):
                axes.stairs(density, edges, fill=True, color=colour, alpha=0.55, label=label)
            axes.set(xlabel="score", ylabel="density")
            axes.legend()
        return figure

    caption = (
        "The figure shows the scores where the coin put the canary in, and where it left it out, "
        "between the 0.1 and 99.9 percentiles."
    )
    means = f"mean {scores[members].mean():.3g} with, {scores[~members].mean():.3g} without"
    bins = zip(edges[:-1], edges[1:], with_canary, without, strict=True)
    rows: list[Row] = [
        {"from": float(left), "to": float(right), "in": float(inside), "out": float(outside)}
        for left, right, inside, outside in bins
    ]
    return Drawing("scores", draw, caption, f"Scores of {result.label}: {means}", rows)


def roc_drawing(result: DPAuditResult, arrays: Arrays) -> Drawing:
    """Returns the ROC curve of the scores, under the ceiling of the claim where there is one."""
    fpr, tpr = roc_points(*_scores(arrays))
    ceiling = result.ceiling

    def draw() -> Figure:
        figure, (axes,) = panels(1, 3.2)
        with mpl.rc_context(STYLE):
            axes.plot(fpr.clip(FLOOR), tpr.clip(FLOOR), color=MEMBER, label="adversary")
            if ceiling is not None:
                axes.plot(ceiling.fpr, ceiling.tpr, color="0.2", linestyle="-.", label="ceiling")
            axes.plot([FLOOR, 1], [FLOOR, 1], color="0.4", linestyle="--", linewidth=1)
            axes.set(xscale="log", yscale="log", xlim=(FLOOR, 1), ylim=(FLOOR, 1.1))
            axes.set(xlabel="false positive rate", ylabel="true positive rate")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
            axes.legend()
        return figure

    caption = "The figure shows the ROC curve of the scores. The dashed line is guessing."
    if ceiling is not None:
        caption += (
            " The dash-dotted line is the ceiling of the accountant: no attack exceeds it, apart "
            "from chance, if the claim holds."
        )
    best = float((tpr - fpr).max())
    rows: list[Row] = [
        {"curve": "adversary", "fpr": float(x), "tpr": float(y)}
        for x, y in zip(fpr, tpr, strict=True)
    ]
    if ceiling is not None:
        points = zip(ceiling.fpr, ceiling.tpr, strict=True)
        rows += [{"curve": "ceiling", "fpr": x, "tpr": y} for x, y in points]
    description = f"ROC curve of {result.label}: largest TPR − FPR {best:.3f}"
    return Drawing("roc", draw, caption, description, rows)


def steps_drawing(result: DPAuditResult) -> Drawing | None:
    """Returns the implied epsilon against the number of audited steps; None without any."""
    facts = result.white_box
    if facts is None or len(facts.by_steps) < 2:
        return None
    steps, implied = zip(*facts.by_steps, strict=True)
    claimed = result.epsilon_claimed

    def draw() -> Figure:
        figure, (axes,) = panels(1, 2.6)
        with mpl.rc_context(STYLE):
            axes.plot(steps, implied, marker="o", color=MEMBER, label="implied by the guesses")
            if claimed is not None:
                axes.axhline(claimed, color="0.2", linestyle="-.", label="claimed")
            axes.set(xscale="log", xlabel="audited steps", ylabel="ε at least", ylim=(0, None))
            axes.legend()
        return figure

    caption = (
        "The figure shows the ε that the guesses of the first steps imply for all steps, against "
        f"the number of these steps; at δ = {result.delta:.2e}."
    )
    pairs = ", ".join(f"{epsilon:.2f} by {count}" for count, epsilon in facts.by_steps)
    rows: list[Row] = [
        {"steps": count, "epsilon_implied": epsilon} for count, epsilon in facts.by_steps
    ]
    return Drawing("steps", draw, caption, f"Implied ε of {result.label}: {pairs} steps", rows)


def roc_points(
    scores: NDArray[np.float64], members: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the false and true positive rates (points,) of "score >= threshold", ascending.

    Equal scores are passed together. At most about 2,000 points are returned.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(members[order])[ends]
    false = ends + 1 - hits
    step = max(len(ends) // MOST_POINTS, 1)
    kept = np.unique(np.append(np.arange(0, len(ends), step), len(ends) - 1))
    positives, negatives = max(int(members.sum()), 1), max(int((~members).sum()), 1)
    fpr = np.append(0.0, false[kept] / negatives)
    return fpr, np.append(0.0, hits[kept] / positives)


def _scores(arrays: Arrays) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Returns scores and coins, flat."""
    coins = arrays["coins"] if "coins" in arrays else arrays["membership"]
    return arrays["scores"].ravel(), coins.ravel()
