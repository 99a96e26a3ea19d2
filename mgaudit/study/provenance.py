"""The software and hardware that ran an audit."""

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from mgaudit import attacks
from mgaudit.reports.results import Provenance
from mgaudit.settings.choices import Choice, own_code
from mgaudit.settings.study_settings import AuditSettings
from mgaudit.storage.ensembles import querying_code_sha256, training_code_sha256
from mgaudit.study.design import Design
from mgaudit.targets.device import device_name
from mgaudit.version import __version__

REPORTED_VERSIONS = ("torch", "opacus", "dp-accounting", "numpy", "scipy", "scikit-learn")


def versions() -> dict[str, str]:
    """Returns the versions of mgaudit, Python and the packages that compute numbers, by name."""
    packages = {name: version(name) for name in REPORTED_VERSIONS}
    return {"mgaudit": __version__, "python": platform.python_version(), **packages}


def provenance(device: str) -> Provenance:
    """Returns the provenance of an audit whose models are trained on `device`."""
    return Provenance(
        versions=versions(),
        code_sha256=training_code_sha256(),
        device=device_name(device),
        processor=f"{platform.system()} {platform.machine()}",
    )


def outputs_provenance() -> Provenance:
    """Returns the provenance of an audit of models that mgaudit did not train."""
    return Provenance(
        versions=versions(),
        code_sha256=package_sha256(attacks),
        device="not known",
        processor=f"{platform.system()} {platform.machine()}",
    )


def package_sha256(package: ModuleType) -> str:
    """Returns the SHA-256 of the Python source of a package, names of files included."""
    return source_sha256(Path(str(package.__file__)).parent)


def source_sha256(root: Path) -> str:
    """Returns the SHA-256 of all Python source below a directory, names of files included."""
    sha = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        sha.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


def run_sha256(settings: dict[str, Any], arms: Sequence[AuditSettings], design: Design) -> str:
    """Returns the SHA-256 of everything that determines a result.

    This is the settings, the data, the device, the code (the user's own too) and the versions.
    `settings` are plain values for JSON, and `arms` the noise schemes with their attacks.
    """
    choices: list[Choice] = []
    for arm in arms:
        choices += [*arm.trained_choices, *arm.attacks]
    code = [training_code_sha256(), querying_code_sha256(), own_code(choices)]
    parts = [settings, design.sha256, design.device, code, versions()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
