"""Options that take one value and are given several times, of which typer would use the last."""

from typing import Any

from typer.core import TyperCommand, TyperGroup

from mgaudit.errors import UsageError
from mgaudit.settings.arguments import COMPARE

# What the parser does with an option, and what it does where all values are kept.
KEPT = {"store": "append", "store_const": "append_const"}
SEVERAL_IN_COMPARE = {argument.name for argument in COMPARE if argument.several}


class _OneValueEach:
    """A command or a group that refuses a repeated option unless the option takes several values.

    A switch may be repeated, but not together with its opposite.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments. Raises UsageError for the first repeated option."""
        words = list(args)
        rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        if not ctx.resilient_parsing:
            _refuse_repeated(self, ctx, words)
        return rest


class Command(_OneValueEach, TyperCommand):
    """A command whose options of one value are given once."""


class Group(_OneValueEach, TyperGroup):
    """A group of commands whose own options of one value are given once."""


def _refuse_repeated(command: Any, ctx: Any, words: list[str]) -> None:
    """Raises UsageError for an option that takes one value and is given several times."""
    parser = command.make_parser(ctx)
    single = {}
    for option in (*parser._long_opt.values(), *parser._short_opt.values()):
        if option.action in KEPT:
            option.action = KEPT[option.action]
            single[option.dest] = option.obj
    values, _, _ = parser.parse_args(words)
    for name, option in single.items():
        of_option = values.get(name) or []
        if option.is_flag:
            of_option = list(dict.fromkeys(of_option))
        if len(of_option) > 1:
            raise _repeated(option, of_option, ctx.command.name)


def _repeated(option: Any, values: list[Any], command: str | None) -> UsageError:
    """Returns the error for an option that was given with these values."""
    name = str(max(option.opts, key=len))
    if option.is_flag:
        rule = f"must not be given with {max(option.secondary_opts, key=len)}"
        return UsageError(name, rule, None, "leave one of the two out")
    way_out = "give it once"
    if command == "run" and option.name in SEVERAL_IN_COMPARE:
        way_out = f"give it once, or use mgaudit compare, where {name} can be repeated"
    return UsageError(name, "takes one value", " and ".join(map(repr, values)), way_out)
