"""The positive predictive value (PPV) at a prior of the reader's own, from those in a result.

With L = TPR / FPR, the odds of the PPV are L times the odds of the prior,

    PPV / (1 - PPV) = L prior / (1 - prior),

so a PPV and the limits of its interval at one prior give those at every other prior exactly.
"""

from collections.abc import Sequence

from mgaudit.errors import UsageError
from mgaudit.reports.record import Estimate
from mgaudit.reports.results import AuditResult, Result, StudyResult
from mgaudit.reports.risk import PredictiveValues, PriorValue

OPTION = "--prior"
RULE = "must be a fraction between 0 and 1, both excluded"


def checked_prior(prior: float | None) -> float | None:
    """Returns the prior, which is None where the reader gives none.

    Raises:
        UsageError: For a prior outside (0, 1).
    """
    if prior is None or 0 < prior < 1:
        return prior
    way_out = f"write {prior:g} % as {prior / 100:g}" if 1 <= prior < 100 else ""
    raise UsageError(OPTION, RULE, f"{prior:g}", way_out)


def with_prior(result: Result, prior: float) -> Result:
    """Returns the result with the PPVs at this prior, in (0, 1), among those that it has.

    The priors stay in descending order. A prior that the result has already is not added.

    Raises:
        UsageError: If no arm has PPVs, as in results of earlier versions.
    """
    if not any(arm.risk is not None for study in result.studies for arm in study.arms):
        rule = "needs a result with the risk of a released model, which this one does not have"
        raise UsageError(OPTION, rule, None, "run the audit again")
    studies = [_study_with_prior(study, prior) for study in result.studies]
    return result.model_copy(update={"studies": studies})


def _study_with_prior(study: StudyResult, prior: float) -> StudyResult:
    arms = [_arm_with_prior(arm, prior) for arm in study.arms]
    return study.model_copy(update={"arms": arms})


def _arm_with_prior(arm: AuditResult, prior: float) -> AuditResult:
    if arm.risk is None:
        return arm
    values = [_values_with_prior(of_level, prior) for of_level in arm.risk.predictive_values]
    risk = arm.risk.model_copy(update={"predictive_values": values})
    return arm.model_copy(update={"risk": risk})


def _values_with_prior(of_level: PredictiveValues, prior: float) -> PredictiveValues:
    if any(value.prior == prior for value in of_level.values):
        return of_level
    own = PriorValue(prior=prior, ppv=ppv_at(prior, of_level.values))
    values = sorted([*of_level.values, own], key=lambda value: -value.prior)
    return of_level.model_copy(update={"values": values})


def ppv_at(prior: float, values: Sequence[PriorValue]) -> Estimate:
    """Returns the PPV at a prior in (0, 1) with its interval, from those at other priors.

    It is computed from the PPV at the lowest of their priors, which is least rounded where
    TPR / FPR is large.

    >>> even = PriorValue(prior=0.5, ppv=Estimate(value=0.9, low=0.5, high=1.0))
    >>> ppv = ppv_at(0.1, [even])
    >>> round(ppv.value, 12), round(ppv.low, 12), ppv.high
    (0.5, 0.1, 1.0)
    """
    known = min(values, key=lambda value: value.prior)
    of_odds = prior * (1 - known.prior) / ((1 - prior) * known.prior)

    def moved(share: float) -> float:
        """Returns the share whose odds are those of `share` times `of_odds`."""
        return share * of_odds / (share * of_odds + (1 - share))

    ppv = known.ppv
    return Estimate(value=moved(ppv.value), low=moved(ppv.low), high=moved(ppv.high))
