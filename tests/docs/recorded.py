"""The numbers of recorded runs: `benchmarks/results/NAME.csv` and `NAME.toml`."""

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.docs.pages import ROOT

RESULTS = ROOT / "benchmarks" / "results"
Where = Mapping[str, str]  # columns of a recording and their texts, and the recording itself


@dataclass(frozen=True)
class Recorded:
    """A recorded number: fractions and nats; `low` and `high` are None without an interval."""

    value: float
    low: float | None
    high: float | None
    p_adjusted: float | None


@cache
def rows(recording: str) -> tuple[dict[str, str], ...]:
    """Returns the rows of a recording in the order of the report."""
    with (RESULTS / f"{recording}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def facts(recording: str) -> dict[str, Any]:
    """Returns how the numbers were recorded, and the verdict."""
    return tomllib.loads((RESULTS / f"{recording}.toml").read_text(encoding="utf-8"))


def number_of(where: Where) -> Recorded:
    """Returns the only number with such columns. Raises KeyError if there are none or several."""
    matching = matching_rows(frozenset(where.items()))
    if len(matching) != 1:
        raise KeyError(f"{len(matching)} rows of {dict(where)}")
    numbers = (matching[0][name] for name in ("value", "low", "high", "p_adjusted"))
    value, *others = (float(text) if text else None for text in numbers)
    assert value is not None, where
    return Recorded(value, *others)


@cache
def matching_rows(where: frozenset[tuple[str, str]]) -> list[dict[str, str]]:
    """Returns the rows of a recording that have such columns."""
    columns = dict(where)
    recording = columns.pop("recording")
    return [row for row in rows(recording) if columns.items() <= row.items()]


def arms(recording: str, study: str = "1") -> list[str]:
    """Returns the arms of a study in the order of the report."""
    audited = (row for row in rows(recording) if (row["study"], row["what"]) == (study, "delta"))
    return [row["arm"] for row in audited]


def attacks_on(recording: str, arm: str) -> list[tuple[str, str]]:
    """Returns the attacks on an arm, each with its adversary, in the order of the report."""
    attacks = [row for row in rows(recording) if (row["arm"], row["what"]) == (arm, "attack")]
    return list(dict.fromkeys((row["attack"], row["adversary"]) for row in attacks))


def label(arm: str) -> str:
    """Returns the name of an arm on pages.

    >>> label("none"), label("weight-noise:sigma=0.1,layerwise=true")
    ('no noise', 'weight-noise (sigma=0.1, layerwise=true)')
    """
    name, _, options = arm.partition(":")
    if name == "none":
        return "no noise"
    return f"{name} ({options.replace(',', ', ')})" if options else name
