"""mgaudit: how much privacy does noise in training buy, and at what accuracy?"""

from importlib.util import find_spec
from pathlib import Path

__version__ = "0.1.0"

_ROOT = Path(__file__).resolve().parent.parent


def _refuse_shadows() -> None:
    """Raises ImportError where `import attacks` (targets, reports) would find a package that is not ours."""
    for name in ("attacks", "targets", "reports"):
        spec = find_spec(name)
        found = None if spec is None or spec.origin is None else Path(spec.origin).resolve().parent
        if found != _ROOT / name:
            raise ImportError(
                f"mgaudit needs its own package {name!r} at {_ROOT / name}, but Python finds {found or 'none'}; "
                f"rename or uninstall the other {name!r}, or start Python elsewhere"
            )


_refuse_shadows()
