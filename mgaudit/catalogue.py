"""What there is to choose from, as `mgaudit list` shows it."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from attacks import ATTACKS, Attack
from targets import QUERIES, SCHEMES, TARGETS
from targets.datasets import DATASETS, OWN, TAKES_PATH
from targets.datasets.own import read_own

Entry = dict[str, str]


def catalogue() -> dict[str, list[Entry]]:
    """Returns the entries of every registry.

    Each has a name, its options with their defaults, and a summary; attacks have needs, cost and source as well.
    """
    registries: dict[str, tuple[Mapping[str, Callable[..., Any]], tuple[str, ...]]] = {
        "targets": (TARGETS, ("input_shape", "classes")),
        "schemes": (SCHEMES, ()),
        "attacks": (ATTACKS, ()),
        "queries": (QUERIES, ()),
        "datasets": ({**DATASETS, OWN: read_own}, ("path", "place", "examples", "generator")),
    }
    return {
        kind: [_entry(name, entry, supplied) for name, entry in registry.items()]
        for kind, (registry, supplied) in registries.items()
    }


def _entry(name: str, entry: Callable[..., Any], supplied: tuple[str, ...]) -> Entry:
    parameters = inspect.signature(entry).parameters
    options = [
        key if parameter.default is parameter.empty else f"{key}={_shown(parameter.default)}"
        for key, parameter in parameters.items()
        if key not in supplied
    ]
    path = ":PATH" if name in TAKES_PATH else ""
    summary = " ".join((inspect.getdoc(entry) or "").split("\n\n")[0].split())
    listed = {"name": name + path, "options": ", ".join(options) or "–", "summary": summary}
    if isinstance(entry, type) and issubclass(entry, Attack):
        needs = ", ".join(sorted(entry.needs)).replace("_", " ") or "nothing more"
        listed |= {"needs": needs, "cost": entry.cost, "source": entry.source}
    return listed


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "x".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
