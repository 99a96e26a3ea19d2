"""Draw the figures on privacy: accuracy against the strongest attack, and matched differences."""

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mgaudit.attacks.intervals import Interval
from mgaudit.papers.claim import Data, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.privacy import MARGIN, NAMES, PLAIN, PRIVATE, Noise
from mgaudit.papers.rows import column, interval_of, matching
from mgaudit.reports.figures.panels import legend, panels

LOOKS = {PLAIN: ("#000000", "o"), PRIVATE: ("#D55E00", "D")}
# How the mark of an arm is filled, by the first word of the verdict.
FILLS = {"protects": "full", "exposes": "left"}
NO_PROTECTION = "none"


def draw(noises: Sequence[Noise], data: Data) -> Figure:
    """Returns accuracy against the AUC of all arms, and the differences at matched accuracy."""
    figure, (left, right) = panels(2, 3.6, sharey=False, columns=2)
    for noise in noises:
        _draw_noise(left, noise, data["arms"])
    for scheme, (colour, marker) in LOOKS.items():
        rows = matching(data["arms"], scheme=scheme)
        look = {"color": colour, "marker": marker, "linestyle": "", "label": NAMES[scheme]}
        _draw_arms(left, rows, **look)
    _draw_verdict_marks(left, data["arms"])
    attack = data["arms"][0]["attack"]
    left.set(xlabel=f"AUC of {attack}", ylabel="test accuracy, %")
    _draw_differences(right, noises, data["matched"])
    legend(figure, left)
    return figure


def _draw_noise(axes: Axes, noise: Noise, arms: Iterable[Row]) -> None:
    """Draws the arms of a noise, connected from the plain arm on in the order of their strength."""
    rows = sorted(matching(arms, noise=noise.name), key=lambda row: float(row["strength"]))
    line = [*matching(arms, scheme=PLAIN), *rows]
    percent = [100 * accuracy for accuracy in column(line, "accuracy")]
    axes.plot(column(line, "auc"), percent, color=noise.colour, linewidth=0.8)
    for row in rows:
        first_word, *_ = str(row["verdict"]).replace(",", "").split()
        fill = FILLS.get(first_word, NO_PROTECTION)
        look = {"color": noise.colour, "marker": noise.marker, "fillstyle": fill, "linestyle": ""}
        _draw_arms(axes, [row], **look)
        _annotate(axes, f"{noise.symbol} = {row['strength']:g}", row, noise.colour)
    axes.plot([], [], color=noise.colour, marker=noise.marker, label=noise.name)


def _draw_arms(axes: Axes, rows: Sequence[Row], **look: Any) -> None:
    """Draws accuracy in percent against AUC with intervals of both."""
    aucs, auc_bars = error_bars(interval_of(row, "auc") for row in rows)
    percents, percent_bars = error_bars(_percent(row) for row in rows)
    axes.errorbar(
        aucs, percents, percent_bars, auc_bars, markersize=5.5, elinewidth=0.6, zorder=3, **look
    )


def _percent(row: Row) -> Interval:
    return Interval(*(100 * end for end in interval_of(row, "accuracy")))


def _annotate(axes: Axes, text: str, row: Row, colour: str) -> None:
    """Writes `text` below and to the right of the mark of an arm."""
    position = (float(row["auc"]), 100 * float(row["accuracy"]))
    look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7, "color": colour}
    axes.annotate(text, position, xytext=(5, -9), **look)


def _draw_verdict_marks(axes: Axes, arms: Iterable[Row]) -> None:
    """Adds entries to the legend that say how verdicts are drawn."""
    words = {str(row["verdict"]).split(",")[0].split()[0] for row in arms if "verdict" in row}
    entries = {"verdict: protects": "full", "verdict: other": NO_PROTECTION}
    if "exposes" in words:
        entries["verdict: exposes more"] = FILLS["exposes"]
    for label, fill in entries.items():
        look: dict[str, Any] = {"color": "0.4", "marker": "s", "linestyle": "", "label": label}
        axes.add_line(Line2D([], [], fillstyle=fill, **look))


def _draw_differences(axes: Axes, noises: Sequence[Noise], matched: Iterable[Row]) -> None:
    """Draws the AUC of each noise minus that of the reference at its accuracy, with intervals."""
    matched = list(matched)
    labels: list[str] = []
    for reference in NAMES:
        for noise in noises:
            rows = matching(matched, noise=noise.name, reference=reference)
            strength = _strength(noise, rows)
            labels.append(f"{noise.name} ({strength})\nless {NAMES[reference]}")
            _draw_difference(axes, noise, rows, len(labels) - 1)
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.axvspan(-MARGIN, MARGIN, color="0.92", zorder=0)
    axes.set(xlabel="difference in AUC at matched accuracy")
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_ylim(len(labels) - 0.5, -0.5)


def _strength(noise: Noise, rows: Sequence[Row]) -> str:
    """Returns the strength at matched accuracy in words."""
    if not rows or "strength" not in rows[0]:
        return "accuracy not reached"
    return f"{noise.symbol} = {float(rows[0]['strength']):.3g}"


def _draw_difference(axes: Axes, noise: Noise, rows: Sequence[Row], position: int) -> None:
    """Draws one difference with its interval, if there is one."""
    for row in rows:
        if "difference" in row:
            values, bars = error_bars([interval_of(row, "difference")])
            look: dict[str, Any] = {"color": noise.colour, "marker": noise.marker, "capsize": 2}
            axes.errorbar(values, [position], xerr=bars, linestyle="", markersize=5, **look)
