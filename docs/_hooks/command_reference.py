"""Writes the help of every command into the page on commands, when the site is built."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from mgaudit.cli.app import app

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

MARK = "<!-- help of every command -->"


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", files: "Files") -> str:
    """Puts the help in the place of its mark."""
    return markdown.replace(MARK, command_reference()) if MARK in markdown else markdown


def command_reference() -> str:
    """Returns the help of every command as Markdown."""
    root = typer.main.get_command(app)
    return "\n\n".join(_section(name, command) for name, command in commands(root, "mgaudit"))


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yields a command and those below it with their full names, without groups that do nothing."""
    below = getattr(command, "commands", {})
    is_root = name == "mgaudit"
    if command.params and not is_root:
        yield name, command
    for part, subcommand in below.items():
        yield from commands(subcommand, f"{name} {part}")


def _section(name: str, command: Any) -> str:
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    usage = " ".join([name, "[OPTIONS]", *(_usage(argument) for argument in arguments)])
    parts = [f"### {name}", f"```text\n{usage}\n```", command.help or ""]
    groups = defaultdict(list)
    for item in command.params:
        group = "Arguments" if item in arguments else getattr(item, "rich_help_panel", None)
        groups[group or "Options"].append(item)
    for group, items in groups.items():
        rows = [f"| {_names(item)} | {_cell(item.help or '')} |" for item in items]
        parts.append("\n".join([f"| {group} | meaning |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _usage(argument: Any) -> str:
    words = _metavar(argument)
    if words.startswith("["):  # written as it is used
        return words
    words += "..." if argument.nargs == -1 else ""
    return words if argument.required else f"[{words}]"


def _metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _names(item: Any) -> str:
    if item.param_type_name == "argument":
        return f"`{_metavar(item)}`"
    return ", ".join(f"`{name}`" for name in [*item.opts, *item.secondary_opts])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
