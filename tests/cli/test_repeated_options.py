"""An option that takes one value is refused where it is given several times."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.settings.arguments import RUN


def mgaudit(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yields the words of each command and group, and the command."""
    yield names, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *names, name)


ALL = list(commands(get_command(app)))


@pytest.mark.parametrize(("names", "command"), ALL, ids=["-".join(names) for names, _ in ALL])
def test_every_option_with_one_value_is_refused_if_it_is_given_twice(
    names: tuple[str, ...], command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    positional = ["x" for param in command.params if param.param_type_name == "argument"]
    for option in command.params:
        if option.param_type_name == "argument" or option.is_flag or option.multiple:
            continue
        for spelling in option.opts:
            refused = mgaudit(*names, *positional, spelling, "1", f"{option.opts[-1]}", "2")
            assert refused.exit_code == 2, (spelling, refused.output)
            name = max(option.opts, key=len)
            start = f"error: {name} takes one value, got '1' and '2'; give it once"
            assert refused.stderr.startswith(start), refused.stderr
            assert refused.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_check_sees_the_options_of_all_commands() -> None:
    run = next(command for names, command in ALL if names == ("run",))
    single = {option.name for option in run.params if not (option.is_flag or option.multiple)}
    of_settings = {item.name for item in RUN if item.kind is not bool and not item.several}
    assert of_settings <= single
    assert {"fit", "target", "shard", "out_folder"} <= single
    assert len(ALL) > 15


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["run", "--fit=a:f", "--fit", "b:g"],
            "--fit takes one value, got 'a:f' and 'b:g'; give it once",
        ),
        (
            ["run", "--scheme", "none", "--scheme", "none"],
            "--scheme takes one value, got 'none' and 'none'; give it once, or use mgaudit "
            "compare, where --scheme can be repeated",
        ),
        (["run", "--tune-dp", "--tune-dp", "3"], "--tune-dp takes one value, got '16' and '3'; "),
        (["run", "--dp", "--no-dp"], "--dp must not be given with --no-dp; leave one of the two"),
        (["reproduce", "--full", "--quick"], "--full must not be given with --quick; "),
        (["runs", "--runs", "a", "--runs", "b", "list"], "--runs takes one value, got 'a' and 'b'"),
    ],
)
def test_the_line_names_the_option_and_its_values(
    words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = mgaudit(*words)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"error: {line}"), refused.stderr
    assert refused.stdout == ""


def test_options_with_several_values_and_equal_switches_may_be_repeated() -> None:
    listed = mgaudit("list", "studies", "--json", "--json")
    assert listed.exit_code == 0
    help_text = mgaudit("run", "--fit", "a:f", "--fit", "b:g", "--help")
    assert help_text.exit_code == 0
    refused = mgaudit("run", "--attack", "loss", "--attack", "lirra", "--quiet", "-q")
    assert "attacks[1] must be one of" in refused.stderr
    value_of_another = mgaudit("report", "x", "--format", "--out", "--out", "y")
    assert "takes one value" not in value_of_another.stderr
