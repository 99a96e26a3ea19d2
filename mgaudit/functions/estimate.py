"""The plan of an audit of training functions, with the time of training as far as it is known."""

import math
import statistics
from collections.abc import Sequence

import numpy as np

from mgaudit.functions.api import FunctionPlan
from mgaudit.functions.audit import PLAIN_NAMES, drawn_models
from mgaudit.functions.train import Models, NamedFit, kept_seconds
from mgaudit.study.plan_time import ArmTime, CellTime, PlanTime, detectable_effects
from mgaudit.study.progress import Progress


def functions_time(
    plan: FunctionPlan, name: str, attacks: Sequence[str], progress: Progress
) -> PlanTime:
    """Returns the time of an audit of training functions; no function is called.

    How long a function takes is known only from fits of an earlier audit that are kept. The attacks
    are not timed.

    Args:
        plan: The plan.
        name: The functions and the data, for readers.
        attacks: The attacks, as in the settings.
        progress: Is called with a message for a file that is damaged.
    """
    models = drawn_models(plan.data, plan.settings)
    arms = [_arm_time(fit, models, plan.jobs, progress) for fit in plan.fits]
    coins = len(np.unique(plan.data.groups)) / len(plan.data.groups)
    is_plain = [fit.name in PLAIN_NAMES for fit in plan.fits]
    effects = detectable_effects(models.membership, coins, is_plain)
    return PlanTime([CellTime(name, arms, None, effects, list(attacks))], 0.0, plan.jobs)


def _arm_time(fit: NamedFit, models: Models, jobs: int, progress: Progress) -> ArmTime:
    """Returns how many models of a function are kept, and the seconds to train the others."""
    kept = kept_seconds(fit, models, progress)
    number = len(models.seeds)
    missing = number - len(kept)
    seconds: float | None = None
    if not missing:
        seconds = 0.0
    elif kept:
        rounds = math.ceil(missing / min(jobs, missing))
        seconds = rounds * statistics.mean(kept)
    return ArmTime(fit.name, number, len(kept), seconds)
