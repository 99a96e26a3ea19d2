"""The figures of a report."""

import csv
import io
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.document import document
from mgaudit.reports.figures.accuracy import accuracy_drawing, accuracy_figure
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.reports.figures.exposed import exposed_figure
from mgaudit.reports.figures.palette import LOOKS, kind, looks
from mgaudit.reports.figures.roc import roc_drawing, roc_figure
from mgaudit.reports.figures.scores import score_figure
from mgaudit.reports.formats.render import FORMATS
from mgaudit.reports.record import ChoiceRecord
from mgaudit.reports.results import StudyResult
from mgaudit.targets import SCHEMES
from tests.fake_study import arm, arrays, attack, many, study
from tests.fake_study import result as result_of

ATTACKS = ("lira", "loss")


def test_figures_show_the_numbers_of_the_result() -> None:
    study_arrays = arrays()
    study_arrays["arm0/lira/scores"] = (
        np.where(study_arrays["membership"], 2.0, -1.0) + 0.1 * study_arrays["arm0/lira/scores"]
    )
    result = study()
    for axes, name in zip(accuracy_figure(result, ATTACKS).axes, ("lira", "loss"), strict=True):
        filled = [
            bar.lines[0] for bar in axes.containers if bar.lines[0].get_markerfacecolor() != "none"
        ]
        points = [line.get_xydata()[0] for line in filled]
        expected = [
            (
                arm.accuracy.value * 100,
                next(a for a in arm.attacks if a.attack == name).metrics["auc"].value,
            )
            for arm in result.arms
        ]
        assert np.allclose(points, expected)
    for axes in roc_figure(result, study_arrays).axes:
        curve = axes.lines[0].get_xydata()
        assert np.allclose(curve[:, 1], np.sqrt(curve[:, 0]))
    scores = score_figure(result, study_arrays, [0]).axes[0]
    assert scores.get_legend_handles_labels()[1] == ["members", "non-members"]
    assert scores.get_yscale() == "log"
    outlines = [patch for patch in scores.patches if isinstance(patch, StepPatch)]
    for stairs, centre in zip(outlines, (2.0, -1.0), strict=True):
        heights, edges, _ = stairs.get_data()
        assert np.isnan(heights).any()  # empty bins have no place on the axis
        weights = np.nan_to_num(heights)
        assert np.average(edges[:-1], weights=weights) == pytest.approx(centre, abs=0.1)


def test_many_attacks_and_arms_are_drawn_in_rows_of_three() -> None:
    many = [attack(f"attack {index}", 0.6, None) for index in range(7)]
    study_arrays = {
        **arrays(),
        **{f"arm0/attack {index}/roc_tpr": arrays()["arm0/lira/roc_tpr"] for index in range(7)},
    }
    result = study(arms=[study().arms[0].model_copy(update={"attacks": many})])
    names = [mounted.attack for mounted in many]
    for figure in (accuracy_figure(result, names), roc_figure(result, study_arrays)):
        assert [axes.get_title() for axes in figure.axes] == [mounted.attack for mounted in many]
        spec = figure.axes[0].get_gridspec()
        assert (spec.nrows, spec.ncols) == (3, 3)


def test_drawings_are_svg_with_words_for_those_who_do_not_see_them() -> None:
    record = study(label=r"<script>alert(1)</script> --> $\frac{broken$")
    drawn, again = all_drawings(record, arrays()), all_drawings(record, arrays())
    for drawing in drawn:
        svg = drawing.svg()
        assert ET.fromstring(svg).tag.endswith("svg")
        assert "<script" not in svg
        assert "no noise" in drawing.description or drawing.name == "ignorance"
    first, same = drawn[0], again[0]
    assert first.pdf().startswith(b"%PDF")
    assert (first.svg(), first.pdf()) == (
        same.svg(),
        same.pdf(),
    )  # whatever was drawn of them before
    accuracy, roc = accuracy_drawing(study()), roc_drawing(study(), arrays())
    assert "AUC 0.700 ± 0.012 under lira" in accuracy.description
    assert "AUC 0.600 ± 0.012 under lira, naive" in accuracy.description
    assert "TPR @ 1 % FPR, %: 22.00 ± 0.50" in roc.description


