"""The ceilings of DP-SGD in the table, the ROC figure and the formats."""

import csv
import io

import numpy as np
import pytest

from mgaudit.reports.ceiling_table import ceiling_section, ceiling_table
from mgaudit.reports.document import document
from mgaudit.reports.figures.roc import SMALLEST_FPR, roc_drawing, roc_figure
from mgaudit.reports.formats.render import FORMATS
from mgaudit.reports.verdict import verdict
from tests.fake_study import CEILING, CLAIM, arm, arrays, html_text, many, result, study, three_arms


def test_the_table_has_the_strongest_attack_of_each_metric_beside_the_ceiling() -> None:
    arms = three_arms()
    private = arms[2]
    loss = private.attacks[1]
    advantage = loss.metrics["advantage"].model_copy(update={"value": 0.7})
    stronger = loss.model_copy(update={"metrics": {**loss.metrics, "advantage": advantage}})
    attacks = [private.attacks[0], stronger, *private.attacks[2:]]
    arms[2] = private.model_copy(update={"attacks": attacks})
    table = ceiling_table(study(arms=arms))
    by_metric = {str(row[1]): row for row in table.rows}
    assert {str(row[0]) for row in table.rows} == {"dp-sgd (epsilon=8)"}
    assert len(table.rows) == len(by_metric) == 5
    assert "(PLD)" in table.notes[0]
    assert str(by_metric["AUC"][2]) == "lira"
    assert by_metric["AUC"][3].value == private.attacks[0].metrics["auc"].value
    assert str(by_metric["AUC"][4]) == "≤ 0.922"  # 0.921351, rounded up
    facts = study().metric("advantage")
    by_advantage = by_metric[facts.heading]
    assert str(by_advantage[2]) == "loss"
    assert by_advantage[3].value == pytest.approx(0.7 * facts.scale)
    rate = by_metric[study().metric("tpr@0.01").heading]
    assert str(rate[4]) == "≤ 37.23"  # 37.2209, rounded up
    assert rate[4].value == pytest.approx(100 * CEILING.metrics["tpr@0.01"])


def test_a_measured_value_above_the_ceiling_raises_no_alarm() -> None:
    low = CEILING.model_copy(update={"metrics": dict.fromkeys(CEILING.metrics, 0.01)})
    claim = CLAIM.model_copy(update={"ceiling": low})
    arms = three_arms()
    arms[2] = arms[2].model_copy(update={"claim": claim})
    made = study(arms=arms)
    assert not made.arms[2].alarm
    assert verdict(made) == verdict(study())
    assert "No alarm follows" in " ".join(ceiling_table(made).notes)


def test_only_arms_with_ceilings_have_a_section() -> None:
    without = CLAIM.model_copy(update={"ceiling": None})
    arms = [arm("none", "no noise", 0.7, None), arm("dp-sgd:epsilon=8", "dp", 0.5, -0.2, without)]
    made = study(arms=arms)
    assert ceiling_section(made, arrays(arms)) is None
    figure = roc_figure(made, arrays(arms))
    assert not [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "-."]
    assert "ceiling" not in roc_drawing(made, arrays(arms)).caption
    assert ceiling_section(study(), arrays()) is not None


def test_the_roc_figure_draws_the_ceiling_of_each_arm_with_dp_sgd_in_each_panel() -> None:
    figure = roc_figure(study(), arrays())
    for axes in figure.axes:
        (line,) = [line for line in axes.lines if line.get_linestyle() == "-."]
        visible = [fpr >= SMALLEST_FPR for fpr in CEILING.fpr]
        assert line.get_xdata() == pytest.approx(np.array(CEILING.fpr)[visible])
        assert line.get_ydata() == pytest.approx(np.array(CEILING.tpr)[visible])
        (curve,) = [line for line in axes.lines if line.get_label() == "dp-sgd (epsilon=8)"]
        assert line.get_color() == curve.get_color()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "ceiling of the accountant, dp-sgd (epsilon=8)" in texts
    drawing = roc_drawing(study(), arrays())
    assert "ceilings of the accountant" in drawing.caption
    drawn = [row for row in drawing.data if row["attack"] == "ceiling"]
    assert [(row["fpr"], row["tpr"]) for row in drawn] == list(
        zip(CEILING.fpr, CEILING.tpr, strict=True)
    )


def test_with_many_arms_the_panel_of_a_scheme_has_its_ceilings() -> None:
    made, _ = many()
    arms = [*made.arms, arm("dp-sgd:epsilon=8", "dp", 0.5, -0.2, CLAIM)]
    figure = roc_figure(study(arms=arms), arrays(arms))
    panels = {
        axes.get_title(): [line.get_linestyle() for line in axes.lines].count("-.")
        for axes in figure.axes
    }
    assert panels["dp-sgd"] == 1
    assert sum(panels.values()) == 1


def test_the_csv_and_the_html_report_have_the_ceilings() -> None:
    content = document(result(study()), [arrays()])
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"].render(content).decode())))
    shown = {row["metric"]: float(row["value"]) for row in rows if row["what"] == "ceiling"}
    assert shown == CEILING.metrics
    assert {row["arm"] for row in rows if row["what"] == "ceiling"} == {"dp-sgd:epsilon=8"}
    text = html_text(FORMATS["html"].render(content).decode())
    assert "Ceilings of the accountant" in text
    assert "≤ 0.922" in text
