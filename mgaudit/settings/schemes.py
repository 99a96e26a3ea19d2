"""Choices of noise schemes: one scheme, or several joined by "+"."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields

from mgaudit.errors import UsageError
from mgaudit.settings.arguments import EPSILON
from mgaudit.settings.choices import Choice, Entry, entry_of, option_texts, parse
from mgaudit.settings.named_code import scheme_parts
from mgaudit.settings.objects import object_choice
from mgaudit.targets import SCHEMES
from mgaudit.targets.limits import SCHEME_PARTS
from mgaudit.targets.schemes import Scheme, compose

DEFAULT_DP = f"dp-sgd:epsilon={EPSILON.default:g}"
PLAIN = "none"
DP_SGD = "dp-sgd"


@dataclass(frozen=True)
class SchemeChoice:
    """The choice of a noise scheme, which determines an arm of a study.

    `parts` are the schemes that are joined by "+", in order; most often there is one. `built` is
    the composed scheme as an object.
    """

    parts: tuple[Choice, ...]
    built: Scheme = field(compare=False, repr=False)

    @classmethod
    def of(cls, parts: Sequence[Choice]) -> "SchemeChoice":
        """Returns the composition of the parts. Raises UsageError if they cannot be composed."""
        for part in parts:
            _check_fields(part)
        built = tuple(part.built for part in parts)
        try:
            return cls(tuple(parts), compose(built))
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
        """Returns the name of the scheme for reports."""
        if self.is_only(PLAIN):
            return "no noise"
        return " + ".join(part.label() for part in self.parts)

    def is_only(self, name: str) -> bool:
        """Returns whether the scheme of that name is the only part."""
        return [part.name for part in self.parts] == [name]

    def with_privacy(self, epsilon: float | None, delta: float | None) -> "SchemeChoice":
        """Returns the choice with another epsilon and delta of its DP-SGD; None changes nothing."""
        parts = []
        for part in self.parts:
            parts.append(_with_privacy(part, epsilon, delta) if part.name == DP_SGD else part)
        return SchemeChoice.of(parts)


def _check_fields(choice: Choice) -> None:
    """Raises UsageError unless fields and class variables of a scheme can be checked and kept."""
    names = {option.name for option in fields(choice.built)}
    if names != set(Entry(choice.name, choice.build).parameters):
        rule = (
            "must be a frozen dataclass whose fields are its options, so that they can be checked, "
            "compared and kept"
        )
        raise UsageError(choice.name, rule)
    for fact in ("name", "law", "source", "smaller_is_stronger"):
        text: object = getattr(choice.built, fact)
        if not isinstance(text, str):
            raise UsageError(choice.name, f"must have a text for its {fact}", repr(text))
    stronger = choice.built.smaller_is_stronger
    if stronger and stronger not in names:
        rule = "must name an option in smaller_is_stronger"
        raise UsageError(choice.name, rule, repr(stronger))
    for name, value in asdict(choice.built).items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            rule = "must be a number, a text, a truth value or a tuple of these"
            raise UsageError(f"{choice.name}.{name}", rule, repr(value)) from error


def _with_privacy(part: Choice, epsilon: float | None, delta: float | None) -> Choice:
    """Returns the choice of DP-SGD with another epsilon or delta; None changes nothing."""
    options = dict(part.options)
    if epsilon is not None:
        # The noise multiplier is computed from epsilon.
        options.pop("noise_multiplier", None)
        options["epsilon"] = epsilon
    if delta is not None:
        options["delta"] = delta
    return Entry(part.name, part.build).chosen(options)


def scheme_choice(value: object) -> SchemeChoice:
    """Returns the choice of a scheme from a text or an object; a choice is returned unchanged.

    Args:
        value: A text, in which "+" joins the parts of a composition, or a `Scheme`.

    Raises:
        UsageError: As `parse`.
    """
    if isinstance(value, SchemeChoice):
        return value
    if isinstance(value, Scheme):
        return SchemeChoice.of([object_choice(SCHEMES, part) for part in value.parts])
    if not isinstance(value, str):
        rule = "must be a scheme, as in gaussian-mask:kappa=0.3"
        way_out = f"write {value.__name__}(...)" if isinstance(value, type) else ""
        raise UsageError("", rule, f"{type(value).__name__}: {value!r}", way_out)
    texts = scheme_parts(value)
    SCHEME_PARTS.check("", len(texts))
    return SchemeChoice.of([parse("scheme", SCHEMES, text, own=Scheme) for text in texts])


def scheme_entry(text: str) -> tuple[Entry, dict[str, str]]:
    """Returns the single scheme that a text names, built in or the user's own, and its options.

    Raises:
        UsageError: As `parse`.
    """
    entry, options = entry_of("scheme", SCHEMES, text, own=Scheme)
    return entry, option_texts(entry, options)


def edited_schemes(
    schemes: Sequence[str | SchemeChoice],
    audited: object = None,
    plain: bool | None = None,
    dp: bool | None = None,
    epsilon: float | None = None,
    delta: float | None = None,
) -> list[SchemeChoice]:
    """Returns the arms with the changes of the command line; None changes nothing.

    Args:
        schemes: The arms.
        audited: Replaces every arm that is neither plain nor DP-SGD.
        plain: Adds or removes the arm without noise.
        dp: Adds or removes the DP-SGD arms.
        epsilon: Epsilon (nats) of the DP-SGD arms; adds one if there is none.
        delta: Delta of the DP-SGD arms; adds one if there is none.

    Raises:
        UsageError: For a scheme that is not valid, and for epsilon or delta without DP-SGD arms.
    """
    choices = [_of_command_line(scheme) for scheme in schemes]
    without_noise = [choice for choice in choices if choice.is_only(PLAIN)]
    private = [choice for choice in choices if choice.is_only(DP_SGD)]
    noisy = [choice for choice in choices if choice not in without_noise and choice not in private]
    if plain is not None:
        kept = without_noise or [scheme_choice(PLAIN)]
        without_noise = kept if plain else []
    if audited is not None:
        noisy = [_of_command_line(audited)]
    changes_privacy = epsilon is not None or delta is not None
    if dp is False:
        if changes_privacy:
            rule = "are settings of the DP-SGD arm, which --no-dp removes"
            raise UsageError("--epsilon and --delta", rule)
        private = []
    elif not private and (dp or changes_privacy):
        private = [scheme_choice(DEFAULT_DP)]
    if changes_privacy:
        private = [choice.with_privacy(epsilon, delta) for choice in private]
    return list(dict.fromkeys((*without_noise, *noisy, *private)))


def audited_scheme(scheme: object, epsilon: float | None, delta: float | None) -> SchemeChoice:
    """Returns the scheme for `mgaudit audit-dp`, with another epsilon or delta of its DP-SGD.

    Raises:
        UsageError: For epsilon or delta, if the scheme has no DP-SGD.
    """
    choice = _of_command_line(scheme)
    if epsilon is None and delta is None:
        return choice
    if not any(part.name == DP_SGD for part in choice.parts):
        rule = "need a scheme with dp-sgd in it"
        value = f"--scheme {choice.text}"
        raise UsageError("--epsilon and --delta", rule, value, "leave them out")
    return choice.with_privacy(epsilon, delta)


def _of_command_line(scheme: object) -> SchemeChoice:
    """Returns the choice of a scheme. The key of a UsageError begins with "scheme"."""
    try:
        return scheme_choice(scheme)
    except UsageError as error:
        raise error.inside("scheme") from error
