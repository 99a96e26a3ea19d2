"""The smallest detectable effects: against simulated audits with the real intervals, and in limits.

Scores are N(0, 1) and higher by a shift for members, or far higher for the members among a share of
exposed examples.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mgaudit.analysis.detectable import (
    UNLIKE_AUC,
    AuditSize,
    auc_difference,
    auc_excess,
    auc_variance,
    detectable,
    tpr_by_chance,
    tpr_difference,
    tpr_excess,
    tpr_variance,
)
from mgaudit.analysis.verdict_metrics import fpr_of_verdict
from mgaudit.analysis.verdicts import level_of_limits
from mgaudit.attacks import RMIA, Attack, LiRA
from mgaudit.attacks.intervals import (
    Resampled,
    resample_counts,
    resampled_metrics,
    two_way_interval,
)
from mgaudit.attacks.metrics import metrics
from mgaudit.attacks.roc import false_positives_allowed
from mgaudit.attacks.single_target import delong_interval
from tests.simulated_studies import EXAMPLES, FPR, LAWS, TPR, Studies, Study, scales_of


@dataclass(frozen=True)
class Audits:
    """Simulated audits of `models` targets and `examples`, whose intervals have the `level`."""

    models: int
    examples: int
    level: float
    number: int
    resamples: int = 50

    @property
    def size(self) -> AuditSize:
        return AuditSize(self.models, self.examples / 2, self.examples / 2)

    def power(self, metric: str, shift: float, exposed: float = 0.0) -> float:
        """Returns the share of audits whose interval of the metric lies above chance."""
        detected = 0
        for seed in range(self.number):
            generator = np.random.default_rng(seed)
            membership = generator.random((self.models, self.examples)) < 0.5
            counts = resample_counts(self.examples, generator, self.resamples)
            numbers = self.numbers(metric, membership, counts, shift, exposed, generator)
            interval = two_way_interval(numbers, self.examples // 2, (0, 1), self.level)
            detected += interval.low > chance(metric, membership)
        return detected / self.number

    def power_of_difference(self, metric: str, shift: float) -> float:
        """Returns the share of audits that find the difference to an arm without a leak."""
        detected = 0
        for seed in range(self.number):
            generator = np.random.default_rng(seed)
            membership = generator.random((self.models, self.examples)) < 0.5
            counts = resample_counts(self.examples, generator, self.resamples)
            leaking, plain = (
                self.numbers(metric, membership, counts, each, 0.0, generator)
                for each in (shift, 0.0)
            )
            interval = two_way_interval(leaking - plain, self.examples // 2, (-1, 1), self.level)
            detected += interval.low > 0
        return detected / self.number

    def numbers(
        self,
        metric: str,
        membership: NDArray[np.bool_],
        counts: NDArray[np.uint16],
        shift: float,
        exposed: float,
        generator: np.random.Generator,
    ) -> Resampled:
        is_exposed = generator.random(self.examples) < exposed
        scores = generator.standard_normal(membership.shape) + shift * membership
        scores += 50 * (is_exposed & membership)
        return resampled_metrics(scores, membership, counts)[metric]


def chance(metric: str, membership: NDArray[np.bool_]) -> float:
    if metric == "auc":
        return 0.5
    non_members = (~membership).sum(axis=1)
    return float(np.mean((false_positives_allowed(FPR, non_members) + 1) / (non_members + 1)))


def known(effect: float | None) -> float:
    assert effect is not None
    return effect


def shift_of_auc(excess: float | None) -> float:
    return float(np.sqrt(2) * stats.norm.ppf(0.5 + known(excess)))


def shift_of_tpr(excess: float | None, size: AuditSize) -> float:
    by_chance = tpr_by_chance(size, FPR)
    return float(stats.norm.ppf(by_chance + known(excess)) - stats.norm.ppf(by_chance))


@dataclass(frozen=True)
class ShadowAudits:
    """Simulated audits of `models` targets that are each other's shadows, attacked by `attack`.

    Their intervals are those by the jackknife over models.
    """

    attack: Attack
    models: int
    level: float
    number: int

    def powers(self) -> dict[str, float]:
        """Returns the share of audits that detect each of the smallest detectable effects.

        They are the effects without a part of the variance that all targets share, since all
        examples leak alike. The arms err independently.
        """
        size = AuditSize(self.models, EXAMPLES / 2, EXAMPLES / 2)
        by_chance = tpr_by_chance(size, FPR)
        aucs = [0.5 + known(of(size, self.level, shared=0)) for of in (auc_excess, auc_difference)]
        tprs = [
            by_chance + known(of(size, self.level, FPR, shared=0))
            for of in (tpr_excess, tpr_difference)
        ]
        law = LAWS["normal"]
        scales = (
            0.0,
            *scales_of(law, self.attack, self.models, aucs, "auc"),
            *scales_of(law, self.attack, self.models, tprs, TPR),
        )
        detected: Counter[str] = Counter()
        for study in Studies(law, self.attack, self.models, scales).studies(self.number, seed=3):
            detected.update(self._detected(study))
        return {name: detected[name] / self.number for name in EFFECTS}

    def _detected(self, study: Study) -> list[str]:
        """Returns the effects that one audit detects; the arms are in the order of EFFECTS."""
        plain, *leaking = study.arms
        names = []
        for name, arm in zip(EFFECTS, leaking, strict=True):
            metric = "auc" if "AUC" in name else TPR
            if name.startswith("difference"):
                change = arm[metric] - plain[metric]
                low, null = two_way_interval(change, EXAMPLES // 2, (-1, 1), self.level).low, 0.0
            else:
                low = two_way_interval(arm[metric], EXAMPLES // 2, (0, 1), self.level).low
                null = chance(metric, study.membership)
            if low > null:
                names.append(name)
        return names


EFFECTS = ("AUC", "difference in AUC", "TPR", "difference in TPR")


def shown_powers(audits: ShadowAudits) -> dict[str, float]:
    """Returns the powers, which are printed for docs/validation.md."""
    powers = audits.powers()
    cells = " | ".join(f"{100 * power:.0f} %" for power in powers.values())
    attack = type(audits.attack).__name__
    print(f"\n| attack | targets | level | {' | '.join(EFFECTS)} |\n|---|---|---|---|---|---|---|")
    print(f"| {attack} | {audits.models} | {100 * audits.level:g} % | {cells} |")
    return powers


@pytest.mark.slow
@pytest.mark.parametrize(
    "audits",
    [
        ShadowAudits(RMIA(), 4, 0.9875, 200),
        ShadowAudits(RMIA(), 8, 0.9875, 400),
        ShadowAudits(RMIA(), 16, 0.9875, 200),
    ],
    ids=lambda audits: f"{type(audits.attack).__name__}, {audits.models} models",
)
def test_the_power_is_eighty_percent_with_the_jackknife(audits: ShadowAudits) -> None:
    powers = shown_powers(audits)
    error = 2 * (0.8 * 0.2 / audits.number) ** 0.5  # of the simulation
    assert all(0.7 - error <= power <= 0.9 + error for power in powers.values()), powers


@pytest.mark.slow
def test_the_power_of_lira_is_lower_with_the_jackknife() -> None:
    powers = shown_powers(ShadowAudits(LiRA(), 8, 0.9875, 400))
    assert all(0.3 <= power < 0.7 + 2 * (0.7 * 0.3 / 400) ** 0.5 for power in powers.values())


SMALL = Audits(models=4, examples=300, level=0.975, number=40)


def test_what_is_detectable_is_detected_and_half_of_it_is_not() -> None:
    auc = shift_of_auc(auc_excess(SMALL.size, SMALL.level, shared=0))
    assert 0.65 <= SMALL.power("auc", auc) <= 0.95
    assert SMALL.power("auc", auc / 2) < 0.5
    assert SMALL.power("auc", 1.5 * auc) > 0.93
    tpr = shift_of_tpr(tpr_excess(SMALL.size, SMALL.level, FPR, shared=0), SMALL.size)
    assert 0.65 <= SMALL.power(TPR, tpr) <= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    "audits",
    [Audits(4, 600, 0.95, 200), Audits(8, 400, 0.975, 200), Audits(16, 300, 0.9875, 200)],
    ids=lambda audits: f"{audits.models} models",
)
def test_the_power_is_eighty_percent(audits: Audits) -> None:
    size, level = audits.size, audits.level
    auc = shift_of_auc(auc_excess(size, level, shared=0))
    tpr = shift_of_tpr(tpr_excess(size, level, FPR, shared=0), size)
    auc_apart = shift_of_auc(auc_difference(size, level, shared=0))
    tpr_apart = shift_of_tpr(tpr_difference(size, level, FPR, shared=0), size)
    exposed = known(auc_excess(size, level, shared=0.5))
    powers = {
        "AUC": audits.power("auc", auc),
        "TPR": audits.power(TPR, tpr),
        "difference in AUC": audits.power_of_difference("auc", auc_apart),
        "difference in TPR": audits.power_of_difference(TPR, tpr_apart),
    }
    # The targets' part of the variance is smaller than V(0) where some examples are exposed.
    of_exposed = audits.power("auc", 0.0, exposed=2 * exposed)
    share = known(tpr_excess(size, level, FPR, shared=1)) / (1 - tpr_by_chance(size, FPR))
    tpr_of_exposed = audits.power(TPR, 0.0, exposed=share)
    shown = {name: powers[name] for name in EFFECTS}
    shown |= {"AUC, exposed": of_exposed, "TPR, exposed": tpr_of_exposed}
    cells = " | ".join(f"{100 * power:.0f} %" for power in shown.values())
    print(f"\n| targets | examples | level | {' | '.join(shown)} |")
    print("|---|---|---|---|---|---|---|---|---|")
    print(f"| {audits.models} | {audits.examples} | {100 * level:g} % | {cells} |")
    assert all(0.7 <= power <= 0.9 for power in powers.values()), powers
    assert of_exposed >= 0.75


def test_the_variances_without_a_leak_are_those_of_random_membership() -> None:
    generator = np.random.default_rng(0)
    scores = generator.standard_normal(90)
    drawn = []
    for _ in range(1500):
        membership = generator.permutation(90) < 30
        numbers = metrics(scores, membership)
        drawn.append((numbers["auc"][0], numbers[TPR][0]))
    size = AuditSize(1, members=30, non_members=60)
    variances = np.var(drawn, axis=0)
    assert auc_variance(size) == pytest.approx(variances[0], rel=0.1)
    assert tpr_variance(size, FPR, 0.0) == pytest.approx(variances[1], rel=0.1)
    # 6 of 60 non-members are allowed
    assert np.mean(drawn, axis=0)[1] == pytest.approx(7 / 61, abs=0.005)


def test_one_target_has_the_normal_interval_of_delong() -> None:
    generator = np.random.default_rng(1)
    membership = np.arange(4000) % 2 == 0
    interval = delong_interval(generator.standard_normal(4000), membership)
    half = (interval.high - interval.low) / 2
    excess = auc_excess(AuditSize(1, 2000, 2000), 0.95, shared=0)
    assert excess == pytest.approx(half * (1.95996 + 0.84162) / 1.95996, rel=0.05)


@pytest.mark.parametrize("effect", [auc_excess, auc_difference])
def test_effects_shrink_with_models_until_the_examples_limit_them(
    effect: Callable[..., float | None],
) -> None:
    sizes = [AuditSize(models, 500, 500) for models in (4, 16, 64, 10_000)]
    of_models = [known(effect(size, 0.99)) for size in sizes]
    assert of_models == sorted(of_models, reverse=True)
    limit = effect(AuditSize(10**9, 500, 500), 0.99)
    # e = z^2 c / n, with z = 2.5758 + 0.8416 and c = 0.3
    assert limit == pytest.approx(0.3 * 3.4174**2 / 1000, rel=0.01)
    assert known(effect(AuditSize(10**9, 500, 500), 0.99, shared=0)) < 1e-5


def test_arms_that_err_alike_and_low_levels_need_smaller_effects() -> None:
    size = AuditSize(16, 600, 600)
    alike = known(auc_difference(size, 0.99, UNLIKE_AUC))
    apart, excess = known(auc_difference(size, 0.99)), known(auc_excess(size, 0.99))
    assert alike < apart
    assert np.sqrt(2) * excess == pytest.approx(apart, rel=0.1)
    assert known(auc_excess(size, 0.95)) < excess


def test_an_audit_that_is_too_small_detects_nothing() -> None:
    assert auc_excess(AuditSize(3, 10, 10), 0.99) is None
    assert tpr_difference(AuditSize(3, 50, 50), 0.99, FPR) is None


def test_the_effects_are_those_of_the_verdict() -> None:
    size = AuditSize(16, 599, 599)
    auc, tpr = detectable(size, FPR, arms=2, has_plain=True)
    assert (auc.metric, tpr.metric) == ("auc", TPR)
    # two metrics, each with the limit of the plain arm and three of each arm
    assert auc.level == tpr.level == pytest.approx(1 - 2 * 0.05 / 14)
    assert auc.excess == auc_excess(size, auc.level)
    assert auc.independent_difference == auc_difference(size, auc.level)
    assert tpr.independent_difference == tpr_difference(size, tpr.level, FPR)
    (alone,) = detectable(size, None, arms=1, has_plain=False)
    assert (alone.level, alone.difference) == (0.95, None)
    assert level_of_limits(3, 2, has_plain=False) == pytest.approx(1 - 0.1 / 12)


@pytest.mark.parametrize(
    ("non_members", "fpr"), [(99, None), (100, 0.1), (999, 0.1), (1000, 0.01), (10_000, 0.001)]
)
def test_the_tpr_is_that_with_ten_expected_false_positives(
    non_members: int, fpr: float | None
) -> None:
    assert fpr_of_verdict(non_members) == fpr
