"""A figure that stands on several pages is the same on all of them, or follows from the code."""

import doctest
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from mgaudit.study.epsilon_bound import provable_in_one_run
from tests.docs import tables
from tests.docs.pages import DOCS, ROOT
from tests.docs.tables import agree, cell, numbers, sentence_figure

README, FINDINGS, RESULTS = ROOT / "README.md", DOCS / "findings.md", DOCS / "results.md"
CANARIES, DP = DOCS / "howto" / "canaries.md", DOCS / "howto" / "dp-training.md"
ARMS = {"none": "no noise", "mask": "gaussian-mask (kappa=0.3)", "dp": "dp-sgd (epsilon=8)"}
IN_FINDINGS = {"none": "CNN, no noise", "dp": "CNN, DP-SGD, ε = 8"}
ATTACK = "AUC of stacked"
CANARY_TABLE = "digits, CNN, 16 models"


def test_the_examples_of_the_comparison() -> None:
    assert doctest.testmod(tables).failed == 0
    assert not agree("0.626 ± 0.014", "0.627 ± 0.014")
    assert not agree("0.626 ± 0.014", "0.626 ± 0.015")
    assert not agree("0.626 ± 0.014", "0.626")


@pytest.mark.parametrize("arm", ARMS)
def test_the_digits_cnn_has_the_same_figures_in_readme_and_results(arm: str) -> None:
    row = ARMS[arm]
    accuracy = cell(RESULTS, "arm", row, "test acc., %", beside=ATTACK)
    assert agree(cell(README, "arm", row, "test accuracy, %"), accuracy) or arm == "dp"
    assert numbers(cell(README, "arm", row, "test accuracy, %"))[0] == numbers(accuracy)[0]
    assert agree(cell(README, "arm", row, "AUC of `stacked`"), cell(RESULTS, "arm", row, ATTACK))
    for attack in ("lira", "loss"):  # the intervals of two runs may differ in the last digit
        in_readme = numbers(cell(README, "arm", row, f"AUC of `{attack}`"))
        assert in_readme[0] == numbers(cell(RESULTS, "arm", row, f"AUC of {attack}"))[0]


@pytest.mark.parametrize("arm", IN_FINDINGS)
def test_the_digits_cnn_has_the_same_figures_in_findings(arm: str) -> None:
    row = IN_FINDINGS[arm]
    assert agree(
        cell(FINDINGS, "digits", row, "test accuracy, %"),
        cell(RESULTS, "arm", ARMS[arm], "test acc., %", beside=ATTACK),
    )
    assert agree(cell(FINDINGS, "digits", row, "AUC"), cell(RESULTS, "arm", ARMS[arm], ATTACK))
    proved = "ε at least"
    assert cell(FINDINGS, "digits", row, proved) == cell(README, "arm", ARMS[arm], proved)


@pytest.mark.parametrize(
    ("in_sentence", "in_table"),
    [
        (
            lambda: sentence_figure(README, r"has AUC (\S+ ± \S+) instead"),
            lambda: cell(README, "arm", ARMS["mask"], "AUC of `stacked`"),
        ),
        (
            lambda: sentence_figure(README, r"canaries imply ε ≥ (\d\.\d+) at δ"),
            lambda: sentence_figure(DP, r"for the command above, ε ≥ (\d\.\d+) of 8"),
        ),
        (
            lambda: sentence_figure(CANARIES, r"the attack `loss` is (0\.\d+ ± 0\.\d+),"),
            lambda: cell(FINDINGS, CANARY_TABLE, "no noise", "AUC, all examples"),
        ),
        (
            lambda: sentence_figure(CANARIES, r"its AUC is (0\.\d+ \[[^\]]+\])"),
            lambda: cell(FINDINGS, CANARY_TABLE, "no noise", "AUC, canaries"),
        ),
        (
            lambda: sentence_figure(CANARIES, r"the AUC is (0\.\d+ ± 0\.\d+) on average"),
            lambda: cell(FINDINGS, CANARY_TABLE, "label smoothing 0.3", "AUC, all examples"),
        ),
        (
            lambda: sentence_figure(CANARIES, r"on average and (0\.\d+ \[[^\]]+\])"),
            lambda: cell(FINDINGS, CANARY_TABLE, "label smoothing 0.3", "AUC, canaries"),
        ),
    ],
    ids=lambda figure: str(figure.__code__.co_firstlineno),
)
def test_a_sentence_has_the_figure_of_the_table(
    in_sentence: Callable[[], str], in_table: Callable[[], str]
) -> None:
    assert agree(in_sentence(), in_table()), (in_sentence(), in_table())


def value(figure: str) -> str:
    """Returns the first number of a figure, as it is written."""
    return figure.split()[0]


def test_the_cifar10_mlp_has_the_same_figures_in_findings_and_results() -> None:
    rows = {"κ = 0": "no noise", "DP-SGD, ε = 8": "dp-sgd (epsilon=8)"}
    for row, arm in rows.items():
        findings = cell(FINDINGS, "CIFAR-10 MLP", row, "AUC")
        results = results_of_cifar10_mlp(arm)
        assert agree(findings, results["AUC"])
        tpr = cell(FINDINGS, "CIFAR-10 MLP", row, "TPR @ 1 % FPR, %")
        assert agree(tpr, results["TPR @ 1 % FPR, %"])


def results_of_cifar10_mlp(arm: str) -> dict[str, str]:
    """Returns the row of the main attack in the first table of the results."""
    headers, rows = next(
        (headers, rows) for headers, rows in tables.tables(RESULTS) if "attack" in headers
    )
    (row,) = (row for row in rows if row[0] == arm and row[headers.index("attack")] == "stacked")
    return dict(zip(headers, row, strict=True))


@pytest.mark.parametrize(
    ("page", "pattern", "examples"),
    [
        (README, r"both at δ = (\S+)\. On", 599),
        (README, r"imply ε ≥ 7\.58 at δ = (\S+)\.", 1198),
        (DP, r"\(at δ = (\S+)\)", 1198),
        (RESULTS, r"weights averaged with decay 0\.95; δ = (\S+)\)\.", 5000),
    ],
)
def test_a_default_delta_is_that_of_the_number_of_training_examples(
    page: Path, pattern: str, examples: int
) -> None:
    told, exact = float(sentence_figure(page, pattern)), examples**-1.1
    assert 0 <= told - exact < 0.01 * 10.0 ** math.floor(math.log10(exact))  # rounded up


def test_what_guesses_can_prove() -> None:
    in_training = 1198 - 500 / 2  # expected number of examples
    exact = provable_in_one_run(100, 500, in_training**-1.1, 0.05)
    told = float(sentence_figure(DP, r"100 correct guesses out of 100 prove ε ≥ (\d\.\d)"))
    assert 0 <= exact - told < 0.1  # rounded down
