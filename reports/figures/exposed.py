"""The most exposed examples as pictures, and their exposure under other schemes."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mgaudit.reports.arrays import Arrays, exposed_pictures
from mgaudit.reports.comparison_tables import is_left_out, shared_exposure_table
from mgaudit.reports.figures.drawing import (
    STYLE,
    WIDTH,
    Drawing,
    Row,
    cut,
    estimate_cells,
    pages,
    set_tip,
)
from mgaudit.reports.figures.palette import looks
from mgaudit.reports.figures.panels import PAGE_HEIGHT, bars
from mgaudit.reports.plain_arm import plain_training
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult, ExposedExample, StudyResult
from mgaudit.reports.section import Section
from mgaudit.reports.table import number
from mgaudit.reports.tables import by_class, most_exposed

PICTURES = 8
ARMS_OF_A_PAGE = 5
ROW_HEIGHT, SIDE = 1.5, 0.8  # inches of an arm and of the longer side of a picture


def exposed_drawings(study: StudyResult, arrays: Arrays) -> list[Drawing]:
    """Returns the pictures of the most exposed examples; none if the examples are no pictures.

    A figure has a few arms.
    """
    if exposed_pictures(arrays, 0) is None:
        return []
    every = range(len(study.arms))
    return [
        _drawing(study, arrays, page, name)
        for name, page in pages("most-exposed", every, ARMS_OF_A_PAGE)
    ]


def _drawing(study: StudyResult, arrays: Arrays, page: list[int], name: str) -> Drawing:
    arms = [study.arms[index] for index in page]
    caption = (
        "The figure shows the most exposed examples with their class. The percentage is the mean "
        "share of non-members with a lower score than the example, in models that were trained on "
        "it."
    )
    return Drawing(
        name,
        lambda: exposed_figure(study, arrays, page),
        caption,
        "; ".join(map(_describe, arms)),
        [_row(arm, example) for arm in arms for example in arm.most_exposed[:PICTURES]],
    )


def _describe(arm: AuditResult) -> str:
    examples = [f"{example.label} {example.origin}" for example in arm.most_exposed[:PICTURES]]
    return f"{arm.label}: {', '.join(examples)}"


def _row(arm: AuditResult, example: ExposedExample) -> Row:
    named = {"arm": arm.key, "example": example.origin, "class": example.label}
    return {**named, **estimate_cells("outranks", example.rank_in)}


def exposed_figure(study: StudyResult, arrays: Arrays, page: list[int]) -> Figure:
    """Returns pictures of the most exposed examples, a row for each of the arms.

    All are in one plot, in inches: a plot for each picture would take several times as long.
    """
    height = ROW_HEIGHT * len(page)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
        axes.set_axis_off()
        for row, index in enumerate(page):
            arm, top = study.arms[index], height - row * ROW_HEIGHT
            axes.text(
                0.07, top - 0.13, cut(arm.label, 90), fontsize=8, fontweight="bold", va="center"
            )
            pictures = exposed_pictures(arrays, index)
            assert pictures is not None  # all arms have the same data, and arm 0 has pictures
            examples = zip(pictures[:PICTURES], arm.most_exposed, strict=False)
            for column, (picture, example) in enumerate(examples):
                _draw(axes, picture, example, (column + 0.5) * WIDTH / PICTURES, top - ROW_HEIGHT)
    return figure


def _draw(
    axes: Axes, picture: NDArray[np.uint8], example: ExposedExample, middle: float, bottom: float
) -> None:
    """Draws a picture with its title over it; `middle` and `bottom` are in inches."""
    high, wide = (size * SIDE / max(picture.shape[:2]) for size in picture.shape[:2])
    lower = bottom + 0.05 + (SIDE - high) / 2
    extent = (middle - wide / 2, middle + wide / 2, lower, lower + high)
    axes.imshow(
        picture, "gray", vmin=0, vmax=255, interpolation="nearest", extent=extent, aspect="auto"
    )
    title = f"{cut(example.origin, 14)}\n{cut(example.label, 12)}, {_percent(example.rank_in)}"
    over = bottom + 0.05 + SIDE + 0.06
    axes.text(middle, over, title, fontsize=6, ha="center", va="bottom")


def _percent(rank: Estimate | None) -> str:
    return "–" if rank is None else f"{rank.value * 100:.0f} %"


def shared_exposure_drawing(study: StudyResult) -> Drawing | None:
    """Returns the share of non-members below the examples most exposed without noise, by arm.

    None if the study does not have that comparison.
    """
    comparisons = study.analysis.exposure
    if not comparisons:
        return None
    labels = {arm.key: arm.label for arm in study.arms}
    descriptions = [f"{labels[item.arm]}: {number(item.here, 100, 1)} %" for item in comparisons]
    rows: list[Row] = [
        {"arm": item.arm, **estimate_cells("outranks", item.here)} for item in comparisons
    ]
    return Drawing(
        "shared-exposure",
        lambda: shared_exposure_figure(study),
        f"The figure is about the {comparisons[0].examples} examples that are most exposed by "
        f"{plain_training(study)}. For each arm, it shows the mean share of non-members with a "
        "lower score than such an example, in models that were trained on it. Bars are 95 % "
        "intervals for other targets, and the dashed line is guessing.",
        "; ".join(descriptions),
        rows,
    )


def shared_exposure_figure(study: StudyResult) -> Figure:
    """Returns a row for each arm: the mean share of non-members, with its interval."""
    comparisons = study.analysis.exposure
    arm_looks = {arm.key: look for arm, look in zip(study.arms, looks(study.arms), strict=True)}
    labels = {arm.key: arm.label for arm in study.arms}
    height = min(1.0 + 0.2 * len(comparisons), PAGE_HEIGHT)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        for row, comparison in enumerate(comparisons):
            look, share = arm_looks[comparison.arm], comparison.here
            drawn = axes.errorbar(
                share.value * 100,
                row,
                xerr=bars(share, 100),
                fmt=look.mark,
                color=look.colour,
                capsize=2,
            )
            set_tip(drawn, f"{labels[comparison.arm]}: {number(share, 100, 1)} %")
        row_labels = [cut(labels[comparison.arm], 45) for comparison in comparisons]
        axes.set_yticks(range(len(comparisons)), row_labels, fontsize=7)
        axes.set_ylim(len(comparisons) - 0.5, -0.5)
        axes.axvline(50, color="0.4", linestyle="--", linewidth=1)
        axes.set_xlabel("non-members with a lower score, %")
    return figure


def exposed_section(study: StudyResult, arrays: Arrays) -> Section | None:
    """Returns the section on the most exposed examples and on exposure by class.

    Returns None for models of the user where nothing can be said about single examples, because no
    example is both a member of one target and a non-member of another, and there are no classes.
    """
    of_user = study.checks is not None
    has_examples = not of_user or all(arm.most_exposed for arm in study.arms)
    has_classes = not of_user or all(len(arm.by_class) > 1 for arm in study.arms)
    is_shared = has_examples and not is_left_out(study, "exposure")
    if not has_examples and not has_classes:
        return None
    return Section.of(
        "Exposed examples",
        *(exposed_drawings(study, arrays) if has_examples else []),
        most_exposed(study) if has_examples else None,
        shared_exposure_drawing(study) if has_examples else None,
        shared_exposure_table(study) if is_shared else None,
        *(by_class(study) if has_classes else []),
    )
