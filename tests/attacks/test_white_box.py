"""White-box audits of simulated mechanisms: which limits hold, and which faults are seen."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, chi2, norm

from mgaudit.attacks import white_box
from mgaudit.attacks.white_box import StepRecords, noise_limits
from mgaudit.attacks.white_box_checks import Check, alarms, mechanism_checks, sampler_checks

NOISE = 1.25
AUDITS = 200
MOST_WRONG = int(binom.ppf(0.999, AUDITS, 0.05))


def simulated(
    seed: int,
    steps: int = 20,
    directions: int = 16,
    contribution: float = 1.0,
    noise: float = NOISE,
    rate: float = 0.1,
) -> StepRecords:
    """Returns what an adversary sees of steps whose noise is an array of random numbers."""
    generator = np.random.default_rng(seed)
    sizes, examples = np.array([300, 20]), 600
    residuals = noise * generator.standard_normal((steps, 320))
    coins = generator.random((steps, directions)) < 0.5
    included = generator.random((steps, examples)) < rate
    successive = np.zeros(steps)
    successive[1:] = (residuals[1:] * residuals[:-1]).sum(axis=1)
    parts = np.split(residuals**2, [300], axis=1)
    return StepRecords(
        coins=coins,
        scores=contribution * coins + residuals[:, :directions],
        squares=np.stack([part.sum(axis=1) for part in parts], axis=1),
        sizes=sizes,
        fourth=(residuals**4).sum(axis=1),
        sketch=residuals[:, -64:],
        successive=successive,
        along_sum=residuals[:, directions],
        batch_sizes=included.sum(axis=1),
        inclusions=included.sum(axis=0),
    )


def checks_of(records: StepRecords) -> dict[str, Check]:
    checks = mechanism_checks(records, NOISE) + sampler_checks(records, 600, 0.1)
    return {check.name: check for check in checks}


def test_limits_are_below_the_noise_in_at_most_one_of_twenty_audits() -> None:
    limits = [noise_limits(simulated(seed), 0.05) for seed in range(AUDITS)]
    wrong = {
        "by_guesses": sum(own.by_guesses is not None and own.by_guesses < NOISE for own in limits),
        "by_t": sum(own.by_t is not None and own.by_t < NOISE for own in limits),
        "by_residuals": sum(own.by_residuals < NOISE for own in limits),
        "contribution": sum(own.contribution[1] > 1 for own in limits),
    }
    assert all(0 < count <= MOST_WRONG for count in wrong.values()), wrong


def test_a_correct_mechanism_and_sampler_raise_an_alarm_in_at_most_one_of_twenty_audits() -> None:
    raised = 0
    below = dict.fromkeys(checks_of(simulated(0)), 0)
    for seed in range(AUDITS):
        checks = checks_of(simulated(seed))
        raised += bool(alarms(list(checks.values()), 0.05))
        for name, check in checks.items():
            below[name] += check.p_value < 0.05
    assert raised <= MOST_WRONG
    assert all(count <= MOST_WRONG for count in below.values()), below


def test_the_limit_by_guesses_follows_from_the_share_of_correct_guesses() -> None:
    records = simulated(0, steps=100)
    limits = noise_limits(records, 0.05)
    correct = int(((records.scores > 0.5) == records.coins).sum())
    assert (limits.correct, limits.guesses) == (correct, 1600)
    assert limits.by_guesses is not None
    share = norm.cdf(1 / (2 * limits.by_guesses))
    assert binom.sf(correct - 1, 1600, share) == pytest.approx(0.05, abs=1e-6)
    squares = float(((records.scores - records.coins) ** 2).sum())
    assert chi2.cdf(squares / limits.by_residuals**2, 1600) == pytest.approx(0.05)


def test_without_a_sign_of_the_canaries_there_is_no_limit() -> None:
    limits = noise_limits(simulated(3, contribution=0.0, noise=3.0), 0.05)
    assert limits.by_guesses is None
    assert limits.by_t is None
    assert limits.by_residuals > 3


def test_scores_without_noise_allow_for_no_noise() -> None:
    records = simulated(0)
    exact = replace(records, scores=records.coins.astype(float))
    assert noise_limits(exact, 0.05).by_t == 0
    assert noise_limits(exact, 0.05).by_residuals == 0


def test_both_forms_of_the_noncentral_t_limit_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    records = simulated(1, steps=50)
    exact = noise_limits(records, 0.05).by_t
    monkeypatch.setattr(white_box, "EXACT_DEGREES", 10)
    assert noise_limits(records, 0.05).by_t == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"contribution": 1.8}, "contribution"),
        ({"noise": 0.8 * NOISE}, "noise"),
        ({"noise": 0.8 * NOISE}, "canary-noise"),
        ({"rate": 0.125}, "sample-rate"),
    ],
)
def test_a_fault_is_seen_in_its_direction_only(changes: dict[str, Any], name: str) -> None:
    assert checks_of(simulated(0, **changes))[name].p_value < 1e-3
    harmless = {"contribution": 0.5, "noise": 1.2 * NOISE, "rate": 0.08}
    (key,) = changes
    assert checks_of(simulated(0, **{key: harmless[key]}))[name].p_value > 0.5


def test_only_a_larger_sum_speaks_against_the_claim() -> None:
    records = simulated(0)
    larger = checks_of(replace(records, along_sum=records.along_sum + 2))["clipped-sum"]
    smaller = checks_of(replace(records, along_sum=records.along_sum - 2))["clipped-sum"]
    assert larger.p_value < 1e-3
    assert smaller.p_value > 0.9
    unknown = checks_of(replace(records, along_sum=np.full(20, np.nan)))["clipped-sum"]
    assert (unknown.p_value, unknown.applies) == (1.0, False)


def test_noise_that_is_used_again_is_seen_in_successive_and_in_distant_steps() -> None:
    records = simulated(0)
    lengths = np.sqrt(records.squares.sum(axis=1))
    same = np.append(0, lengths[1:] * lengths[:-1])
    again = checks_of(replace(records, successive=same))["successive-steps"]
    assert (again.value, again.p_value < 1e-12) == (pytest.approx(1), True)
    opposite = checks_of(replace(records, successive=-same))["successive-steps"]
    assert opposite.p_value < 1e-12
    sketch = records.sketch.copy()
    sketch[17] = 2 * sketch[2]
    distant = checks_of(replace(records, sketch=sketch))["any-two-steps"]
    assert distant.value == pytest.approx(1)
    assert distant.p_value < 1e-12


def test_the_largest_cosine_has_its_exact_distribution() -> None:
    generator = np.random.default_rng(0)
    p_values = []
    for _ in range(500):
        records = replace(simulated(0), sketch=generator.standard_normal((3, 8)))
        p_values.append(checks_of(records)["any-two-steps"].p_value)
    below = np.mean(np.array(p_values) < 0.2)
    assert abs(below - 0.19) < 0.06  # Bonferroni for 3 pairs costs little


def test_noise_that_depends_on_the_batch_size_is_seen() -> None:
    records = simulated(0)
    scaled = records.squares * (60 / records.batch_sizes[:, None]) ** 2
    seen = checks_of(replace(records, squares=scaled))["noise-against-batch-size"]
    assert seen.value < -0.9
    assert seen.p_value < 1e-6
    few = replace(
        simulated(0, steps=4, directions=64),
        inclusions=None,
    )
    assert not checks_of(few)["noise-against-batch-size"].applies


def test_laplace_noise_has_too_large_a_kurtosis() -> None:
    records = simulated(0)
    kurtosis = checks_of(replace(records, fourth=records.fourth * 2))["kurtosis"]
    assert kurtosis.value == pytest.approx(6, abs=0.5)
    assert kurtosis.p_value < 1e-12
    less = checks_of(replace(records, fourth=records.fourth * 0.6))["kurtosis"]
    assert less.p_value < 1e-12


def test_batches_of_one_size_and_balanced_inclusions_are_no_poisson_samples() -> None:
    records = simulated(0)
    fixed = checks_of(replace(records, batch_sizes=np.full(20, 60)))["batch-sizes"]
    assert (fixed.value, fixed.p_value < 1e-9) == (0, True)
    wild = checks_of(replace(records, batch_sizes=np.tile([10, 110], 10)))["batch-sizes"]
    assert wild.p_value < 1e-9
    balanced = checks_of(replace(records, inclusions=np.full(600, 2)))["inclusions"]
    assert balanced.p_value < 1e-9
    unknown = checks_of(replace(records, inclusions=None))["inclusions"]
    assert (unknown.p_value, unknown.applies) == (1.0, False)


def test_one_tensor_without_noise_is_seen_among_many() -> None:
    records = simulated(0)
    squares = records.squares.copy()
    squares[:, 1] = 0
    check = checks_of(replace(records, squares=squares))["noise"]
    assert check.value == 0
    assert check.p_value < 1e-12


def test_a_single_step_without_noise_is_seen_among_many() -> None:
    records = simulated(0, steps=100)
    squares = records.squares.copy()
    squares[37] = 0
    checks = checks_of(replace(records, squares=squares))
    assert checks["noise-of-a-step"].value == 0
    assert checks["noise-of-a-step"].p_value < 1e-12
    assert checks["noise"].p_value > 1e-3


def test_checks_that_do_not_apply_count_for_the_level() -> None:
    checks = [Check("a", 0.018, 0.0, 0.0), Check("b", 1.0, math.nan, 0.0, applies=False)]
    assert [check.name for check in alarms(checks, 0.05)] == ["a"]
    assert alarms([*checks, checks[1]], 0.05) == []
    rate = [Check("sample-rate", 0.0124, 0.1, 0.1), *checks]
    assert [check.name for check in alarms(rate, 0.05)] == ["sample-rate", "a"]
    assert alarms([replace(rate[0], p_value=0.0126)], 0.05) == []


def test_a_contribution_above_the_clip_norm_fails_without_chance() -> None:
    for largest, p_value in ((0.2, 1), (1 + 0.9e-4, 1), (1 + 1.1e-4, 0), (1.268, 0)):
        check = checks_of(replace(simulated(0), largest_contribution=largest))[
            "contribution-in-batch"
        ]
        assert (check.p_value, check.value, check.expected) == (p_value, largest, 1)
        assert check.applies
        assert check.deterministic
    unknown = checks_of(replace(simulated(0), largest_contribution=math.nan))
    assert not unknown["contribution-in-batch"].applies
    assert unknown["contribution-in-batch"].p_value == 1
    assert "contribution-in-batch" not in checks_of(simulated(0))


def test_a_deterministic_check_takes_no_share_of_the_significance() -> None:
    borderline = [Check("a", 0.018, 0.0, 0.0), Check("b", 0.019, 0.0, 0.0)]
    passed = Check("fact", 1.0, 1.0, 1.0, deterministic=True)
    for checks in (borderline, [*borderline, passed], [passed, passed, *borderline]):
        assert [check.name for check in alarms(checks, 0.05)] == ["a"]
    broken = replace(passed, p_value=0.0)
    assert [check.name for check in alarms([*borderline, broken], 0.05)] == ["a", "fact"]
    assert alarms([broken], 1e-9) == [broken]


def test_too_few_scores_and_values_out_of_range_are_refused() -> None:
    few = simulated(0, steps=2)
    with pytest.raises(ValueError, match="at least 20 scores with a canary and 20 without"):
        noise_limits(few, 0.05)
    with pytest.raises(ValueError, match="at least 20 scores"):
        mechanism_checks(few, NOISE)
    with pytest.raises(ValueError, match="significance"):
        noise_limits(simulated(0), 0.5)
    with pytest.raises(ValueError, match="examples must be >= 1"):
        sampler_checks(simulated(0), 0, 0.1)
    with pytest.raises(ValueError, match="sample_rate"):
        sampler_checks(simulated(0), 600, 0.0)


def test_a_full_batch_has_no_sampling_to_test() -> None:
    records = replace(simulated(0), batch_sizes=np.full(20, 600), inclusions=np.full(600, 20))
    checks = {check.name: check for check in sampler_checks(records, 600, 1.0)}
    assert checks["sample-rate"].p_value == 1
    assert not checks["batch-sizes"].applies
    assert not checks["inclusions"].applies
