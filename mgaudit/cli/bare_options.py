"""A command with options whose value may be left out, as in `mgaudit run --tune-dp`."""

import re
from itertools import zip_longest
from typing import Any

from mgaudit.cli.repeated_options import Command
from mgaudit.settings.arguments import COMPARE, RUN

# The value of each such option where it is given without one.
BARE = {f"--{argument.name.replace('_', '-')}": argument.bare for argument in (*RUN, *COMPARE)}
NUMBER = re.compile(r"[-+]?[0-9.]+")


class WithBareOptions(Command):
    """A command that puts in the values of options that are given without one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments, with these values put in."""
        positional = any(param.param_type_name == "argument" for param in self.params)
        return super().parse_args(ctx, completed(args, positional))


def completed(words: list[str], positional: bool) -> list[str]:
    """Returns the words of a command with the values that are left out.

    The next word is the value if it is a number. Without positional arguments, it is the value
    unless it is an option, so that a wrong value is found.

    >>> completed(["--tune-dp", "--quiet"], positional=False)
    ['--tune-dp', '16', '--quiet']
    >>> completed(["--tune-dp", "quick"], positional=True)
    ['--tune-dp', '16', 'quick']
    """
    complete = []
    for word, following in zip_longest(words, words[1:]):
        complete.append(word)
        bare = BARE.get(word, "")
        if bare and not _is_value(following, positional):
            complete.append(bare)
    return complete


def _is_value(word: str | None, positional: bool) -> bool:
    """Returns whether the word after an option is its value."""
    if word is None:
        return False
    return NUMBER.fullmatch(word) is not None or not (positional or word.startswith("-"))
