"""What there is to choose from, as `mgaudit list` and shell completion show it.

The entries of the registries are read from `catalogue.json`, which `mgaudit.cli.build_catalogue`
writes, because the registries import torch. Entries of installed packages are read from the
packages' metadata. So no code of the user is imported.
"""

import json
from functools import cache
from importlib import resources
from importlib.metadata import EntryPoint

from mgaudit.settings.plugins import package, plugins, taken_names

CATALOGUE_FILE = "catalogue.json"
PATH = ":PATH"  # ends the names of datasets that are read from a path
OF_PACKAGES = {"targets": "target", "schemes": "scheme", "attacks": "attack", "datasets": "dataset"}

Entry = dict[str, str]

OWN_NETWORK = {
    "name": "module:Class",
    "options": "its own",
    "summary": "A network of your own: a torch.nn.Module, or a function that returns one, in a "
    "module that Python finds from the current folder. It is built from (input_shape, classes), "
    "from (num_classes) or from nothing, as its signature says, and from its options. Schemes and "
    "attacks may be classes of your own in the same way.",
}


@cache
def built_in() -> dict[str, list[Entry]]:
    """Returns the entries of the registries by kind.

    Each has a name, its options with defaults and ranges, and a summary. Attacks also have needs,
    cost and source; schemes have law and source.
    """
    file = resources.files("mgaudit.cli") / CATALOGUE_FILE
    entries: dict[str, list[Entry]] = json.loads(file.read_text(encoding="utf-8"))
    return entries


def catalogue() -> dict[str, list[Entry]]:
    """Returns the entries of the registries, and then those of installed packages."""
    listed = {kind: list(entries) for kind, entries in built_in().items()}
    for kind, group in OF_PACKAGES.items():
        names = [entry["name"].removesuffix(PATH) for entry in built_in()[kind]]
        listed[kind] += [_installed(entry) for entry in plugins(group, names).values()]
        for name, reason in taken_names(group, names).items():
            summary = f"A plug-in's name {reason}."
            listed[kind].append({"name": f"({name})", "options": "–", "summary": summary})
    listed["targets"].append(OWN_NETWORK)
    return listed


def _installed(entry: EntryPoint) -> Entry:
    summary = f"From the package {package(entry)}: {entry.value}."
    return {"name": entry.name, "options": "its own", "summary": summary}
