"""The errors of settings: what pydantic reports, as UsageError."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from pydantic import ValidationError

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.targets.training import Training

TRAINED = tuple(field.name for field in fields(Training))
OF_FUNCTIONS = ("fit", "fits")
OF_STUDIES = ("title", "note", "datasets", "targets", "seeds", "arms", "stacks")
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
QUOTED = re.compile("'(.*?)'")


def no_such_setting(table: str, key: str, known: Sequence[str]) -> UsageError:
    """Returns the error for a setting `key` that does not exist in a table.

    `table` is the name of the table, "" for the top of the file, and `known` are its settings.
    """
    error = UsageError(
        key,
        f"is not a setting; the settings are {', '.join(known)}",
        None,
        _way_out(table, key, known),
    )
    return error.inside(table) if table else error


def _way_out(table: str, key: str, known: Sequence[str]) -> str:
    """Returns what the user may have meant by an unknown setting; empty if nothing is similar."""
    if table:
        return did_you_mean(f"{table}.{key}", [f"{table}.{name}" for name in known])
    if key in OF_FUNCTIONS:
        return "a run with training functions is repeated by its command, or by mgaudit.audit"
    if key in OF_STUDIES:
        return "a study file is run by mgaudit compare"
    if key in TRAINED:
        return f"did you mean 'training.{key}'?"
    return did_you_mean(key, known)


def usage_error(
    error: ValidationError, known: Sequence[str], single: Mapping[str, str]
) -> UsageError:
    """Returns the first error of pydantic as a UsageError.

    `known` are the settings at the top of the file. `single` has the lists that the user gave as a
    single value: the name of the list, and the name under which the value was given.
    """
    first = error.errors()[0]
    location = [part for part in first["loc"] if part != "[key]"]
    if location[0] in single:
        location = [single[str(location[0])], *location[2:]]
    key = location_text(location)
    if first["type"] in UNKNOWN:
        *tables, name = location
        table = location_text(tables)
        return no_such_setting(table, str(name), TRAINED if table == "training" else known)
    if first["type"] == "value_error":
        cause = first["ctx"]["error"]
        is_ours = isinstance(cause, UsageError)
        return cause.inside(key) if is_ours else UsageError(f"{key}:", str(cause))
    return UsageError(key, *_rule_value_way_out(first))


def _rule_value_way_out(details: Mapping[str, Any]) -> tuple[str, str, str]:
    """Returns the broken rule, the value and the way out of one error of pydantic."""
    value = details["input"]
    if details["type"] == "too_short":
        return f"must have at least {details['ctx']['min_length']} item", repr(value), ""
    rule = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if details["type"] == "literal_error":
        names = QUOTED.findall(rule)
        return f"must be {rule}", repr(value), did_you_mean(str(value), names)
    if details["type"].endswith("_type"):
        return f"must be {rule}", f"{type(value).__name__}: {value!r}", ""
    return f"must be {rule}", repr(value), ""


def location_text(location: Sequence[str | int]) -> str:
    """Returns the location of a setting as text, from its keys and indices.

    >>> location_text(["attacks", 1]), location_text(["training", "epochs"])
    ('attacks[1]', 'training.epochs')
    """
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")
