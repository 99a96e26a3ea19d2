"""Test accuracy, loss and the trace of the Hessian along training, for several networks.

This is the layout of the paper's Fig. 4, 5 and 7–12: one network with three kinds of noise, at one
σ. The rows are those of `noisy_training`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mgaudit.attacks.intervals import mean_interval
from mgaudit.papers.claim import Data, Measured, NotRun, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.rows import column, distinct, matching
from mgaudit.papers.statistics import chosen_mean_interval
from mgaudit.papers.weight_noise.mean_over_seeds import mean_over_seeds
from mgaudit.papers.weight_noise.noises import NOISE_LOOKS, NOISES, noise_label
from mgaudit.papers.weight_noise.noisy_training import (
    at_end,
    difference,
    ratio_of_traces,
    size_words,
    untrained,
)
from mgaudit.reports.figures.panels import legend, panels

Check = Callable[[Data], Measured | NotRun]


def draw_curves(data: Data, names: dict[str, str], loss: str) -> Figure:
    """Returns a row of three panels for each network: accuracy, loss and trace against the step.

    `names` maps the experiments in the rows to the titles of the rows of panels; `loss` is the
    column of the loss.
    """
    figure, axes = panels(3 * len(names), 1.9, sharey=False, columns=3)
    words = {"training_loss": "training loss", "test_loss": "test loss"}[loss]
    columns = (("accuracy", 100.0), (loss, 1.0), ("trace", 1.0))
    for number, (experiment, title) in enumerate(names.items()):
        own_axes = axes[3 * number : 3 * number + 3]
        rows = matching(data["models"], experiment=experiment)
        for axis, (name, factor) in zip(own_axes, columns, strict=True):
            for noise in NOISES:
                _draw(axis, matching(rows, noise=noise), noise, name, factor)
            axis.set_xlabel("steps")
        bottom, top = own_axes[0].get_ylim()
        own_axes[0].set_ylim(max(bottom, 0.0), min(top, 101.0))  # bars may reach beyond
        own_axes[0].set_ylabel("test accuracy, %")
        own_axes[1].set_ylabel(words)
        own_axes[2].set_ylabel("Hessian trace")
        own_axes[0].set_title(title, loc="left", fontsize="medium")
    legend(figure, *axes)
    return figure


def _draw(axes: Axes, rows: list[Row], noise: str, name: str, factor: float) -> None:
    """Draws the mean of a column over models, with its interval, against the step."""
    colour, mark = NOISE_LOOKS[noise]
    steps = [
        step for step in distinct(rows, "step") if _finite(column(matching(rows, step=step), name))
    ]
    samples = [column(matching(rows, step=step), name) for step in steps]
    intervals = [mean_interval([factor * value for value in sample]) for sample in samples]
    means, reach = error_bars(intervals)
    look: dict[str, Any] = {
        "color": colour,
        "marker": mark,
        "markersize": 4,
        "linewidth": 1,
        "capsize": 2,
    }
    axes.errorbar(steps, means, reach, label=noise_label(noise), **look)


def _finite(values: Sequence[float]) -> bool:
    """Returns whether all values are finite."""
    return all(math.isfinite(value) for value in values)


def compared(
    experiment: str,
    name: Literal["accuracy", "training_loss", "test_loss", "trace"],
    noise: str,
    other: str,
    higher: bool,
) -> Check:
    """Returns the check that the column `name` ends higher, or lower, with `noise` than `other`.

    Traces are compared by their ratio, other columns by their difference.
    """
    words = name.replace("_", " ")

    def check(data: Data) -> Measured | NotRun:
        """Returns the comparison by seed after the last step."""
        rows = matching(data["models"], experiment=experiment)
        reason = untrained(rows)
        if reason is not None:
            return reason
        values, others = (at_end(rows, name, kind) for kind in (noise, other))
        size = size_words(rows)
        ends = f"{words} at the end, {noise_label(noise)}"
        border = 1.0 if name == "trace" else 0.0
        low, high = (border, math.inf) if higher else (-math.inf, border)
        if name == "trace":
            return ratio_of_traces(
                f"{ends}, over that with {noise_label(other)} ({size})", values, others, low, high
            )
        quantity = f"{ends}, less that with {noise_label(other)} ({size})"
        return difference(quantity, values, others, low, high)

    return check


def falls_from_peak(experiment: str, noise: str) -> Check:
    """Returns the check that accuracy ends below its highest value along training."""

    def check(data: Data) -> Measured | NotRun:
        """Returns the final accuracy minus the accuracy at the snapshot of the highest mean.

        The interval allows for the choice among the snapshots.
        """
        rows = matching(data["models"], experiment=experiment, noise=noise)
        steps = distinct(rows, "step")
        samples = {step: column(matching(rows, step=step), "accuracy") for step in steps}
        best = max(steps[:-1], key=lambda step: float(np.mean(samples[step])))
        pairs = zip(samples[steps[-1]], samples[best], strict=True)
        falls = [last - peak for last, peak in pairs]
        quantity = f"accuracy at the end less that at step {best:g} ({size_words(rows)})"
        if not _finite(falls):
            return mean_over_seeds(quantity, falls, at_most=0.0)
        interval = chosen_mean_interval(falls, len(steps) - 1)
        return Measured.with_interval(quantity, interval, at_most=0.0)

    return check


def steadier(experiment: str, noise: str, other: str) -> Check:
    """Returns the check that the trace varies less along training with `noise` than with `other`.

    The variation is the standard deviation over the snapshots of the second half of training.
    """

    def check(data: Data) -> Measured | NotRun:
        """Returns the ratio of the standard deviations, which must be at most 1."""
        rows = matching(data["models"], experiment=experiment)
        own, others = (_variation(matching(rows, noise=kind)) for kind in (noise, other))
        quantity = (
            f"standard deviation of the trace along training, {noise_label(noise)}, over that "
            f"with {noise_label(other)} ({size_words(rows)})"
        )
        return ratio_of_traces(quantity, own, others, at_most=1.0)

    return check


def _variation(rows: list[Row]) -> list[float]:
    """Returns the standard deviation of each model's trace over the second half of snapshots."""
    steps = distinct(rows, "step")
    late = steps[len(steps) // 2 - 1 :]
    deviations = []
    for seed in distinct(rows, "seed"):
        own = [row for row in matching(rows, seed=seed) if row["step"] in late]
        deviations.append(float(np.std(column(own, "trace"), ddof=1)))
    return deviations
