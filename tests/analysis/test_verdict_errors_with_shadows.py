"""How often the verdict is wrong, and when it decides, where targets are each other's shadows.

`pytest -m slow -k verdicts_with_shadows -s` prints the tables of docs/validation.md. Outputs of
models are simulated, attacked and judged as in a study. So the intervals are those by the jackknife
over models, and the shadows of every study are new. The true AUC and TPR of each arm are the means
over many more studies. The margins are the true distances between two arms, so that the truth is at
a boundary.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from mgaudit.analysis.margins import Margins
from mgaudit.analysis.samples import Samples
from mgaudit.analysis.verdicts import verdicts
from mgaudit.attacks import RMIA, Attack, LiRA
from mgaudit.attacks.intervals import Variances
from mgaudit.reports.arm_verdict import ArmVerdict
from tests.analysis.test_verdict_errors import (
    KINDS,
    KINDS_ALONE,
    POWER,
    Truth,
    at_most_five_percent,
    percent,
    rates_of,
)
from tests.simulated_studies import LAWS, Floats, Studies, Study, scales_of

MARGIN = 0.05  # with 400 examples, the intervals are too wide for 0.02
CLOSE = 0.002  # about three standard errors of a true difference
# The AUC of each arm above chance, in margins. Equal arms differ in their noise.
LEVELS = (0, 0, 1, 1, 2, 3, 3, 4)
DRAWS, MORE = 400, 800


class Scenario(NamedTuple):
    """Some arms, and the pair whose true distance is the margin; the first arm may be plain."""

    chosen: tuple[int, ...]
    margin: tuple[int, int]
    has_plain: bool = True


SCENARIOS = {
    "plain high, d = −m": Scenario((5, 4), (4, 5)),
    "plain high, d = 0": Scenario((5, 6), (4, 5)),
    "plain high, d = m": Scenario((5, 7), (7, 5)),
    "plain at chance, d = 0": Scenario((0, 1), (2, 0)),
    "plain at chance, d = m": Scenario((0, 2), (2, 0)),
    "plain at chance + m, d = −m": Scenario((2, 0), (0, 2)),
    "plain at chance + m, d = 0": Scenario((2, 3), (2, 0)),
    "plain at chance + m, d = m": Scenario((2, 4), (4, 2)),
    "plain high, three arms": Scenario((5, 4, 6, 7), (4, 5)),
    "plain at chance + m, three arms": Scenario((2, 0, 3, 4), (0, 2)),
}
ALONE = {
    "excess 0": Scenario((0,), (2, 0), has_plain=False),
    "excess m": Scenario((2,), (2, 0), has_plain=False),
    "excess 0, m and m": Scenario((0, 2, 3), (2, 0), has_plain=False),
}
CURVE = {
    "0": Scenario((5, 6), (5, 7)),
    "−1": Scenario((7, 5), (5, 7)),
    "−2": Scenario((7, 4), (5, 7)),
    "−3": Scenario((7, 2), (5, 7)),
    "−4": Scenario((7, 0), (5, 7)),
}


def truth_of(scenario: Scenario, means: Floats) -> Truth:
    """The truth about some arms, from the means of AUC and TPR of all arms (arms, 2)."""
    other, base = means[list(scenario.margin)]
    auc, tpr = np.abs(other - base)
    of_arms = means[list(scenario.chosen)]
    margins = Margins(float(auc), float(tpr / base[1]))
    aucs, tprs = (tuple(float(value) for value in column) for column in of_arms.T)
    return Truth(aucs, tprs, scenario.has_plain, margins, CLOSE)


def judged(study: Study, scenario: Scenario, truth: Truth) -> list[ArmVerdict]:
    arms, arrays = study.of_arms(scenario.chosen, scenario.has_plain)
    return verdicts(arms, arrays, Samples.of(arms, arrays), truth.margins)


def means_of(studies: Studies, draws: int, same: Sequence[int]) -> Floats:
    """The mean AUC and TPR of each arm (arms, 2); arms with the same number share their means."""
    means: Floats = studies.values(draws, seed=1).mean(axis=0)
    numbers = np.array(same)
    return np.stack([means[numbers == number].mean(axis=0) for number in same])


@dataclass(frozen=True)
class Judged:
    """The truth of each scenario, and the verdicts of every study (studies, arms)."""

    truths: dict[str, Truth]
    by_scenario: dict[str, list[list[ArmVerdict]]]

    @classmethod
    def of(
        cls, studies: Studies, draws: int, means: Floats, scenarios: dict[str, Scenario]
    ) -> "Judged":
        truths = {name: truth_of(scenario, means) for name, scenario in scenarios.items()}
        by_scenario: dict[str, list[list[ArmVerdict]]] = {name: [] for name in scenarios}
        for study in studies.studies(draws, seed=2):
            for name, scenario in scenarios.items():
                by_scenario[name].append(judged(study, scenario, truths[name]))
        return cls(truths, by_scenario)

    def rates(self, name: str) -> dict[str, float]:
        return rates_of(self.by_scenario[name], self.truths[name])


FEW = 25
SMALL = {
    "d = −m": Scenario((2, 1), (1, 2)),
    "d = 0": Scenario((2, 3), (1, 2)),
    "d = −3 m": Scenario((2, 0), (1, 2)),
}


@cache
def small() -> tuple[Studies, Floats]:
    """Studies of four arms, of which two are equal, and their means."""
    studies = Studies(LAWS["normal"], RMIA(), 8, (0.0, 0.55, 0.85, 0.85), resamples=60)
    return studies, means_of(studies, 100, same=(0, 1, 2, 2))


@pytest.mark.slow
def test_verdicts_from_the_jackknife_are_rarely_wrong_and_decide() -> None:
    studies, means = small()
    of_studies = Judged.of(studies, FEW, means, SMALL)
    for name in SMALL:
        rates = of_studies.rates(name)
        assert at_most_five_percent(rates, FEW), (name, rates)
    outcomes = Counter(verdict.auc.outcome for (verdict,) in of_studies.by_scenario["d = −3 m"])
    assert outcomes["protects"] >= 0.9 * FEW, outcomes


@pytest.mark.slow
def test_the_studies_see_intervals_that_are_too_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    half = Variances.half
    monkeypatch.setattr(Variances, "half", lambda self, tail: half(self, tail) / 4)
    studies, means = small()
    rates = Judged.of(studies, FEW, means, {"d = −m": SMALL["d = −m"]}).rates("d = −m")
    assert not at_most_five_percent(rates, FEW), rates


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "attack", "models"),
    [
        ("normal", LiRA(), 8),
        ("normal", RMIA(), 8),
        ("models differ", LiRA(), 8),
        ("normal", LiRA(), 16),
        ("normal", RMIA(), 16),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Attack) else str(value),
)
def test_verdicts_with_shadows(law: str, attack: Attack, models: int) -> None:
    expected = [0.5 + MARGIN * level for level in LEVELS]
    scales = scales_of(LAWS[law], attack, models, expected)
    studies = Studies(LAWS[law], attack, models, scales, resamples=100)
    means = means_of(studies, MORE, same=LEVELS)
    curve = {f"power {name}": scenario for name, scenario in CURVE.items()}
    of_studies = Judged.of(studies, DRAWS, means, {**SCENARIOS, **ALONE, **curve})
    label = f"{law} | {type(attack).__name__} | {models}"
    print(f"\n{label}: AUC, TPR\n", np.round(means, 4).tolist())
    wrong = {}
    for names, kinds in ((SCENARIOS, KINDS), (ALONE, KINDS_ALONE)):
        print(f"\n| truth | law | attack | models | {', % | '.join(kinds)}, % |")
        print("|" + "---|" * (4 + len(kinds)))
        for name in names:
            wrong[name] = rates = of_studies.rates(name)
            print(f"| {name} | {label} | {' | '.join(percent(rates[kind]) for kind in kinds)} |")
    _print_power(of_studies, label)
    for name, rates in wrong.items():
        assert at_most_five_percent(rates, DRAWS), (name, rates)


def _print_power(of_studies: Judged, label: str) -> None:
    print(f"\n| metric | d, margins | law | attack | models | {' | '.join(POWER)} |")
    print("|" + "---|" * (5 + len(POWER)))
    for metric in ("auc", "tpr"):
        for name in CURVE:
            of_arm = [verdict for (verdict,) in of_studies.by_scenario[f"power {name}"]]
            by_metric = [getattr(verdict, metric) for verdict in of_arm]
            counts = Counter(found.outcome for found in by_metric if found is not None)
            cells = " | ".join(f"{100 * counts[outcome] / DRAWS:.0f}" for outcome in POWER)
            print(f"| {metric.upper()} | {name} | {label} | {cells} |")
