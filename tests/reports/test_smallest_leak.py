"""What a report says about the smallest leak that its audit would have found."""

import csv
import io
from typing import Any

import pytest

from mgaudit.reports.answer import answer_section
from mgaudit.reports.document import document
from mgaudit.reports.formats.html import render_html
from mgaudit.reports.formats.numbers_csv import render_csv
from mgaudit.reports.formats.pdf import render_pdf
from mgaudit.reports.method import method
from mgaudit.reports.results import StudyResult
from mgaudit.reports.section import Words
from mgaudit.reports.smallest_leak import MOST_NAMED, SmallestLeak, smallest_leak_sentences
from tests.fake_study import arrays, html_text, pdf_text, result, study

SENTENCE = (
    "Smallest leaks: For dp-sgd (epsilon=8), no leak is proved; a leak that gives the attack "
    "lira an AUC above 0.518 or a TPR above 13.15 % at 10 % FPR would have been found with about "
    "80 % power."
)


def leak(**changes: Any) -> SmallestLeak:
    fields: dict[str, Any] = {
        "arm": 2,
        "attack": "lira",
        "level": 0.9964,
        "power": 0.8,
        "auc": 0.5172,
        "tpr_metric": "tpr@0.1",
        "tpr": 0.13141,
    }
    return SmallestLeak(**{**fields, **changes})


def with_leaks(*leaks: SmallestLeak) -> StudyResult:
    return study().model_copy(update={"smallest_leaks": list(leaks)})


def last_words(record: StudyResult) -> list[str]:
    words = answer_section(record).blocks[-1]
    assert isinstance(words, Words)
    return list(words.paragraphs)


def test_the_first_section_has_a_sentence_for_an_arm_without_a_proven_leak() -> None:
    assert last_words(with_leaks(leak()))[-1] == SENTENCE
    assert last_words(with_leaks()) == last_words(with_leaks(leak()))[:-1]


def test_values_are_rounded_up_and_missing_ones_are_left_out() -> None:
    (rounded,) = smallest_leak_sentences([leak(arm=0, auc=0.5170001)], ["a"])
    assert "AUC above 0.518" in rounded
    (exact,) = smallest_leak_sentences([leak(arm=0, auc=0.517)], ["a"])
    assert "AUC above 0.517" in exact
    (without_tpr,) = smallest_leak_sentences([leak(arm=0, tpr_metric=None, tpr=None)], ["a"])
    assert "TPR" not in without_tpr
    (nothing,) = smallest_leak_sentences([leak(arm=0, auc=None, tpr=None)], ["a"])
    assert nothing == (
        "For a, no leak is proved, and the audit is too small to find any leak with 80 % power."
    )


def test_many_arms_have_one_sentence_that_holds_for_all() -> None:
    number = MOST_NAMED + 1
    labels = [str(index) for index in range(number)]
    leaks = [leak(arm=index, auc=0.51 + index / 1000) for index in range(number)]
    assert smallest_leak_sentences(leaks, labels) == [
        "No leak is proved for 6 arms; a leak that gives the attack lira an AUC above 0.515 "
        "would have been found with about 80 % power in each of them."
    ]
    leaks[1] = leak(arm=1, auc=None)
    assert smallest_leak_sentences(leaks, labels) == [
        "No leak is proved for 6 arms, and for 1 of them the audit is too small to find any leak "
        "with 80 % power."
    ]
    assert len(smallest_leak_sentences(leaks[1:], labels)) == MOST_NAMED


def test_the_method_says_how_they_are_computed() -> None:
    (paragraph,) = (text for text in method(with_leaks(leak())) if "Smallest leaks" in text)
    assert "at a level of 99.64 %" in paragraph
    assert "in 80 % of audits" in paragraph
    assert not any("Smallest leaks" in text for text in method(with_leaks()))


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize("full_paths", [False, True])
def test_html_pdf_and_csv_have_the_same_numbers(full_paths: bool) -> None:
    content = document(result(with_leaks(leak())), [arrays()], full_paths)
    for text in (html_text(render_html(content)), pdf_text(render_pdf(content))):
        assert "".join(SENTENCE.split()) in "".join(text.split())


@pytest.mark.parametrize("full_paths", [False, True])
def test_the_table_of_all_numbers_has_them_at_full_precision(full_paths: bool) -> None:
    content = document(result(with_leaks(leak(tpr=None))), [arrays()], full_paths)
    table = csv.DictReader(io.StringIO(render_csv(content.result)))
    auc, tpr = (row for row in table if row["what"] == "smallest value found with 80 % power")
    assert (auc["arm"], auc["attack"], auc["metric"]) == ("dp-sgd:epsilon=8", "lira", "auc")
    assert (float(auc["value"]), auc["note"]) == (0.5172, "at a level of 99.64 %")
    assert (tpr["metric"], tpr["value"]) == ("tpr@0.1", "")
    assert tpr["note"] == "no value is large enough"
