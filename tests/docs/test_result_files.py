"""The tables of the pages have the numbers of the stored results, which a run wrote."""

import doctest
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs import result_files
from tests.docs.pages import DOCS, ROOT
from tests.docs.result_files import differences, stored
from tests.docs.tables import cell

README, FINDINGS = ROOT / "README.md", DOCS / "findings.md"
Key = tuple[str, str, str, str, str]

OF_RUN = {
    "no noise": "none",
    "gaussian-mask (kappa=0.3)": "gaussian-mask:kappa=0.3",
    "dp-sgd (epsilon=8)": "dp-sgd:epsilon=8",
}


def readme(page: Path = README) -> dict[Key, str]:
    """Returns the cells of the table of the README."""
    cells = {}
    for label, arm in OF_RUN.items():
        accuracy = cell(page, "arm", label, "test accuracy, %")
        cells["1", arm, "", "", "accuracy"] = accuracy
        for attack in ("stacked", "rmia", "lira", "loss"):
            figure = cell(page, "arm", label, f"AUC of `{attack}`")
            cells["1", arm, attack, "adaptive", "auc"] = figure
        bound = cell(page, "arm", label, "ε at least")
        cells["1", arm, "stacked", "adaptive", "epsilon_lower_bound"] = bound
    return cells


def findings(page: Path = FINDINGS) -> dict[Key, str]:
    """Returns the cells of the table on the digits in the findings."""
    networks = {"MLP": "1", "CNN": "2"}
    arms = {"no noise": "none", "κ = 1.5": "gaussian-mask:kappa=1.5"}
    arms["DP-SGD, ε = 8"] = "dp-sgd:epsilon=8"
    metrics = {"AUC": "auc", "TPR @ 1 % FPR, %": "tpr@0.01", "ε at least": "epsilon_lower_bound"}
    cells = {}
    for network, study in networks.items():
        for label, arm in arms.items():
            row = f"{network}, {label}"
            accuracy = cell(page, "digits", row, "test accuracy, %")
            cells[study, arm, "", "", "accuracy"] = accuracy
            for header, metric in metrics.items():
                figure = cell(page, "digits", row, header)
                cells[study, arm, "stacked", "adaptive", metric] = figure
    return cells


TABLES: dict[str, Callable[..., dict[Key, str]]] = {
    "digits-cnn": readme,
    "kappa-sweep-digits": findings,
}


def test_the_examples() -> None:
    assert doctest.testmod(result_files).failed == 0


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_the_numbers_of_its_result(name: str) -> None:
    cells = TABLES[name]()
    assert len(cells) >= 18
    assert list(differences(cells, name)) == []


@pytest.mark.parametrize("name", TABLES)
def test_a_figure_that_differs_in_the_last_digit_is_found(name: str) -> None:
    cells = TABLES[name]()
    rows = stored(name)
    for key, figure in cells.items():
        first = figure.split()[0]
        digits = len(first.partition(".")[2])
        changed = f"{float(first) + 10.0**-digits:.{digits}f}"
        other = figure.replace(first, changed, 1)
        assert list(differences({key: other}, name)), (key, figure, rows[key])
