"""Draw the figures on privacy: accuracy against the strongest attack, and matched differences."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mgaudit.attacks.intervals import Interval
from mgaudit.papers.claim import Data, Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.privacy import MARGIN, NAMES, PLAIN, PRIVATE, STOPPED, Noise
from mgaudit.papers.rows import column, interval_of, matching
from mgaudit.reports.figures.panels import legend, panels

CONTROL = Noise(STOPPED, NAMES[STOPPED], STOPPED, "epochs", "0.45", ".")
LOOKS = {PLAIN: ("#000000", "o"), PRIVATE: ("#D55E00", "D")}
# How the mark of an arm is filled, by the first word of the verdict.
Fill = Literal["full", "left", "none"]
FILLS: dict[str, Fill] = {"protects": "full", "exposes": "left"}
NO_PROTECTION: Fill = "none"


def draw(noises: Sequence[Noise], data: Data) -> Figure:
    """Returns accuracy against the AUC of all arms, and the differences at matched accuracy."""
    height = 3.0 + 0.8 * len(noises)
    figure, (left, right) = panels(2, height, sharey=False, columns=2)
    for index, noise in enumerate((CONTROL, *noises)):
        _draw_noise(left, noise, data["arms"], is_above=index == len(noises) > 1)
    for scheme, (colour, marker) in LOOKS.items():
        rows = matching(data["arms"], scheme=scheme)
        look = {"color": colour, "marker": marker, "linestyle": "", "label": NAMES[scheme]}
        _draw_arms(left, rows, **look)
    _draw_verdict_marks(left, data["arms"])
    attack = data["arms"][0]["attack"]
    left.set(xlabel=f"AUC of {attack}", ylabel="test accuracy, %")
    _draw_differences(right, noises, data)
    legend(figure, left, right)
    return figure


def _draw_noise(axes: Axes, noise: Noise, arms: Iterable[Row], is_above: bool) -> None:
    """Draws the arms of a noise, connected from the plain arm to the strongest one.

    Their strengths are written above or below the marks.
    """
    rows = matching(arms, noise=noise.name)
    line = [*matching(arms, scheme=PLAIN), *rows]
    percent = [100 * accuracy for accuracy in column(line, "accuracy")]
    axes.plot(column(line, "auc"), percent, color=noise.colour, linewidth=0.8)
    for row in rows:
        first_word, *_ = str(row["verdict"]).replace(",", "").split()
        fill = FILLS.get(first_word, NO_PROTECTION)
        look = {"color": noise.colour, "marker": noise.marker, "fillstyle": fill, "linestyle": ""}
        _draw_arms(axes, [row], **look)
        _annotate(axes, f"{noise.symbol} = {row['strength']:g}", row, noise.colour, is_above)
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


def _annotate(axes: Axes, text: str, row: Row, colour: str, is_above: bool) -> None:
    """Writes `text` to the right of the mark of an arm, and above or below it."""
    position = (float(row["auc"]), 100 * float(row["accuracy"]))
    look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7, "color": colour}
    axes.annotate(text, position, xytext=(5, 4 if is_above else -9), **look)


def _draw_verdict_marks(axes: Axes, arms: Iterable[Row]) -> None:
    """Adds entries to the legend that say how verdicts are drawn."""
    words = {str(row["verdict"]).split(",")[0].split()[0] for row in arms if "verdict" in row}
    entries: dict[str, Fill] = {
        "verdict: protects": FILLS["protects"],
        "verdict: other": NO_PROTECTION,
    }
    if "exposes" in words:
        entries["verdict: exposes more"] = FILLS["exposes"]
    for label, fill in entries.items():
        look: dict[str, Any] = {"color": "0.4", "marker": "s", "linestyle": "", "label": label}
        axes.add_line(Line2D([], [], fillstyle=fill, **look))


def _draw_differences(axes: Axes, noises: Sequence[Noise], data: Data) -> None:
    """Draws the AUC of each noise minus that of other training of its accuracy, with intervals."""
    labels: list[str] = []
    for reference, name in NAMES.items():
        for noise in noises:
            row = _compared(noise, reference, data)
            labels.append(f"{noise.name}, {_strength(noise, row)}\nminus {name}")
            if "difference" in row:
                _draw_difference(axes, noise, row, len(labels) - 1)
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.axvspan(-MARGIN, MARGIN, color="0.92", zorder=0, label="difference too small to matter")
    axes.set(xlabel="difference in AUC at the same accuracy")
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_ylim(len(labels) - 0.5, -0.5)


def _compared(noise: Noise, reference: str, data: Data) -> Row:
    """Returns the row in which a noise is compared with a reference; empty if there is none."""
    if reference == STOPPED:
        rows = matching(data["control"], noise=noise.name)
        arms = matching(data["arms"], noise=noise.name)
        return {**rows[-1], "strength": arms[-1]["strength"]} if rows else {}
    rows = matching(data["matched"], noise=noise.name, reference=reference)
    return rows[0] if rows else {}


def _strength(noise: Noise, row: Row) -> str:
    """Returns the strength of the noise in a comparison in words."""
    if "difference" not in row:
        return "accuracy not reached"
    return f"{noise.symbol} = {float(row['strength']):.3g}"


def _draw_difference(axes: Axes, noise: Noise, row: Row, position: int) -> None:
    """Draws one difference with its interval."""
    values, bars = error_bars([interval_of(row, "difference")])
    look: dict[str, Any] = {"color": noise.colour, "marker": noise.marker, "capsize": 2}
    axes.errorbar(values, [position], xerr=bars, linestyle="", markersize=5, **look)
