"""Noise schemes as they are chosen: one, or several joined by "+"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from mgaudit.errors import UsageError
from mgaudit.settings.choices import Choice, Entry, entry_of, option_texts, parse
from mgaudit.settings.objects import object_choice
from mgaudit.targets import SCHEMES
from mgaudit.targets.schemes import Scheme, compose

DEFAULT_DP = "dp-sgd:epsilon=8"
PLAIN = "none"
DP_SGD = "dp-sgd"


@dataclass(frozen=True)
class SchemeChoice:
    """The schemes of a composition in their order, most often one; `built` is the scheme that they make."""

    parts: tuple[Choice, ...]
    built: Scheme = field(compare=False, repr=False)

    @classmethod
    def of(cls, parts: Sequence[Choice]) -> "SchemeChoice":
        """Returns the composition of the parts. Raises UsageError for what cannot be composed."""
        for part in parts:
            _check_fields(part)
        try:
            return cls(tuple(parts), compose(tuple(part.built for part in parts)))
        except UsageError:
            raise
        except ValueError as error:
            raise UsageError("", str(error)) from error

    @property
    def text(self) -> str:
        """The canonical text, which names the arm in settings and keys."""
        return "+".join(part.text for part in self.parts)

    def __str__(self) -> str:
        return self.text

    def label(self) -> str:
        """Returns the choice as a reader sees it."""
        return (
            "no noise" if self.is_only(PLAIN) else " + ".join(part.label() for part in self.parts)
        )

    def is_only(self, name: str) -> bool:
        """Returns whether the scheme of that name is all there is."""
        return [part.name for part in self.parts] == [name]

    def with_privacy(self, epsilon: float | None, delta: float | None) -> "SchemeChoice":
        """Returns the choice with another epsilon and delta of its DP-SGD; None leaves them as they are."""
        return SchemeChoice.of(
            [
                _with_privacy(part, epsilon, delta) if part.name == DP_SGD else part
                for part in self.parts
            ]
        )


def _check_fields(choice: Choice) -> None:
    if {option.name for option in fields(choice.built)} != set(
        Entry(choice.name, choice.build).parameters
    ):
        raise UsageError(
            choice.name,
            "must be a frozen dataclass whose fields are its options, so that they can be checked, compared and kept",
        )


def _with_privacy(part: Choice, epsilon: float | None, delta: float | None) -> Choice:
    changes = {
        key: value for key, value in (("epsilon", epsilon), ("delta", delta)) if value is not None
    }
    options = {**part.options, **changes}
    if epsilon is not None:
        options.pop("noise_multiplier", None)
    return Entry(part.name, part.build).chosen(options)


def scheme_choice(value: object) -> SchemeChoice:
    """Returns the noise scheme that a text names, its parts joined by "+", or that an object is.

    A choice stays as it is.

    Raises UsageError as `parse` does.
    """
    if isinstance(value, SchemeChoice):
        return value
    if isinstance(value, Scheme):
        return SchemeChoice.of([object_choice(SCHEMES, part) for part in value.parts])
    if not isinstance(value, str):
        raise UsageError(
            "",
            "must be a scheme, as in gaussian-mask:kappa=0.3",
            f"{type(value).__name__}: {value!r}",
        )
    return SchemeChoice.of(
        [parse("scheme", SCHEMES, part, own=Scheme) for part in scheme_parts(value)]
    )


def scheme_entry(text: str) -> tuple[Entry, dict[str, str]]:
    """Returns the one scheme that a text names, which may be the user's own, and the texts of its options.

    Raises UsageError as `parse` does.
    """
    entry, options = entry_of("scheme", SCHEMES, text, own=Scheme)
    return entry, option_texts(entry, options)


def scheme_parts(text: str) -> list[str]:
    """Returns the texts that "+" joins to a composition; most often there is one.

    >>> scheme_parts("gaussian-mask:kappa=1e+2+dp-sgd:epsilon=8")
    ['gaussian-mask:kappa=1e+2', 'dp-sgd:epsilon=8']
    """
    # A plus sign within a number does not stand before a letter.
    return re.split(r"\+(?=\s*[A-Za-z])", text)


def edited_schemes(
    schemes: Sequence[str | SchemeChoice],
    audited: object = None,
    plain: bool | None = None,
    dp: bool | None = None,
    epsilon: float | None = None,
    delta: float | None = None,
) -> list[SchemeChoice]:
    """Returns the arms with the changes of the command line; what it does not say (None) stays.

    `audited` takes the place of every arm that is neither plain nor DP-SGD; `plain` and `dp` add or remove those two;
    `epsilon` and `delta` change the DP-SGD arms, or add one.
    """
    choices = [_of_command_line(scheme) for scheme in schemes]
    without_noise = [choice for choice in choices if choice.is_only(PLAIN)]
    private = [choice for choice in choices if choice.is_only(DP_SGD)]
    noisy = [choice for choice in choices if choice not in without_noise and choice not in private]
    if plain is not None:
        without_noise = (without_noise or [scheme_choice(PLAIN)]) if plain else []
    if audited is not None:
        noisy = [_of_command_line(audited)]
    if dp is False:
        if epsilon is not None or delta is not None:
            raise UsageError(
                "--epsilon and --delta", "are settings of the DP-SGD arm, which --no-dp leaves out"
            )
        private = []
    elif not private and (dp or epsilon is not None or delta is not None):
        private = [scheme_choice(DEFAULT_DP)]
    if epsilon is not None or delta is not None:
        private = [choice.with_privacy(epsilon, delta) for choice in private]
    return list(dict.fromkeys((*without_noise, *noisy, *private)))


def audited_scheme(scheme: object, epsilon: float | None, delta: float | None) -> SchemeChoice:
    """Returns the scheme that `mgaudit audit-dp` audits, its DP-SGD with another epsilon or delta.

    Raises UsageError where there is no DP-SGD in it to change.
    """
    choice = _of_command_line(scheme)
    if epsilon is None and delta is None:
        return choice
    if not any(part.name == DP_SGD for part in choice.parts):
        raise UsageError(
            "--epsilon and --delta",
            "need a scheme with dp-sgd in it",
            f"--scheme {choice.text}",
            "leave them out",
        )
    return choice.with_privacy(epsilon, delta)


def _of_command_line(scheme: object) -> SchemeChoice:
    try:
        return scheme_choice(scheme)
    except UsageError as error:
        raise error.inside("scheme") from error
