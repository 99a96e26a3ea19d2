import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgaudit.targets.datasets.stratified_split import UndividedClassError, stratified_test_rows


def test_each_class_has_its_share_rounded_to_whole_examples() -> None:
    labels = np.repeat([0, 1, 2], [30, 10, 2])
    test = stratified_test_rows(labels, range(42), 1 / 3)
    assert np.bincount(labels[test]).tolist() == [10, 3, 1]


def test_the_draw_is_that_of_a_permutation_and_not_the_first_rows() -> None:
    labels = np.zeros(300, dtype=np.int64)
    rows = np.flatnonzero(stratified_test_rows(labels, range(300), 0.5))
    assert len(rows) == 150
    # The mean of 150 of the rows 0..299, drawn without replacement, has sd 5.0.
    assert abs(rows.mean() - 149.5) < 20
    assert len(set(np.diff(rows).tolist())) > 3


def test_the_draw_is_always_the_same() -> None:
    labels = np.arange(40) % 4
    first, second = (stratified_test_rows(labels, range(40), 0.25) for _ in range(2))
    assert np.array_equal(first, second)


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=40),
    fraction=st.floats(0.01, 0.99),
)
def test_equal_contents_are_on_one_side_and_every_class_on_both(
    rows: list[tuple[int, int]], fraction: float
) -> None:
    names = sorted({label for label, _ in rows})
    labels = np.array([names.index(label) for label, _ in rows])
    contents = [content for _, content in rows]
    try:
        test = stratified_test_rows(labels, contents, fraction)
    except UndividedClassError as error:
        own = {
            content for label, content in zip(labels, contents, strict=True) if label == error.label
        }
        shared = len(set(contents)) < len(rows)
        assert len(own) == 1 or shared
        return
    on_test = {content for content, is_test in zip(contents, test, strict=True) if is_test}
    on_train = {content for content, is_test in zip(contents, test, strict=True) if not is_test}
    assert on_test.isdisjoint(on_train)
    assert set(labels[test]) == set(labels[~test]) == set(range(len(names)))


def test_one_large_group_does_not_exceed_the_share_where_another_fits() -> None:
    contents = [0] * 8 + [1, 2, 3, 4]
    test = stratified_test_rows(np.zeros(12, dtype=np.int64), contents, 1 / 3)
    assert np.flatnonzero(test).tolist() == [8, 9, 10, 11]


def test_the_smallest_group_is_taken_where_all_exceed_the_share() -> None:
    contents = [0] * 6 + [1] * 4
    test = stratified_test_rows(np.zeros(10, dtype=np.int64), contents, 0.1)
    assert np.flatnonzero(test).tolist() == [6, 7, 8, 9]


@pytest.mark.parametrize("labels", [[0, 0, 0, 1], [0, 1, 0, 1, 1]])
def test_a_class_that_cannot_be_divided_is_named(labels: list[int]) -> None:
    contents = [0, 1, 2, 3] if len(labels) == 4 else [0, 9, 1, 9, 9]
    with pytest.raises(UndividedClassError) as error:
        stratified_test_rows(np.array(labels), contents, 0.5)
    assert error.value.label == 1
