"""A white-box audit of DP-SGD: what an adversary who sees every step can prove."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mgaudit.attacks.white_box import NoiseLimits, StepRecords, noise_limits
from mgaudit.attacks.white_box_checks import Check, alarms, mechanism_checks, sampler_checks
from mgaudit.errors import UsageError
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.dp_audit import Bound, DPAuditResult
from mgaudit.reports.white_box import CheckResult, WhiteBoxFacts
from mgaudit.study.provenance import provenance
from mgaudit.targets.fitting.accountants import LEAST_NOISE, privacy_bounds

OF_CLIPPING = ("contribution", "clipped-sum")  # checks that canaries after the clipping leave out
POINTS = 6  # of the figure of implied epsilon against steps
BY_GUESSES = "white box, guesses (Clopper-Pearson)"
BY_T = "white box, noncentral t"
BY_RESIDUALS = "white box, noise alone"
NEEDS = {
    BY_GUESSES: "implied; fair coins and independent scores",
    BY_T: "implied; also normal scores of equal variance",
    BY_RESIDUALS: "implied; also that a canary contributes at most the clip norm",
}


@dataclass(frozen=True)
class Claim:
    """What is claimed of DP-SGD: its noise in units of the clip norm, and its sampling.

    `examples` is the number of examples that are sampled from.
    """

    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    delta: float
    examples: int


def white_box_result(
    arrays: Mapping[str, Any],
    claim: Claim,
    significance: float,
    audits_clipping: bool,
    about: Mapping[str, Any],
) -> tuple[DPAuditResult, Arrays]:
    """Returns the result of a white-box audit, and the canaries' scores and coins.

    Args:
        arrays: The record of the steps, by the names of the attributes of `StepRecords`.
        claim: What is claimed.
        significance: Probability that a bound is wrong, and that a correct implementation fails any
            of the checks.
        audits_clipping: Whether canaries entered before the gradients were clipped.
        about: The other fields of the result, such as `settings` and `label`.

    Raises:
        UsageError: If there are too few steps for any statement.
    """
    records = StepRecords(**arrays)
    limits = _limits(records, significance)
    mechanism = [
        check
        if audits_clipping or check.name not in OF_CLIPPING
        else replace(check, p_value=1.0, applies=False)
        for check in mechanism_checks(records, claim.noise_multiplier)
    ]
    sampler = sampler_checks(records, claim.examples, claim.sample_rate)
    failed = {check.name for check in alarms([*mechanism, *sampler], significance)}
    checks = [
        *(_check_result(check, "mechanism", failed) for check in mechanism),
        *(_check_result(check, "sampler", failed) for check in sampler),
    ]
    noise = {BY_GUESSES: limits.by_guesses, BY_T: limits.by_t, BY_RESIDUALS: limits.by_residuals}
    steps = records.steps
    claimed = privacy_bounds(claim.noise_multiplier, claim.sample_rate, steps, claim.delta)
    bounds = [
        Bound(method=method, epsilon=_implied(own, claim, steps), speaks_of=NEEDS[method])
        for method, own in noise.items()
    ]
    by_steps = _by_steps(records, claim, significance)
    result = DPAuditResult(
        adversary="white-box",
        epsilon_claimed=claimed.epsilon,
        epsilon_prv=claimed.by_accountant.get("PRV"),
        epsilon_pld=claimed.by_accountant.get("PLD"),
        accountant=claimed.accountant,
        delta=claim.delta,
        significance=significance,
        canaries=records.coins.shape[1],
        guesses=limits.guesses,
        correct=limits.correct,
        epsilon_provable=claimed.epsilon,
        bounds=bounds,
        white_box=_facts(records, claim, limits, noise, audits_clipping, checks, by_steps),
        provenance=provenance(str(about["device"])),
        **{name: value for name, value in about.items() if name != "device"},
    )
    return result, {"scores": records.scores, "coins": records.coins}


def _limits(records: StepRecords, significance: float) -> NoiseLimits:
    """Returns the limits of the noise. Raises UsageError for too few scores."""
    try:
        return noise_limits(records, significance)
    except ValueError as error:
        directions = records.coins.shape[1]
        rule = "must give at least 20 scores with a canary, and 20 without"
        got = f"{records.steps} steps with {directions} directions"
        way_out = f"audit {math.ceil(60 / directions)} or more steps, or use more directions"
        raise UsageError("steps and directions", rule, got, way_out) from error


def _by_steps(records: StepRecords, claim: Claim, significance: float) -> list[tuple[int, float]]:
    """Returns numbers of steps, and the epsilon for all steps that the guesses of these imply."""
    points = []
    for number in np.unique(np.geomspace(1, records.steps, POINTS).round().astype(int)):
        first = replace(records, coins=records.coins[:number], scores=records.scores[:number])
        try:
            limit = noise_limits(first, significance).by_guesses
        except ValueError:  # too few scores
            continue
        points.append((int(number), _implied(limit, claim, records.steps)))
    return points


def _check_result(check: Check, part: Any, failed: set[str]) -> CheckResult:
    """Returns a check as a record."""
    applies = check.applies and math.isfinite(check.value)
    return CheckResult(
        name=check.name,
        part=part,
        value=check.value if applies else None,
        expected=check.expected,
        p_value=check.p_value,
        alarm=check.name in failed,
    )


def _facts(
    records: StepRecords,
    claim: Claim,
    limits: NoiseLimits,
    noise: dict[str, float | None],
    audits_clipping: bool,
    checks: list[CheckResult],
    by_steps: list[tuple[int, float]],
) -> WhiteBoxFacts:
    """Returns the setting of the audit and its checks as a record."""
    return WhiteBoxFacts(
        noise_multiplier=claim.noise_multiplier,
        max_grad_norm=claim.max_grad_norm,
        sample_rate=claim.sample_rate,
        steps=records.steps,
        examples=claim.examples,
        directions=records.coins.shape[1],
        contribution=limits.contribution,
        noise_at_most=noise,
        audits_clipping=audits_clipping,
        checks=checks,
        by_steps=tuple(by_steps),
    )


def _implied(noise_multiplier: float | None, claim: Claim, steps: int) -> float:
    """Returns the epsilon (nats) by PLD at a noise multiplier; 0 for None, no limit.

    Epsilon falls as the noise grows, so that below the least noise of the accountants, its value
    there is a lower bound.
    """
    if noise_multiplier is None:
        return 0.0
    noise = max(noise_multiplier, LEAST_NOISE)
    bounds = privacy_bounds(noise, claim.sample_rate, steps, claim.delta)
    return bounds.by_accountant.get("PLD", bounds.epsilon)


def now() -> str:
    """Returns the time as results state it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
