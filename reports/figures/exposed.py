"""The most exposed examples as pictures, and what becomes of them under other schemes."""

import matplotlib as mpl
from matplotlib.figure import Figure

from mgaudit.reports.arrays import Arrays, exposed_pictures
from mgaudit.reports.comparison_tables import shared_exposure_table
from mgaudit.reports.figures.drawing import STYLE, Drawing, cut, estimate_cells
from mgaudit.reports.figures.palette import looks
from mgaudit.reports.figures.panels import PAGE_HEIGHT, WIDTH, bars
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import StudyResult
from mgaudit.reports.section import Section
from mgaudit.reports.table import number
from mgaudit.reports.tables import by_class, most_exposed

PICTURES = 8
MOST_PICTURED_ARMS = 4


def exposed_drawing(study: StudyResult, arrays: Arrays) -> Drawing | None:
    """Returns the pictures of the most exposed examples, or None where the data are no pictures."""
    if exposed_pictures(arrays, 0) is None:
        return None
    shown = study.arms[:MOST_PICTURED_ARMS]
    return Drawing(
        "most-exposed",
        lambda: exposed_figure(study, arrays),
        "The most exposed examples, with their class and the share of non-members that they outrank where trained on"
        + (f" (the first {MOST_PICTURED_ARMS} arms)." if len(study.arms) > MOST_PICTURED_ARMS else "."),
        "; ".join(
            f"{arm.label}: " + ", ".join(f"{one.label} {one.origin}" for one in arm.most_exposed[:PICTURES])
            for arm in shown
        ),
        [
            {
                "scheme": arm.key,
                "example": one.origin,
                "class": one.label,
                **estimate_cells("outranks", one.rank_in),
            }
            for arm in shown
            for one in arm.most_exposed[:PICTURES]
        ],
    )


def exposed_figure(study: StudyResult, arrays: Arrays) -> Figure:
    """Returns pictures of the most exposed examples, a row for each of the first arms."""
    arms = study.arms[:MOST_PICTURED_ARMS]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.5 * len(arms)), layout="constrained")
        bands = figure.subfigures(len(arms), 1, squeeze=False)[:, 0]
        for index, (band, arm) in enumerate(zip(bands, arms, strict=True)):
            band.suptitle(cut(arm.label, 90), x=0.01, ha="left", fontsize=8, fontweight="bold")
            row = band.subplots(1, PICTURES, squeeze=False)[0]
            for axes in row:
                axes.set_axis_off()
            pictures = exposed_pictures(arrays, index)
            assert pictures is not None  # all arms have the same data, and arm 0 has pictures
            for axes, picture, one in zip(row, pictures, arm.most_exposed, strict=False):
                axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
                axes.set_title(f"{cut(one.label, 12)}\n{_percent(one.rank_in)}", fontsize=7)
    return figure


def _percent(rank: Estimate | None) -> str:
    return "–" if rank is None else f"{rank.value * 100:.0f} %"


def shared_exposure_drawing(study: StudyResult) -> Drawing | None:
    """Returns what the examples that are most exposed without noise outrank under each arm; None without such."""
    found = study.analysis.exposure
    if not found:
        return None
    labels = {arm.key: arm.label for arm in study.arms}
    return Drawing(
        "shared-exposure",
        lambda: shared_exposure_figure(study),
        f"The {found[0].examples} examples that training without noise exposes most: the share of non-members that "
        "they outrank in models that trained on them, under each arm. Bars are 95 % intervals for new targets; "
        "dashed is guessing.",
        "; ".join(f"{labels[one.arm]}: {number(one.here, 100, 1)} %" for one in found),
        [{"scheme": one.arm, **estimate_cells("outranks", one.here)} for one in found],
    )


def shared_exposure_figure(study: StudyResult) -> Figure:
    """Returns a row for each arm: the mean share outranked, with its interval."""
    found = study.analysis.exposure
    places = {arm.key: place for place, arm in enumerate(study.arms)}
    styles = looks(study.arms)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, min(1.0 + 0.2 * len(found), PAGE_HEIGHT)), layout="constrained")
        axes = figure.subplots()
        for row, one in enumerate(found):
            look = styles[places[one.arm]]
            axes.errorbar(
                one.here.value * 100, row, xerr=bars(one.here, 100), fmt=look.mark, color=look.colour, capsize=2
            )
        axes.set_yticks(range(len(found)), [cut(study.arms[places[one.arm]].label, 45) for one in found], fontsize=7)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.axvline(50, color="0.4", linestyle="--", linewidth=1)
        axes.set_xlabel("non-members outranked, %")
    return figure


def exposed_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the most exposed examples, here and under other schemes, and exposure by class."""
    return Section.of(
        "Exposed examples",
        exposed_drawing(study, arrays),
        most_exposed(study),
        shared_exposure_drawing(study),
        shared_exposure_table(study),
        by_class(study),
    )
