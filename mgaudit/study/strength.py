"""The number of a scheme that measures the strength of its noise.

Schemes that differ only in this number form a family. The origin of a family is the scheme without
this noise. A part is one of the schemes that are joined by "+" in a composition.
"""

import inspect
from typing import Any

from mgaudit.reports.results import Strength
from mgaudit.settings.choices import Choice, text_of
from mgaudit.settings.schemes import DP_SGD, PLAIN, SchemeChoice
from mgaudit.targets.schemes import Scheme


def strength_of(choice: SchemeChoice, epsilon: float | None) -> Strength | None:
    """Returns the strength of a scheme; None if no option of its parts is a number.

    The first part with a number among its options counts. Its strength is the option that the class
    of the part names in `smaller_is_stronger`, or else the first number. The strength of DP-SGD is
    epsilon, also if its settings have a noise multiplier.

    Args:
        choice: The scheme.
        epsilon: The epsilon (nats) that is proved for its DP-SGD; None if infinite or without it.
    """
    for index, part in enumerate(choice.parts):
        parameter = _parameter(part)
        if parameter is not None:
            return _strength_of_part(choice, index, parameter, epsilon)
    return None


def _strength_of_part(
    choice: SchemeChoice, index: int, parameter: str, epsilon: float | None
) -> Strength:
    """Returns the strength of the scheme: the option `parameter` of part number `index`."""
    part = choice.parts[index]
    before = [other.text for other in choice.parts[:index]]
    after = [other.text for other in choice.parts[index + 1 :]]
    # Arms of one family differ in nothing but their strength.
    family = "+".join([*before, _text_without(part, parameter), *after])
    reverse = bool(_smaller_is_stronger(part))
    if part.name == DP_SGD:
        return Strength(
            family=family, parameter=parameter, value=epsilon, reversed=reverse, origin=None
        )
    value = float(_settings(part)[parameter])
    origin = "+".join([*before, *after]) or PLAIN
    return Strength(
        family=family, parameter=parameter, value=value, reversed=reverse, origin=origin
    )


def _text_without(part: Choice, parameter: str) -> str:
    """Returns the text of the part without the options that determine its strength."""
    names = ("epsilon", "noise_multiplier") if part.name == DP_SGD else (parameter,)
    options = {key: value for key, value in part.options.items() if key not in names}
    return text_of(part.name, options)


def _parameter(part: Choice) -> str | None:
    """Returns the name of the option that is the part's strength; None without a number."""
    named = _smaller_is_stronger(part)
    if named:
        return named
    for key, value in _settings(part).items():
        if type(value) in (int, float):
            return key
    return None


def _smaller_is_stronger(part: Choice) -> str:
    """Returns the option whose smaller values are stronger noise; empty for other schemes."""
    kind: type[Scheme] = type(part.built)
    return kind.smaller_is_stronger


def _settings(part: Choice) -> dict[str, Any]:
    """Returns the values of all options by name, with defaults, in the order of the signature."""
    settings = {}
    for key, parameter in inspect.signature(part.build).parameters.items():
        settings[key] = part.options.get(key, parameter.default)
    return settings
