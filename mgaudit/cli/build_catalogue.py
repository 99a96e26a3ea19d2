"""Writes `catalogue.json` from the registries: `python -m mgaudit.cli.build_catalogue`."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mgaudit.attacks import ATTACKS, Attack
from mgaudit.cli.catalogue import CATALOGUE_FILE, PATH, Entry
from mgaudit.papers.registry import PAPERS
from mgaudit.settings.choices import allowed, types
from mgaudit.targets import NETWORKS, QUERIES, SCHEMES
from mgaudit.targets.datasets import DATASETS, OWN_DATASET, Reader
from mgaudit.targets.schemes import Scheme

# What mgaudit supplies to a network and to a reader of datasets: not an option.
OF_NETWORKS = ("input_shape", "classes")
OF_READERS = ("path", "module", "function", "examples", "generator")
MOST_DIGITS = 8  # of a default; longer ones, such as 1/3, are rounded


def described() -> dict[str, list[Entry]]:
    """Returns the entries of all registries, by kind."""
    readers = [*DATASETS.values(), OWN_DATASET]
    return {
        "targets": [_entry(name, network, OF_NETWORKS) for name, network in NETWORKS.items()],
        "schemes": [_scheme(name, scheme) for name, scheme in SCHEMES.items()],
        "attacks": [_attack(name, attack) for name, attack in ATTACKS.items()],
        "queries": [_entry(name, queries) for name, queries in QUERIES.items()],
        "datasets": [_dataset(reader) for reader in readers],
        "papers": _papers(),
    }


def _entry(name: str, build: Callable[..., Any], supplied: tuple[str, ...] = ()) -> Entry:
    hints = types(build)
    options = [
        _option(key, parameter.default, hints.get(key))
        for key, parameter in inspect.signature(build).parameters.items()
        if key not in supplied
    ]
    first_paragraph = (inspect.getdoc(build) or "").split("\n\n")[0]
    summary = " ".join(first_paragraph.split())
    return {"name": name, "options": ", ".join(options) or "–", "summary": summary}


def _option(key: str, default: object, hint: object) -> str:
    """Returns an option with its default and range, "order=cyclic (cyclic or random)"."""
    if default is inspect.Parameter.empty:
        return f"{key}{allowed(hint)}"
    return f"{key}={_value_text(default)}{allowed(hint)}"


def _value_text(value: object) -> str:
    if isinstance(value, tuple):
        return "x".join(str(item) for item in value)
    if isinstance(value, float) and len(str(value)) > MOST_DIGITS:
        return f"{value:.3f}"
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _scheme(name: str, scheme: type[Scheme]) -> Entry:
    return _entry(name, scheme) | {"law": scheme.law, "source": scheme.source}


def _attack(name: str, attack: type[Attack]) -> Entry:
    needs = ", ".join(sorted(attack.needs)).replace("_", " ") or "nothing more"
    facts = {"needs": needs, "cost": attack.cost, "source": attack.source}
    return _entry(name, attack) | facts


def _dataset(reader: Reader) -> Entry:
    name = f"{reader.name}{PATH}" if reader.takes_path else reader.name
    entry = _entry(name, reader.read, OF_READERS)
    if reader.published is not None:
        entry["published"] = reader.published.source
    return entry


def _papers() -> list[Entry]:
    """Returns the papers, each followed by its figures; the options are the numbers of claims."""
    entries = []
    for paper in PAPERS.values():
        claims = sum(len(figure.claims) for figure in paper.figures)
        entries.append(
            {
                "name": paper.key,
                "options": str(claims),
                "summary": paper.title,
                "source": paper.source,
            }
        )
        entries += [
            {
                "name": f"{paper.key}/{figure.key}",
                "options": str(len(figure.claims)),
                "summary": figure.title,
            }
            for figure in paper.figures
        ]
    return entries


def catalogue_text() -> str:
    """Returns the content of `catalogue.json`."""
    return json.dumps(described(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name(CATALOGUE_FILE).write_text(catalogue_text(), encoding="utf-8")