def test_a_figure_is_drawn_by_the_format_that_shows_it_and_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Figure] = []
    create = Figure.__init__

    def counted(figure: Figure, *arguments: Any, **options: Any) -> None:
        made.append(figure)
        create(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "__init__", counted)
    content = document(result_of(study()), [arrays()])
    assert FORMATS["csv"].render(content)
    assert all(drawing.csv() for _, drawing in content.drawings)
    assert made == []
    _, drawing = next(content.drawings)
    drawing.svg()
    drawing.pdf()
    assert made == [drawing.figure]


def all_drawings(record: StudyResult, study_arrays: Arrays) -> list[Drawing]:
    return [drawing for _, drawing in document(result_of(record), [study_arrays]).drawings]


def test_every_figure_gives_the_numbers_it_draws() -> None:
    result, study_arrays = many()
    drawn = all_drawings(result, study_arrays)
    for drawing in drawn:
        rows = list(csv.DictReader(io.StringIO(drawing.csv())))
        assert len(rows) == len(drawing.data)
        for row, expected in zip(rows, drawing.data, strict=True):
            for name, value in expected.items():
                assert row[name] == str(value)
    by_name = {drawing.name: drawing for drawing in drawn}
    first = result.arms[1]
    assert by_name["accuracy-vs-auc"].data[2] == {
        "arm": "gaussian-mask:kappa=1",
        "attack": "lira",
        "adversary": "adaptive",
        "accuracy": first.accuracy.value,
        "accuracy_low": first.accuracy.low,
        "accuracy_high": first.accuracy.high,
        "auc": first.attacks[0].metrics["auc"].value,
        "auc_low": first.attacks[0].metrics["auc"].low,
        "auc_high": first.attacks[0].metrics["auc"].high,
    }
    assert [row["strength"] for row in by_name["strength"].data if row["adversary"] == "naive"][
        :3
    ] == [1, 2, 3]
    assert [row["shadows"] for row in by_name["power"].data][:3] == [2, 4, 5]


def test_figures_of_many_arms_show_each_family_by_its_strength() -> None:
    result, study_arrays = many()
    by_name = {drawing.name: drawing for drawing in all_drawings(result, study_arrays)}
    by_panel = {
        axes.get_title(): axes for axes in by_name["strength"].draw().axes if axes.get_title()
    }
    assert {row["family"] for row in by_name["strength"].data} == by_panel.keys()
    masks = [
        arm for arm in result.arms if arm.key.startswith("gaussian-mask:") and "+" not in arm.key
    ]
    points = by_panel["gaussian-mask"].containers[0].lines[0]
    assert [float(auc) for auc in points.get_ydata()] == [
        arm.attacks[0].metrics["auc"].value for arm in masks
    ]
    assert len([axes for axes in by_name["roc"].draw().axes if axes.lines]) == len(by_panel)


def test_the_naive_adversary_is_drawn_beside_the_adaptive_one() -> None:
    axes = accuracy_figure(study(), ATTACKS).axes[0]
    points = [container.lines[0] for container in axes.containers]
    assert [point.get_ydata()[0] for point in points] == pytest.approx(
        [0.75, 0.7, 0.6, 0.501, 0.401]
    )
    assert [point.get_markerfacecolor() == "none" for point in points] == [
        False,
        False,
        True,
        False,
        True,
    ]
    assert [line.get_linestyle() for line in roc_figure(study(), arrays()).axes[0].lines].count(
        ":"
    ) == 2
    assert "Hollow markers show the naive adversary." in accuracy_drawing(study()).caption
    alone = study(arms=[study().arms[0]])
    assert "naive" not in " ".join(
        drawing.caption for drawing in all_drawings(alone, arrays(alone.arms))
    )


def test_the_same_scheme_has_the_same_colour_in_every_study() -> None:
    masks = [arm(f"gaussian-mask:kappa={kappa}", "mask", 0.6, -0.1) for kappa in (0.1, 0.5, 2)]
    alone, three = looks([masks[2]]), looks([arm("none", "no noise", 0.7, None), *masks])
    assert alone[0] == three[3]
    assert {look.mark for look in three[1:]} == {"s"}
    lightness = [sum(to_rgb(look.colour)) for look in three[1:]]
    assert lightness == sorted(lightness, reverse=True)  # weaker noise is paler
    fixed = looks([*masks, arm("gaussian-mask:kappa=2,fixed=true", "mask", 0.6, -0.1)])
    assert fixed[3].colour == three[3].colour
    assert fixed[3].line != fixed[2].line
    distinct = [(colour, mark) for colour, mark in LOOKS.values()]
    assert (
        len({colour for colour, _ in distinct})
        == len({mark for _, mark in distinct})
        == len(distinct)
    )
    assert LOOKS.keys() <= SCHEMES.keys()


