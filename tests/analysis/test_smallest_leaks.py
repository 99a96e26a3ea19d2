"""The smallest leaks that finished audits would have found, by simulation and in limits."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mgaudit.analysis.detectable import (
    AuditSize,
    auc_excess,
    auc_variance,
    tpr_by_chance,
)
from mgaudit.analysis.margins import Margins
from mgaudit.analysis.numbers import RATE, Quantity
from mgaudit.analysis.samples import Samples
from mgaudit.analysis.smallest_leaks import smallest_leaks, smallest_value, with_smallest_leaks
from mgaudit.analysis.verdicts import level_of_limits, verdicts
from mgaudit.attacks import RMIA, Attack, LiRA
from mgaudit.attacks.intervals import Resampled, Variances, resample_counts
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.findings import Analysis
from mgaudit.reports.results import StudyResult
from tests.analysis.test_detectable import Audits, chance, shift_of_auc, shift_of_tpr
from tests.fake_study import arrays, result, study, three_arms
from tests.simulated_studies import FPR, LAWS, TPR, Studies, Study, scales_of

METRICS = ("auc", TPR)
LEVEL = level_of_limits(1, 2, has_plain=False)


def known(value: float | None) -> float:
    assert value is not None
    return value


@dataclass(frozen=True)
class Outcome:
    """Whether an audit of one arm proves a leak by each metric, and else its smallest leaks."""

    proves: tuple[bool, ...]
    smallest: tuple[float, ...] | None

    @classmethod
    def of(cls, numbers: dict[str, Resampled], membership: NDArray[np.bool_]) -> "Outcome":
        audit, audit_arrays = judged(numbers, membership)
        samples = Samples.of(audit.arms, audit_arrays)
        lows = [samples.own(Quantity(0, name, "lira"), RATE, LEVEL).low for name in METRICS]
        proves = [low > chance(name, membership) for low, name in zip(lows, METRICS, strict=True)]
        found = smallest_leaks(audit, audit_arrays)
        smallest = (known(found[0].auc), known(found[0].tpr)) if found else None
        return cls(tuple(proves), smallest)


def judged(
    numbers: dict[str, Resampled], membership: NDArray[np.bool_]
) -> tuple[StudyResult, Arrays]:
    """Returns a study of one arm with its verdict, and its arrays."""
    arms, audit_arrays = Study([numbers], membership).of_arms([0], has_plain=False)
    samples = Samples.of(arms, audit_arrays)
    empty: dict[str, Any] = {"changes": [], "front": [], "matched": [], "dp_equivalent": []}
    analysis = Analysis(
        attack="lira",
        **empty,
        ignorance=[],
        exposure=[],
        absent={},
        verdicts=verdicts(arms, audit_arrays, samples, Margins()),
    )
    return base().model_copy(update={"arms": arms, "analysis": analysis}), audit_arrays


@cache
def base() -> StudyResult:
    return study()


def share_that_proves(outcomes: list[Outcome], metric: str) -> float:
    return float(np.mean([outcome.proves[METRICS.index(metric)] for outcome in outcomes]))


def typical(outcomes: list[Outcome]) -> tuple[float, float]:
    """Returns the median smallest AUC and TPR of audits without a leak."""
    smallest = [outcome.smallest for outcome in outcomes if outcome.smallest is not None]
    assert len(smallest) > 0.9 * len(outcomes)  # 2.5 % of each metric's intervals are too high
    auc, tpr = np.median(smallest, axis=0)
    return float(auc), float(tpr)


@dataclass(frozen=True)
class WithoutShadows:
    """Audits whose targets have scores N(0, 1), higher by a shift for members, and no shadows."""

    models: int
    examples: int
    number: int

    def outcomes(self, shift: float, seed: int) -> list[Outcome]:
        return list(self._outcomes(shift, seed))

    def _outcomes(self, shift: float, seed: int) -> Iterator[Outcome]:
        audits = Audits(self.models, self.examples, LEVEL, self.number, resamples=60)
        for draw in range(self.number):
            generator = np.random.default_rng([seed, draw])
            membership = generator.random((self.models, self.examples)) < 0.5
            counts = resample_counts(self.examples, generator, audits.resamples)
            numbers = {
                name: audits.numbers(name, membership, counts, shift, 0.0, generator)
                for name in METRICS
            }
            yield Outcome.of(numbers, membership)

    @property
    def size(self) -> AuditSize:
        return AuditSize(self.models, self.examples / 2, self.examples / 2)


def powers_without_shadows(audits: WithoutShadows) -> tuple[float, float]:
    """Returns the power for a planted AUC, and a planted TPR, of the smallest value."""
    auc, tpr = typical(audits.outcomes(0.0, seed=1))
    with_auc = audits.outcomes(shift_of_auc(auc - 0.5), seed=2)
    excess = tpr - tpr_by_chance(audits.size, FPR)
    with_tpr = audits.outcomes(shift_of_tpr(excess, audits.size), seed=3)
    return share_that_proves(with_auc, "auc"), share_that_proves(with_tpr, TPR)


def show(attack: str, models: int, of_auc: float, of_tpr: float) -> None:
    print("\n| attack | targets | power, AUC | power, TPR |\n|---|---|---|---|")
    print(f"| {attack} | {models} | {100 * of_auc:.0f} % | {100 * of_tpr:.0f} % |")


def test_a_planted_leak_of_the_smallest_size_is_found_in_about_80_percent_of_audits() -> None:
    audits = WithoutShadows(models=8, examples=300, number=60)
    auc, _ = typical(audits.outcomes(0.0, seed=1))
    found = share_that_proves(audits.outcomes(shift_of_auc(auc - 0.5), seed=2), "auc")
    assert 0.65 <= found <= 0.95
    half = share_that_proves(audits.outcomes(shift_of_auc((auc - 0.5) / 2), seed=2), "auc")
    assert half < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "audits",
    [WithoutShadows(4, 600, 200), WithoutShadows(8, 400, 200), WithoutShadows(16, 300, 200)],
    ids=lambda audits: f"{audits.models} models",
)
def test_the_power_is_about_80_percent(audits: WithoutShadows) -> None:
    auc, tpr = powers_without_shadows(audits)
    show("without shadow models", audits.models, auc, tpr)
    assert 0.7 <= auc <= 0.95
    assert 0.7 <= tpr <= 0.95


@dataclass(frozen=True)
class WithShadows:
    """Audits whose targets are each other's shadow models, with intervals by the jackknife."""

    attack: Attack
    models: int
    number: int
    law: str = "normal"

    def outcomes(self, scales: tuple[float, ...], seed: int) -> list[list[Outcome]]:
        """Returns the outcomes of the audits with each scale of the leak."""
        studies = Studies(LAWS[self.law], self.attack, self.models, scales)
        of_scales: list[list[Outcome]] = [[] for _ in scales]
        for drawn in studies.studies(self.number, seed):
            for outcomes, numbers in zip(of_scales, drawn.arms, strict=True):
                outcomes.append(Outcome.of(numbers, drawn.membership))
        return of_scales

    def powers(self) -> tuple[float, float]:
        """Returns the power for a planted AUC, and a planted TPR, of the smallest value."""
        (without,) = self.outcomes((0.0,), seed=1)
        auc, tpr = typical(without)
        law = LAWS[self.law]
        (of_auc,) = scales_of(law, self.attack, self.models, [auc], "auc")
        (of_tpr,) = scales_of(law, self.attack, self.models, [tpr], TPR)
        with_auc, with_tpr = self.outcomes((of_auc, of_tpr), seed=2)
        return share_that_proves(with_auc, "auc"), share_that_proves(with_tpr, TPR)


