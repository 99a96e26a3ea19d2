"""The error of a user's mistake, a warning, and limits on what users give: a leaf."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

LONGEST_VALUE = 1000  # characters of a value that a message shows


class UsageError(ValueError):
    """A mistake of the user: an argument whose value breaks a rule.

    The message is one line, and the exit code is 2.

    Args:
        key: The argument as the user wrote it, such as `kappa`, `training.epochs`, `arms[2].scheme`
            or a file.
        rule: What the argument must be or do, as in "must be >= 0".
        value: What was given, as text; nothing is printed of None.
        way_out: What to do instead, if the rule does not say it.

    >>> str(UsageError("kappa", "must be >= 0", "-0.1", "use 0 for no noise"))
    'kappa must be >= 0, got -0.1; use 0 for no noise'
    """

    def __init__(self, key: str, rule: str, value: str | None = None, way_out: str = "") -> None:
        self.key = key
        self.rule = rule
        self.value = value
        self.way_out = way_out
        got = "" if value is None else f", got {_shortened(value)}"
        super().__init__(_one_line(f"{key} {rule}{got}{f'; {way_out}' if way_out else ''}"))

    def __reduce__(self) -> tuple[type["UsageError"], tuple[str, str, str | None, str]]:
        """Returns how workers send the error to the process that started them."""
        return type(self), (self.key, self.rule, self.value, self.way_out)

    def inside(self, key: str) -> "UsageError":
        """Returns the error with a longer key: `arms[2]` and `kappa` give `arms[2].kappa`."""
        joined = (
            f"{key}.{self.key}" if self.key and not self.key.startswith("[") else f"{key}{self.key}"
        )
        return UsageError(joined, self.rule, self.value, self.way_out)


class ChangedSettingsWarning(UserWarning):
    """Settings that a run wrote were changed afterwards, and are used as they are now."""


@dataclass(frozen=True)
class Limit:
    """The largest number of something, which is checked before work on it starts.

    Args:
        rule: The rule, with `{}` for the number, such as "must have at most {} columns".
        most: The largest number that is accepted.
        way_out: What to do instead.
    """

    rule: str
    most: int
    way_out: str

    def check(self, key: str, number: float) -> None:
        """Raises UsageError for a larger number; the message begins with `key`.

        >>> Limit("must have at most {} arms", 1000, "compare fewer").check("study", 1001)
        Traceback (most recent call last):
        ...
        mgaudit.errors.UsageError: study must have at most 1,000 arms, got 1,001; compare fewer
        """
        if number > self.most:
            rule = self.rule.format(f"{self.most:,}")
            raise UsageError(key, rule, f"{number:,}", self.way_out)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Returns a question with the nearest known name, ignoring case; empty if none is near.

    >>> did_you_mean("CNN", ["mlp", "cnn"]), did_you_mean("x", ["mlp"])
    ("did you mean 'cnn'?", '')
    """
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    nearest = get_close_matches(str(name).lower(), by_lower_case, n=1)
    return f"did you mean {by_lower_case[nearest[0]]!r}?" if nearest else ""


def _shortened(value: str) -> str:
    return (
        value
        if len(value) <= LONGEST_VALUE
        else f"{value[:LONGEST_VALUE]}… ({len(value)} characters)"
    )


def _one_line(message: str) -> str:
    return " ".join(message.split())
