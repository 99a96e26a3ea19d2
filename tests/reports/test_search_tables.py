"""The trials of a search in reports."""

import csv
import io
from typing import Any

import pytest

from mgaudit.errors import UsageError
from mgaudit.reports.document import document
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.formats.numbers_csv import render_csv
from mgaudit.reports.results import AuditResult, Result, StudyResult
from mgaudit.reports.search_record import SearchRecord, TrialRecord
from mgaudit.reports.search_tables import (
    NOT_PAID,
    OTHERS,
    search_lines,
    search_section,
    search_table,
)
from mgaudit.reports.section import Words
from mgaudit.reports.table import Table
from mgaudit.storage.join import NamedRun, _united_settings, joined
from tests.fake_study import arrays, result, study, three_arms


def trial(accuracies: list[float], **changes: Any) -> TrialRecord:
    values = {"epochs": 10, "sample_rate": 0.125, "learning_rate": 0.5, "max_grad_norm": 0.25}
    return TrialRecord(**values | changes, accuracies=accuracies)


def record() -> SearchRecord:
    trials = [
        trial([0.95], epochs=20),  # lucky on one fold, and left out
        trial([0.5, 0.6, 0.7, 0.8], views=4, averaging=0.95),
        trial([0.6, 0.6, 0.7, 0.8], epochs=1),
        trial([0.3]),
    ]
    return SearchRecord(trials=trials, chosen=2, held_out=1200, trained=600, validated=555)


def tuned(*searched: int) -> StudyResult:
    """The study of three arms, of which those numbers have a search."""
    arms: list[AuditResult] = [
        arm.model_copy(update={"search": record() if index in searched else None})
        for index, arm in enumerate(three_arms())
    ]
    return study(arms=arms)


def test_trials_are_in_the_order_of_the_race_and_the_chosen_one_is_marked() -> None:
    table = search_table(record(), True, "search-1", "Trials")
    assert [str(row[0]) for row in table.rows] == ["2*", "1", "0", "3"]
    by_column = dict(zip(table.columns, table.rows[1], strict=True))
    assert by_column["Batch, % of members"].value == 12.5
    assert by_column["Accuracy, %"].value == pytest.approx(65)
    assert by_column["Folds"].value == 4
    assert str(by_column["Views"]) == "4"
    assert str(by_column["Averaging"]) == "0.95"
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert float(rows[0]["Accuracy, %"]) == pytest.approx(67.5)


def test_a_chosen_trial_is_first_among_equally_accurate_ones() -> None:
    trials = [trial([0.5], epochs=9), trial([0.5], epochs=3)]
    equal = SearchRecord(trials=trials, chosen=1, held_out=100, trained=75, validated=25)
    table = search_table(equal, True, "search-1", "Trials")
    assert [str(row[0]) for row in table.rows] == ["1*", "0"]


def test_only_arms_with_dp_sgd_have_its_settings() -> None:
    table = search_table(record(), False, "search-1", "Trials")
    assert "Clip norm" not in table.columns
    assert len(table.columns) == len(table.rows[0]) == 6


def test_the_section_follows_the_main_table_and_says_what_epsilon_leaves_out() -> None:
    shown = tuned(0, 2)
    section = search_section(shown, arrays(shown.arms))
    assert section is not None
    words = [block.paragraphs[0] for block in section.blocks if isinstance(block, Words)]
    assert "1,200 examples" in words[0]
    assert "not audited" in words[0]
    assert words[1:] == [OTHERS, NOT_PAID]
    tables = [block for block in section.blocks if isinstance(block, Table)]
    assert [table.key for table in tables] == ["search-1", "search-3"]
    report = document(result(shown), [arrays(shown.arms)])
    titles = [section.title for section in report.sections]
    assert titles[2] == "Search for the settings"
    assert "Trials for dp-sgd (epsilon=8)" in render_html(report)


def test_without_dp_sgd_there_is_no_word_about_epsilon() -> None:
    shown = tuned(0)
    section = search_section(shown, arrays(shown.arms))
    assert section is not None
    assert NOT_PAID not in str(section.blocks)
    assert not any("ε" in line for line in search_lines(shown))


def test_a_study_without_a_search_has_no_section() -> None:
    assert search_section(tuned(), arrays(three_arms())) is None
    assert search_lines(tuned()) == []
    content = result(tuned()).model_dump(mode="json")
    for arm in content["studies"][0]["arms"]:
        del arm["search"]  # as results of earlier versions
    assert Result.model_validate(content) == result(tuned())


def test_the_terminal_has_a_line_for_each_arm_with_a_search() -> None:
    (line,) = search_lines(tuned(2))
    assert line.startswith("dp-sgd (epsilon=8): 1 epoch, batches of 12.5 % of the members")
    assert "the best of 4 trials on 1,200 held-out examples (67.5 %)" in line
    assert line.endswith("ε does not account for the search")


def test_the_table_of_all_numbers_has_each_trial() -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(result(tuned(2))))))
    trials = [row for row in rows if row["what"] == "trial"]
    assert [float(row["value"]) for row in trials] == pytest.approx([0.95, 0.65, 0.675, 0.3])
    assert [("(chosen)" in row["note"]) for row in trials] == [False, False, True, False]


def test_an_arm_that_a_search_changed_is_not_joined_with_the_same_arm_without() -> None:
    runs = [
        NamedRun(name, result(shown), [arrays(shown.arms)])
        for name, shown in (("first", tuned(2)), ("second", tuned()))
    ]
    with pytest.raises(UsageError, match="a search changed the training of the arm"):
        joined(runs)
    apart, _ = joined(runs, chapters=True)
    assert len(apart.studies) == 2


def test_joined_runs_have_the_searches_of_both_with_those_of_the_first_first() -> None:
    first = {"schemes": ["none"], "searches": {"none": 1}}
    second = {"schemes": ["none", "dp-sgd:epsilon=8"], "searches": {"none": 2, "dp-sgd": 3}}
    assert _united_settings(first, second)["searches"] == {"none": 1, "dp-sgd": 3}
    assert "searches" not in _united_settings({"schemes": ["none"]}, {"schemes": ["none"]})