@pytest.mark.slow
@pytest.mark.parametrize(
    "audits",
    [
        WithShadows(RMIA(), 8, 200),
        WithShadows(RMIA(), 16, 200),
        WithShadows(LiRA(), 8, 200),
    ],
    ids=lambda audits: f"{type(audits.attack).__name__}, {audits.models} models",
)
def test_the_power_is_about_80_percent_with_shadow_models(audits: WithShadows) -> None:
    of_auc, of_tpr = audits.powers()
    show(type(audits.attack).__name__, audits.models, of_auc, of_tpr)
    error = 2 * (0.8 * 0.2 / audits.number) ** 0.5  # of the simulation
    assert 0.7 - error <= of_auc <= 0.95
    assert 0.7 - error <= of_tpr <= 0.95


def parts(**changes: Any) -> Variances:
    """The parts of the variance of an AUC over 16 targets with a jackknife."""
    of_16 = Variances(
        targets=16,
        degrees_of_freedom=15,
        over_models=1e-5,
        over_examples=1e-5,
        over_cells=1e-5,
        is_jackknife=True,
    )
    return replace(of_16, **changes)


def test_with_the_planned_variances_it_is_the_planned_effect() -> None:
    size = AuditSize(16, 600, 598)
    planned = parts(over_models=auc_variance(size) / 16, over_examples=0.0, over_cells=0.0)
    auc = smallest_value(planned, 0.99, 0.5, size.examples)
    assert known(auc) - 0.5 == pytest.approx(known(auc_excess(size, 0.99)), rel=1e-9)


