import pytest

from mgaudit.attacks.intervals import Interval
from mgaudit.papers.claim import Row
from mgaudit.papers.error_bars import error_bars
from mgaudit.papers.rows import column, distinct, matching, ratios

ROWS: list[Row] = [
    {"loss": "squared", "step": 2.0, "value": 6.0},
    {"loss": "squared", "step": 1.0, "value": 4.0},
    {"loss": "cross-entropy", "step": 2.0, "value": 1.0},
]


def test_rows_are_selected_in_their_order_by_all_values() -> None:
    assert matching(ROWS, loss="squared") == ROWS[:2]
    assert matching(ROWS, loss="squared", step=2) == ROWS[:1]
    assert matching(ROWS, missing=1.0) == []


def test_columns_are_read_as_numbers() -> None:
    assert column(ROWS, "step") == [2.0, 1.0, 2.0]
    assert distinct(ROWS, "step") == [1.0, 2.0]
    assert ratios(ROWS, "value", "step") == [3.0, 4.0, 0.5]
    with pytest.raises(KeyError):
        column(ROWS, "missing")


def test_error_bars_are_lengths_from_the_value() -> None:
    intervals = [Interval(2.0, 1.5, 3.0), Interval(0.0, -1.0, 0.25)]
    assert error_bars(intervals) == ([2.0, 0.0], [[0.5, 1.0], [1.0, 0.25]])
