"""What decides how a process rounds: versions, code, and the kind of its processor."""

import hashlib
import os
import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mgaudit
from mgaudit.version import __version__

PACKAGES = ("torch", "opacus", "numpy", "scipy", "scikit-learn", "safetensors", "distributed")
CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Fingerprint:
    """The versions and the code of a process, its processor, and its GPU ("" without one)."""

    versions: tuple[tuple[str, str], ...]
    code_sha256: str
    cpu: str
    gpu: str

    def difference(self, other: "Fingerprint") -> str:
        """Returns in words the first version that differs, or the code; "" where none does.

        Processors are not compared.
        """
        theirs = dict(other.versions)
        for name, here in self.versions:
            if theirs.get(name) != here:
                return f"{name} is {here} here and {theirs.get(name)} there"
        if self.code_sha256 != other.code_sha256:
            return "the source code of mgaudit differs"
        return ""


@cache
def fingerprint() -> Fingerprint:
    """Returns the fingerprint of this process."""
    from mgaudit.targets.device import gpu_name

    versions = {"mgaudit": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return Fingerprint(tuple(versions.items()), _code_sha256(), cpu_kind(), gpu_name())


@cache
def cpu_kind() -> str:
    """Returns the model of the processor, on which rounding may depend."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


@cache
def _code_sha256() -> str:
    """Returns the SHA-256 of the source of mgaudit, names of files included."""
    root = Path(str(mgaudit.__file__)).parent
    sha = hashlib.sha256()
    # A checkout has symbolic links to some packages, which os.walk follows.
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders.sort()
        for name in sorted(name for name in names if name.endswith(".py")):
            path = Path(folder, name)
            sha.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()
