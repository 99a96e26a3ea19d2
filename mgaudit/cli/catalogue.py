"""What there is to choose from, as `mgaudit list` shows it."""

import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import Any

from mgaudit.attacks import ATTACKS, Attack
from mgaudit.papers.registry import PAPERS
from mgaudit.settings.choices import allowed, types
from mgaudit.settings.plugins import package, plugins, taken_names
from mgaudit.targets import NETWORKS, QUERIES, SCHEMES
from mgaudit.targets.datasets import DATASETS, OWN_DATASET
from mgaudit.targets.schemes import Scheme

OF_PACKAGES = {"targets": "target", "schemes": "scheme", "attacks": "attack", "datasets": "dataset"}
OF_READERS = ("path", "module", "function", "examples", "generator")  # what is not an option

Entry = dict[str, str]

OWN_NETWORK = {
    "name": "module:Class",
    "options": "its own",
    "summary": "A network of your own: a torch.nn.Module in a module that Python finds from the current folder, "
    "built as Class(input_shape, classes, **options). Schemes and attacks may be your own in the same way.",
}


def catalogue() -> dict[str, list[Entry]]:
    """Returns the entries of every registry, and then those of installed packages.

    Each has a name, its options with their defaults and ranges, and a summary; attacks have needs, cost and source as
    well, schemes law and source.
    """
    registries: dict[str, tuple[Mapping[str, Callable[..., Any]], tuple[str, ...]]] = {
        "targets": (NETWORKS, ("input_shape", "classes")),
        "schemes": (SCHEMES, ()),
        "attacks": (ATTACKS, ()),
        "queries": (QUERIES, ()),
        "datasets": ({one.name: one.read for one in (*DATASETS.values(), OWN_DATASET)}, OF_READERS),
    }
    listed = {
        kind: [_entry(name, entry, supplied) for name, entry in registry.items()]
        for kind, (registry, supplied) in registries.items()
    }
    for kind, group in OF_PACKAGES.items():
        built_in = registries[kind][0]
        listed[kind] += [_installed(entry) for entry in plugins(group, built_in).values()]
        for name, reason in taken_names(group, built_in).items():
            listed[kind].append(
                {"name": f"({name})", "options": "–", "summary": f"A plug-in's name {reason}."}
            )
    listed["targets"].append(OWN_NETWORK)
    return listed


def _installed(entry: EntryPoint) -> Entry:
    """Returns the entry of an installed package, which is not imported for that."""
    summary = f"From the package {package(entry)}: {entry.value}."
    return {"name": entry.name, "options": "its own", "summary": summary}


def papers() -> list[Entry]:
    """Returns the papers that `mgaudit reproduce` makes again, each followed by its figures."""
    listed = []
    for paper in PAPERS.values():
        claims = sum(len(figure.claims) for figure in paper.figures)
        listed.append(
            {
                "name": paper.key,
                "options": str(claims),
                "summary": paper.title,
                "source": paper.source,
            }
        )
        listed += [
            {
                "name": f"{paper.key}/{figure.key}",
                "options": str(len(figure.claims)),
                "summary": figure.title,
            }
            for figure in paper.figures
        ]
    return listed


def _entry(name: str, entry: Callable[..., Any], supplied: tuple[str, ...]) -> Entry:
    parameters, hints = inspect.signature(entry).parameters, types(entry)
    options = [
        (key if parameter.default is parameter.empty else f"{key}={_shown(parameter.default)}")
        + allowed(hints.get(key))
        for key, parameter in parameters.items()
        if key not in supplied
    ]
    path = ":PATH" if name in DATASETS and DATASETS[name].takes_path else ""
    summary = " ".join((inspect.getdoc(entry) or "").split("\n\n")[0].split())
    listed = {"name": name + path, "options": ", ".join(options) or "–", "summary": summary}
    if isinstance(entry, type) and issubclass(entry, Attack):
        needs = ", ".join(sorted(entry.needs)).replace("_", " ") or "nothing more"
        listed |= {"needs": needs, "cost": entry.cost, "source": entry.source}
    if isinstance(entry, type) and issubclass(entry, Scheme):
        listed |= {"law": entry.law, "source": entry.source}
    return listed


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "x".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
