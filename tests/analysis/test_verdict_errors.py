"""How often the verdict is wrong, and when it decides, in simulated studies.

`pytest -m slow -k verdict_errors -s` prints the tables of docs/validation.md. The metrics of each
model are drawn from a Gaussian two-way model: an effect of the model, one of the examples that all
models share, and one of both. Their correlation between arms is CORRELATION. The verdict then runs
on the stored numbers, as in a study. The metrics have no jackknife over models;
test_verdict_errors_with_shadows.py tests the verdict from real attacks, which have one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from mgaudit.analysis.margins import Margins
from mgaudit.analysis.samples import Samples
from mgaudit.analysis.verdicts import verdicts
from mgaudit.reports.arm_verdict import ArmVerdict
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import AuditResult
from tests.fake_study import arm

MARGIN, CHANGE = 0.02, 0.2
MARGINS = Margins(MARGIN, CHANGE)
EXAMPLES, RESAMPLES = 2000, 100
TPR = "tpr@0.01"
CHANCE = 0.011  # about (10 + 1) / (1000 + 1), the TPR of guessing at 1 % FPR
CORRELATION = 0.5
KINDS = ("protects", "exposes more", "no difference that matters", "nothing to protect")
KINDS_ALONE = ("leaks", "no leak that matters")
NAMES = ("none", "gaussian-mask:kappa=1", "gaussian-mask:kappa=2", "gaussian-mask:kappa=3")


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a metric: over models, of the shared examples, and of both."""

    models: float
    examples: float
    both: float


# Of AUC and TPR, as on the digits with about 1,000 members.
NOISE = {"auc": Noise(0.01, 0.004, 0.008), TPR: Noise(0.006, 0.0025, 0.006)}


@dataclass(frozen=True)
class Truth:
    """The expected AUC and TPR of each arm; the first is the plain arm if there is one.

    A value within `close` of a boundary is at the boundary.
    """

    aucs: tuple[float, ...]
    tprs: tuple[float, ...]
    has_plain: bool = True
    margins: Margins = MARGINS
    close: float = 1e-12  # for rounding

    @property
    def arms(self) -> int:
        return len(self.aucs)


def normal(generator: np.random.Generator, arms: int, *shape: int) -> np.ndarray:
    """Standard normal numbers (arms, ...) that are correlated between the arms."""
    common = generator.standard_normal((1, *shape))
    own = generator.standard_normal((arms, *shape))
    return np.sqrt(CORRELATION) * common + np.sqrt(1 - CORRELATION) * own