def test_one_target_has_normal_quantiles_and_the_part_that_grows_with_the_leak() -> None:
    one = parts(targets=1, degrees_of_freedom=0, over_models=0.0, over_examples=1e-8)
    effect = known(smallest_value(one, 0.95, 0.5, examples=10**6)) - 0.5
    quantiles = 1.959964 + 0.841621  # of 95 % and of 80 % power
    assert effect == pytest.approx(quantiles * np.sqrt(1e-8 + 0.3 * effect / 10**6), rel=1e-3)


def test_each_part_of_the_variance_counts_as_in_the_interval() -> None:
    def smallest(variances: Variances) -> float:
        return known(smallest_value(variances, 0.95, 0.5, 1000))

    base = smallest(parts())
    assert smallest(parts(over_models=2e-5)) > base
    assert smallest(parts(over_examples=2e-5)) > base
    assert smallest(parts(degrees_of_freedom=3)) > base
    assert smallest(parts(over_cells=5e-5)) == base  # a jackknife has no use for it
    spread = parts(is_jackknife=False, over_cells=0.0)
    assert smallest(spread) == base
    # The noise of cells is in both parts, and the examples' part is counted in any case.
    assert smallest(replace(spread, over_cells=1e-5)) < base
    alone = smallest(replace(spread, over_cells=1e-5, over_models=0.0))
    assert alone == smallest(parts(over_models=0.0))
    assert smallest_value(parts(over_models=0.1), 0.95, 0.5, 1000) is None


def test_a_variance_that_grows_needs_a_larger_value() -> None:
    constant = known(smallest_value(parts(), 0.95, 0.1, 1000))
    growing = known(smallest_value(parts(), 0.95, 0.1, 1000, lambda effect: 1 + 20 * effect))
    assert growing > constant > 0.1


def fake_audit(auc: float = 0.501, tpr: float = 0.105) -> tuple[StudyResult, Arrays]:
    """Three arms, of which the first two leak, and the third has this AUC and TPR."""
    *leaking, last = three_arms()
    attack = last.attacks[0]
    metrics = {"auc": attack.metrics["auc"], TPR: attack.metrics[TPR]}
    changed = {
        name: metrics[name].model_copy(update={"value": value})
        for name, value in (("auc", auc), (TPR, tpr))
    }
    first = attack.model_copy(update={"metrics": attack.metrics | changed})
    arms = [*leaking, last.model_copy(update={"attacks": [first, *last.attacks[1:]]})]
    return study(arms=arms), arrays(arms)


def test_only_arms_without_a_proven_leak_have_one() -> None:
    audit, audit_arrays = fake_audit()
    (leak,) = smallest_leaks(audit, audit_arrays)
    assert (leak.arm, leak.attack, leak.power, leak.tpr_metric) == (2, "lira", 0.8, TPR)
    assert leak.level == audit.analysis.verdicts[0].level
    assert 0.51 < known(leak.auc) < 0.7
    assert 0.12 < known(leak.tpr) < 0.5
    assert smallest_leaks(*fake_audit(auc=0.6)) == []
    assert smallest_leaks(*fake_audit(tpr=0.3)) == []
    assert smallest_leaks(*fake_audit(auc=0.3)) == []  # worse than guessing: not a small leak


def test_with_few_targets_it_is_no_smaller_than_the_planned_effect() -> None:
    audit, audit_arrays = fake_audit()
    calm = {
        name: 0.5 + (values - 0.501) / 100 if name.startswith("arm2/lira/auc/") else values
        for name, values in audit_arrays.items()
    }
    assert len(audit.arms[2].attacks[0].targets) == 6
    (leak,) = smallest_leaks(audit, calm)
    members = calm["membership"].sum(axis=1).mean()
    planned = auc_excess(AuditSize(6, members, 120 - members), leak.level)
    assert leak.auc == pytest.approx(0.5 + known(planned), rel=1e-9)


def test_arms_without_an_outcome_have_none() -> None:
    audit, audit_arrays = fake_audit()
    untrained = [
        verdict.model_copy(update={"outcome": None}) for verdict in audit.analysis.verdicts
    ]
    analysis = audit.analysis.model_copy(update={"verdicts": untrained})
    assert smallest_leaks(audit.model_copy(update={"analysis": analysis}), audit_arrays) == []


def test_they_are_no_part_of_the_stored_result() -> None:
    audit, audit_arrays = fake_audit()
    record = with_smallest_leaks(result(audit), [audit_arrays])
    assert record.studies[0].smallest_leaks
    assert record.model_dump_json() == result(audit).model_dump_json()
