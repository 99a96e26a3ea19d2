"""Five commands reproduce their recorded numbers; numbers that are new are not compared."""

import json
from typing import Any

import pytest

from tests.goldens.commands import COMMANDS, GoldenCommand, by_place, processor, run_all

ELSEWHERE = 1e-6  # between kinds of processor
# The trees of the quantile attack choose between nearly equal splits by rounding, so that another
# kind of processor may find another tree, on which further numbers depend.
MAY_DIFFER = 0.02


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The values of every command, by its name."""
    return run_all(tmp_path_factory.mktemp("goldens"))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_values_are_those_recorded(command: GoldenCommand, values: dict[str, Any]) -> None:
    golden = json.loads(command.path.read_text(encoding="utf-8"))
    computed, recorded = by_place(values[command.name]), by_place(golden["values"])
    assert (
        recorded.keys() <= computed.keys()
    )  # a new metric adds values; a list that is longer differs in its length
    computed = {path: computed[path] for path in recorded}
    if processor() == golden["processor"]:
        assert computed == recorded
    else:
        numbers = {path: value for path, value in recorded.items() if value is not None}
        missing = {path for path in recorded if computed[path] is None}
        assert missing == recorded.keys() - numbers.keys()
        differ = {
            path: (computed[path], value)
            for path, value in numbers.items()
            if computed[path] != pytest.approx(value, rel=ELSEWHERE, abs=ELSEWHERE)
        }
        assert len(differ) <= MAY_DIFFER * len(numbers), differ
