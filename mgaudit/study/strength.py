"""Which number of a scheme is the strength of its noise."""

import inspect
from typing import Any

from mgaudit.reports.results import Strength
from mgaudit.settings.choices import Choice, text_of
from mgaudit.settings.schemes import PLAIN, SchemeChoice
from mgaudit.targets.schemes import Scheme


def strength_of(choice: SchemeChoice, epsilon: float | None) -> Strength | None:
    """Returns the strength of a scheme; None where it has no number. `epsilon` is what is proved of its DP-SGD.

    It is the first number among the options of the first part that has one, or the option that its class names in
    `smaller_is_stronger`. DP-SGD's is epsilon, however its noise was chosen.
    """
    for place, part in enumerate(choice.parts):
        parameter = _parameter(part)
        if parameter is None:
            continue
        without = {
            key: value
            for key, value in part.options.items()
            if key not in _spelling(part, parameter)
        }
        before, after = (
            [other.text for other in parts]
            for parts in (choice.parts[:place], choice.parts[place + 1 :])
        )
        return Strength(
            family="+".join([*before, text_of(part.name, without), *after]),
            parameter=parameter,
            value=epsilon if part.name == "dp-sgd" else float(_settings(part)[parameter]),
            reversed=bool(_smaller_is_stronger(part)),
            origin=None if part.name == "dp-sgd" else "+".join([*before, *after]) or PLAIN,
        )
    return None


def _parameter(part: Choice) -> str | None:
    if _smaller_is_stronger(part):
        return _smaller_is_stronger(part)
    numbers = (key for key, value in _settings(part).items() if type(value) in (int, float))
    return next(numbers, None)


def _smaller_is_stronger(part: Choice) -> str:
    kind: type[Scheme] = type(part.built)
    return kind.smaller_is_stronger


def _settings(part: Choice) -> dict[str, Any]:
    """Returns the options in the order of the signature, with the defaults of those that were not given."""
    parameters = inspect.signature(part.build).parameters
    return {key: part.options.get(key, parameter.default) for key, parameter in parameters.items()}


def _spelling(part: Choice, parameter: str) -> tuple[str, ...]:
    return ("epsilon", "noise_multiplier") if part.name == "dp-sgd" else (parameter,)
