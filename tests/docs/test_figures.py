"""Figures on pages that follow from a formula agree with it."""

import math
from pathlib import Path

import pytest

from mgaudit.study.epsilon_bound import provable_in_one_run
from tests.docs.page_figures import DP, METHOD, README, RESULTS
from tests.docs.tables import sentence_figure


@pytest.mark.parametrize(
    ("page", "pattern", "examples"),
    [
        (README, r"both at δ = (\S+)\. On", 599),
        (README, r"imply ε ≥ \d\.\d+ at δ = (\S+)\.", 1198),
        (DP, r"\(at δ = (\S+)\)", 1198),
        (RESULTS, r"weights averaged with decay \S+; δ = (\S+)\)\.", 5000),
    ],
)
def test_a_default_delta_is_that_of_the_number_of_training_examples(
    page: Path, pattern: str, examples: int
) -> None:
    told, exact = float(sentence_figure(page, pattern)), examples**-1.1
    assert 0 <= told - exact < 0.01 * 10.0 ** math.floor(math.log10(exact))  # rounded up


@pytest.mark.parametrize(
    ("page", "pattern", "guesses", "canaries", "in_training", "significance"),
    [
        (DP, r"100 correct guesses out of 100 prove ε ≥ (\d\.\d)", 100, 500, 948, 0.05),
        (METHOD, r"are all correct, they prove ε ≥ (\d\.\d) at δ", 118, 1198, 599, 0.025),
    ],
)  # 948 = 1198 − 500 / 2 and 599 examples are expected in training, which gives the default δ
def test_what_guesses_can_prove(
    page: Path, pattern: str, guesses: int, canaries: int, in_training: int, significance: float
) -> None:
    exact = provable_in_one_run(guesses, canaries, in_training**-1.1, significance)
    told = float(sentence_figure(page, pattern))
    assert 0 <= exact - told < 0.1  # rounded down
