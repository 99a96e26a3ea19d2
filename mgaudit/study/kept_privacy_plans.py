"""Keep the privacy plans of DP-SGD, so that a repeated run reads them.

The accountants take seconds, most of it the import of Opacus and dp-accounting. An estimate of the
time does without them.
"""

import json
import math
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from mgaudit.storage.ensembles import training_code_sha256
from mgaudit.storage.measurements import (
    MeasuredBy,
    StoredArrays,
    load_measurements,
    save_measurements,
)
from mgaudit.targets.fitting.privacy_plan import PrivacyPlan, plan_privacy
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.schemes.dpsgd import LARGEST_NOISE
from mgaudit.targets.training import Training

PACKAGES = ("dp-accounting", "opacus", "numpy", "scipy")
KIND: MeasuredBy = "accountants"
SPARE = 100.0  # how many times less noise than the largest one must suffice for an epsilon


def privacy_plan(scheme: DPSGD, training: Training, n: float) -> PrivacyPlan:
    """Returns the plan of `plan_privacy`, from an earlier run where there was one."""
    key = _key(scheme, training, n)
    plan = _kept(key)
    if plan is None:
        plan = plan_privacy(scheme, training, n)
        _keep(key, plan)
    return plan


def plan_without_accountants(scheme: DPSGD, training: Training, n: float) -> PrivacyPlan:
    """Returns a plan whose training takes as long as that of `privacy_plan`.

    It is that of `privacy_plan` where it is kept, or where there may be no noise multiplier for the
    epsilon. Otherwise the noise multiplier or the epsilon that the scheme does not state is not
    computed, and is 1 or NaN. So models that are kept without their plan are not found by it.

    Raises:
        UsageError: For the same schemes and trainings as `privacy_plan`.
    """
    plan = _kept(_key(scheme, training, n))
    if plan is not None:
        return plan
    unused = replace(scheme, epsilon=None, noise_multiplier=0.0)
    plan = plan_privacy(unused, training, n)  # no accountant is asked about steps without noise
    if scheme.noise_multiplier == 0:
        return plan
    unknown: dict[str, Any] = {"epsilon_prv": None, "epsilon_pld": None, "accountant": ""}
    if scheme.noise_multiplier is not None:
        noise_multiplier = scheme.noise_multiplier
        return replace(plan, noise_multiplier=noise_multiplier, epsilon=math.nan, **unknown)
    assert scheme.epsilon is not None  # DPSGD holds exactly one of the two
    if _enough_noise(scheme.epsilon, plan) * SPARE > LARGEST_NOISE:
        return privacy_plan(scheme, training, n)
    return replace(plan, noise_multiplier=1.0, epsilon=scheme.epsilon, **unknown)


def _enough_noise(epsilon: float, plan: PrivacyPlan) -> float:
    """Returns a noise multiplier that is enough for an epsilon, more than is needed.

    It is that of the Gaussian mechanism without sampling (Dwork and Roth 2014, Theorem A.1), which
    holds for epsilon < 1.
    """
    return math.sqrt(2 * plan.steps * math.log(1.25 / plan.delta)) / min(epsilon, 1.0)


def _kept(key: str) -> PrivacyPlan | None:
    kept = load_measurements(key, lambda message: None, KIND)
    return None if kept is None else _unpacked(kept)


def _key(scheme: DPSGD, training: Training, n: float) -> str:
    """Returns what determines the plan, as JSON."""
    values = {
        "scheme": asdict(scheme),
        "training": asdict(training),
        "n": n,
        "code": training_code_sha256(),
        "versions": {name: version(name) for name in PACKAGES},
    }
    return json.dumps(values, sort_keys=True)


def _keep(key: str, plan: PrivacyPlan) -> None:
    """Stores a plan. A cache that is full or cannot be written is no error."""
    text = json.dumps(asdict(plan)).encode()
    try:
        save_measurements(key, {"plan": np.frombuffer(text, dtype=np.uint8)}, KIND)
    except OSError:
        return


def _unpacked(arrays: StoredArrays) -> PrivacyPlan | None:
    """Returns the stored plan, or None for a file by another program."""
    try:
        return PrivacyPlan(**json.loads(arrays["plan"].tobytes()))
    except (LookupError, TypeError, ValueError):
        return None
