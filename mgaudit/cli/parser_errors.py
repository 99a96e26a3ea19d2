"""The line for a mistake in options and arguments that typer finds."""

import re
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from mgaudit.targets.training import Training

# Rules for the types of errors of pydantic, which converts the values.
RULES = {
    "float_parsing": "must be a number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number of at most 64 bits",
    "bool_parsing": "must be true or false",
}
CLOSE = 0.75  # similarity from which an option's name is suggested
UNKNOWN_COMMAND = re.compile(r"No such command '(?P<name>.*?)'")
NEEDS_VALUE = "requires an argument"
EXTRA = re.compile(r"Got unexpected extra argument\(s\) \((?P<values>.*)\)")


def line_of(error: Any) -> str:
    """Returns the message of an error of typer as one line in the form of `UsageError`.

    The type of the error is compared by name, because typer's own copy of click is private.
    """
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "mgaudit"
    text = " ".join(error.format_message().split()).rstrip(".")
    kind = type(error).__name__
    if kind == "NoSuchOption":
        return _unknown_option(error.option_name, command, context)
    if kind == "MissingParameter":
        return f"{_name_of(error)} must be given; see {command} --help"
    if kind == "BadParameter" and _details(error):
        details = _details(error)[0]
        rule = RULES.get(details["type"])
        if rule is not None:
            return f"{_name_of(error)} {rule}, got {details['input']!r}; see {command} --help"
    if NEEDS_VALUE in text:  # an option without its value
        return f"{error.option_name} needs a value; see {command} --help"
    unknown = UNKNOWN_COMMAND.match(text)
    if unknown is not None:
        return _unknown_command(unknown["name"], command, context)
    extra = EXTRA.match(text)
    if extra is not None:
        return f"{command} takes no further argument, got {extra['values']!r}; see {command} --help"
    return f"{text}; see {command} --help"


def _details(error: Any) -> list[dict[str, Any]]:
    details: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    return details


def _name_of(error: Any) -> str:
    """Returns the parameter of an error as the user writes it, `--kappa` or `RUN`."""
    parameter = error.param
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return str(parameter.metavar or parameter.name)


def _unknown_option(name: str, command: str, context: Any) -> str:
    setting = name.lstrip("-").replace("-", "_")
    if setting in {field.name for field in fields(Training)}:
        way_out = f"write {setting} below [training] in a TOML file, and give it to --settings"
        return f"{name} is not an option of {command}; {way_out}"
    known = {}
    if context is not None:
        known = {text.strip("-"): text for option in context.command.params for text in option.opts}
    nearest = get_close_matches(name.strip("-").lower(), known, n=1, cutoff=CLOSE)
    way_out = f"did you mean {known[nearest[0]]!r}?" if nearest else f"see {command} --help"
    return f"{name} is not an option of {command}; {way_out}"


def _unknown_command(name: str, command: str, context: Any) -> str:
    known = list(context.command.commands) if context is not None else []
    nearest = get_close_matches(name.lower(), known, n=1)
    way_out = f"did you mean {nearest[0]!r}?" if nearest else f"see {command} --help"
    return f"{name!r} is not a command of {command}; {way_out}"