@dataclass(frozen=True)
class Simulation:
    """Studies of `models` models, whose expected metrics are `truth`."""

    truth: Truth
    models: int

    def verdicts(self, draws: int, seed: int = 0) -> Iterator[list[ArmVerdict]]:
        """The verdicts of each simulated study."""
        generator = np.random.default_rng([seed, self.models])
        arms, membership = self._arms(), self._membership()
        for _ in range(draws):
            arrays: Arrays = {"membership": membership}
            for metric, means in (("auc", self.truth.aucs), (TPR, self.truth.tprs)):
                arrays |= self._metric(metric, means, generator)
            yield verdicts(arms, arrays, Samples.of(arms, arrays), self.truth.margins)

    def _metric(
        self, metric: str, means: Sequence[float], generator: np.random.Generator
    ) -> Arrays:
        noise, arms = NOISE[metric], self.truth.arms
        models = noise.models * normal(generator, arms, self.models)
        examples = noise.examples * normal(generator, arms, 1, 1 + RESAMPLES)
        both = noise.both * normal(generator, arms, self.models, 1 + RESAMPLES)
        sampled = examples + both
        values = np.asarray(means)[:, np.newaxis] + models + sampled[:, :, 0]
        values = np.clip(values, 0.0, 1.0)
        resampled = values[:, :, np.newaxis] + sampled[:, :, 1:]
        arrays: Arrays = {}
        for index in range(arms):
            arrays[f"arm{index}/lira/{metric}/per_target"] = values[index]
            arrays[f"arm{index}/lira/{metric}/in_resamples"] = resampled[index]
        return arrays

    def _arms(self) -> list[AuditResult]:
        names = NAMES if self.truth.has_plain else NAMES[1:]
        return [self._arm(name) for name in names[: self.truth.arms]]

    def _arm(self, name: str) -> AuditResult:
        result = arm(name, name, 0.5, None)
        changes = {"targets": list(range(self.models)), "non_members": EXAMPLES // 2}
        attack = result.attacks[0].model_copy(update=changes)
        return result.model_copy(update={"attacks": [attack]})

    def _membership(self) -> np.ndarray:
        return np.tile(np.arange(EXAMPLES) % 2 == 0, (self.models, 1))


def wrong_kinds(found: ArmVerdict, truth: Truth, index: int) -> set[str]:
    """The kinds of wrong statements about the arm with this index, by AUC or TPR.

    A truth at a boundary is the limit from both sides, so there the statements of both are wrong.
    """
    assert found.tpr is not None
    wrong = set()
    smallest, change = truth.margins.smallest_auc_difference, truth.margins.smallest_tpr_change
    close = truth.close
    for metric, means in ((found.auc, truth.aucs), (found.tpr, truth.tprs)):
        is_auc = metric.metric == "auc"
        least_leak = smallest if is_auc else change * metric.chance
        excess = means[index] - metric.chance
        if found.against == "chance":
            statements = _wrong_alone(excess, least_leak, close)
        else:
            margin = smallest if is_auc else change * means[0]
            statements = _wrong_compared(means[index] - means[0], margin, close)
            largest = max(excess, means[0] - metric.chance)
            statements["nothing to protect"] = largest >= least_leak - close
        if statements.get(metric.outcome, False):
            wrong.add(metric.outcome.partition(",")[0])
    return wrong


def _wrong_compared(difference: float, margin: float, close: float) -> dict[str, bool]:
    return {
        "protects": difference >= -margin - close,
        "protects, by an uncertain amount": difference >= -close,
        "exposes more": difference <= margin + close,
        "exposes more, by an uncertain amount": difference <= close,
        "no difference that matters": abs(difference) >= margin - close,
    }


def _wrong_alone(excess: float, margin: float, close: float) -> dict[str, bool]:
    return {
        "leaks": excess <= margin + close,
        "leaks, by an uncertain amount": excess <= close,
        "no leak that matters": excess >= margin - close,
    }


def error_rates(simulation: Simulation, draws: int) -> dict[str, float]:
    """The share of studies with at least one wrong statement of each kind, on any arm."""
    return rates_of(simulation.verdicts(draws), simulation.truth)


def rates_of(studies: Iterable[list[ArmVerdict]], truth: Truth) -> dict[str, float]:
    """The share of studies with at least one wrong statement of each kind, on any arm."""
    first = 1 if truth.has_plain else 0
    counts: Counter[str] = Counter()
    number = 0
    for found in studies:
        number += 1
        wrong: set[str] = set()
        for index, arm_verdict in enumerate(found, start=first):
            wrong |= wrong_kinds(arm_verdict, truth, index)
        counts.update(wrong)
    kinds = KINDS if truth.has_plain else KINDS_ALONE
    return {kind: counts[kind] / number for kind in kinds}


def compared(plain: tuple[float, float], step: float, arms: int) -> Truth:
    """Arms whose AUC is `step` margins above the plain arm's, and TPR as many fifths."""
    auc, tpr = plain
    return Truth(
        aucs=(auc, *[auc + step * MARGIN] * arms),
        tprs=(tpr, *[tpr * (1 + step * CHANGE)] * arms),
    )


HIGH = (0.70, 0.06)
AT_CHANCE = (0.5, CHANCE)
AT_LEAST_LEAK = (0.5 + MARGIN, CHANCE * (1 + CHANGE))
# Plain arm, and the difference of every other arm in margins.
SCENARIOS = {
    "plain high, d = −m": (HIGH, -1.0),
    "plain high, d = 0": (HIGH, 0.0),
    "plain high, d = m": (HIGH, 1.0),
    "plain at chance, d = 0": (AT_CHANCE, 0.0),
    "plain at chance, d = m": (AT_CHANCE, 1.0),
    "plain at chance + m, d = −m": (AT_LEAST_LEAK, -1.0),
    "plain at chance + m, d = 0": (AT_LEAST_LEAK, 0.0),
    "plain at chance + m, d = m": (AT_LEAST_LEAK, 1.0),
}


def alone(step: float, arms: int) -> Truth:
    """Arms without a plain arm, `step` margins above chance."""
    return Truth(
        aucs=(0.5 + step * MARGIN,) * arms,
        tprs=(CHANCE * (1 + step * CHANGE),) * arms,
        has_plain=False,
    )


def at_most_five_percent(rates: dict[str, float], draws: int) -> bool:
    limit = 0.05 + 3 * (0.05 * 0.95 / draws) ** 0.5
    return max(rates.values()) <= limit


@pytest.mark.parametrize("step", [-1.0, 0.0, 1.0])
def test_verdict_errors_are_rare_in_a_few_studies(step: float) -> None:
    draws = 100
    rates = error_rates(Simulation(compared(HIGH, step, arms=2), models=8), draws)
    assert at_most_five_percent(rates, draws), rates


def test_the_simulation_sees_rules_that_ignore_the_uncertainty() -> None:
    """A statement from the means alone is wrong in half of the studies at a boundary."""
    simulation = Simulation(compared(HIGH, 0.0, arms=1), models=8)
    signs = [found[0].auc.difference for found in simulation.verdicts(60)]
    positive = [difference.value > 0 for difference in signs if difference is not None]
    assert 0.3 < np.mean(positive) < 0.7
    values = [found[0].auc.value.value for found in simulation.verdicts(60)]
    assert np.mean(values) == pytest.approx(HIGH[0], abs=0.004)


def test_a_large_difference_is_decided() -> None:
    simulation = Simulation(compared(HIGH, -4.0, arms=1), models=16)
    outcomes = Counter(found[0].auc.outcome for found in simulation.verdicts(40))
    assert outcomes["protects"] >= 38


def percent(share: float) -> str:
    return f"{share * 100:.1f}"


@pytest.mark.slow
@pytest.mark.parametrize(("arms", "draws"), [(1, 1000), (3, 400)])
def test_verdict_errors_with_a_plain_arm(arms: int, draws: int) -> None:
    columns = " | ".join(f"{kind}, %" for kind in KINDS)
    print(f"\n{draws} studies\n\n| arms | truth | models | {columns} |")
    print("|---|---|---|---|---|---|---|")
    for name, (plain, step) in SCENARIOS.items():
        for models in (8, 16):
            rates = error_rates(Simulation(compared(plain, step, arms), models), draws)
            cells = " | ".join(percent(rates[kind]) for kind in KINDS)
            print(f"| {arms} | {name} | {models} | {cells} |")
            assert at_most_five_percent(rates, draws), (name, models, rates)


@pytest.mark.slow
def test_verdict_errors_without_a_plain_arm() -> None:
    draws = 1000
    print(
        "\n| arms | excess | models | leaks, % | no leak that matters, % |\n|---|---|---|---|---|"
    )
    for arms in (1, 3):
        for step, excess in ((0.0, "0"), (1.0, "m")):
            for models in (8, 16):
                rates = error_rates(Simulation(alone(step, arms), models), draws)
                cells = " | ".join(percent(rates[kind]) for kind in KINDS_ALONE)
                print(f"| {arms} | {excess} | {models} | {cells} |")
                assert at_most_five_percent(rates, draws), (step, models, rates)


POWER = (
    "nothing to protect",
    "no difference that matters",
    "protects, by an uncertain amount",
    "protects",
    "undecided",
)


@pytest.mark.slow
def test_verdict_errors_power_curves() -> None:
    draws = 400
    rows: dict[str, list[str]] = {"auc": [], "tpr": []}
    decided: dict[tuple[str, float, int], float] = {}
    for step in (0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0):
        for models in (8, 16, 32):
            found = list(Simulation(compared(HIGH, step, arms=1), models).verdicts(draws))
            for metric in rows:
                shares = Counter(getattr(verdict, metric).outcome for (verdict,) in found)
                cells = " | ".join(f"{100 * shares[name] / draws:.0f}" for name in POWER)
                row = f"| {metric.upper()} | {step:g} | {models} | {cells} |"
                rows[metric].append(row.replace("-", "−", 1))
                decided[metric, step, models] = 1 - shares["undecided"] / draws
    print(f"\n| metric | d, margins | models | {' | '.join(POWER)} |")
    print("|" + "---|" * (3 + len(POWER)))
    print(*(line for lines in rows.values() for line in lines), sep="\n")
    for metric in rows:
        for models in (16, 32):
            assert decided[metric, -4.0, models] > decided[metric, -1.0, models] - 0.05
        assert decided[metric, -4.0, 32] > 0.95