def test_a_scheme_without_a_row_in_the_palette_has_a_look_that_no_other_has() -> None:
    arms = [arm("x", name, 0.6, -0.1) for name in [*SCHEMES, "added"]]
    arms = [
        arm_result.model_copy(
            update={"key": arm_result.label, "scheme": [ChoiceRecord(name=arm_result.label)]}
        )
        for arm_result in arms
    ]
    assert len({(look.colour, look.mark) for look in looks(arms)}) == len(SCHEMES) + 1


def test_the_front_is_drawn_through_the_arms_on_it() -> None:
    arms = [
        arm("none", "no noise", 0.75, None, accuracy=0.9),
        arm("gaussian-mask:kappa=1", "mask", 0.6, -0.15, accuracy=0.8),
        arm("dropout:rate=0.5", "dropout", 0.8, 0.05, accuracy=0.7),
    ]
    (steps,) = [
        line
        for line in accuracy_figure(study(arms=arms), ATTACKS).axes[0].lines
        if line.get_linewidth() == 3
    ]
    assert steps.get_xydata() == pytest.approx(np.array([[80, 0.6], [90, 0.75]]))


def test_the_most_exposed_examples_are_shown_as_pictures_where_they_are_some() -> None:
    (axes,) = exposed_figure(study(), arrays(), [0, 1, 2]).axes
    pictures = axes.images
    assert len(pictures) == 3 * 8
    shown = pictures[8 + 2]  # of the second arm, the third
    assert np.array_equal(shown.get_array(), arrays()["arm1/most_exposed_pictures"][2])  # type: ignore[arg-type]
    left, right, low, high = shown.get_extent()
    assert right - left == pytest.approx(high - low)
    by_place = sorted(
        pictures, key=lambda picture: (-picture.get_extent()[3], picture.get_extent())
    )
    assert by_place == list(pictures)  # arms from top to bottom, and examples from left to right
    titles = [text for text in axes.texts if text.get_text() == "train/1.png\na, 95 %"]
    assert len(titles) == 3  # of each arm
    assert titles[0].get_position()[0] == pytest.approx(np.mean(pictures[1].get_extent()[:2]))
    assert titles[0].get_position()[1] > pictures[1].get_extent()[3]
    without = {name: values for name, values in arrays().items() if "pictures" not in name}
    assert "most-exposed" in [drawing.name for drawing in all_drawings(study(), arrays())]
    assert "most-exposed" not in [drawing.name for drawing in all_drawings(study(), without)]


@pytest.mark.parametrize("figure", [accuracy_figure, roc_figure])
def test_a_legend_stays_within_its_figure(figure: Any) -> None:
    result, _ = many()
    few = study(arms=[result.arms[0], *result.arms[9:12]])
    drawn = figure(few, ATTACKS) if figure is accuracy_figure else figure(few, arrays(few.arms))
    drawn.draw_without_rendering()
    box = drawn.legends[0].get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= drawn.bbox.width


def test_a_name_that_no_font_has_is_shown_by_its_numbers() -> None:
    (plain, mask, _) = study().arms
    drawing = accuracy_drawing(study(arms=[plain, mask.model_copy(update={"label": "中文"})]))
    (label,) = [
        text.get_text() for text in drawing.draw().legends[0].get_texts() if "U+" in text.get_text()
    ]
    assert label == "[U+4E2D][U+6587]"


def test_two_schemes_of_ones_own_are_drawn_as_two_and_look_the_same_in_every_figure() -> None:
    plain = arm("none", "no noise", 0.75, None)
    own = [
        plain.model_copy(update={"key": name, "scheme": [ChoiceRecord(name=name)], "label": name})
        for name in ("my:A", "my:B", "my:C")
    ]
    drawn = looks([plain, *own])
    assert len({(look.colour, look.mark) for look in drawn}) == 4
    assert [kind(arm_result) for arm_result in own] == ["my:A", "my:B", "my:C"]
    assert looks([own[1], own[0], own[2], plain]) == [drawn[2], drawn[1], drawn[3], drawn[0]]
    assert looks(own[1:2]) == looks([own[1], plain])[:1]
