"""Keep the privacy plans of DP-SGD, so that a repeated run reads them.

The accountants take a second or more, most of it the import of Opacus.
"""

import json
from dataclasses import asdict
from importlib.metadata import version

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
from mgaudit.targets.training import Training

PACKAGES = ("dp-accounting", "opacus", "numpy", "scipy")
KIND: MeasuredBy = "accountants"


def privacy_plan(scheme: DPSGD, training: Training, n: float) -> PrivacyPlan:
    """Returns the plan of `plan_privacy`, from an earlier run where there was one."""
    key = _key(scheme, training, n)
    kept = load_measurements(key, lambda message: None, KIND)
    plan = None if kept is None else _unpacked(kept)
    if plan is None:
        plan = plan_privacy(scheme, training, n)
        _keep(key, plan)
    return plan


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
