"""Five commands still give the numbers that they gave when they were recorded."""

import json
from pathlib import Path

import pytest

from tests.goldens.commands import COMMANDS, GoldenCommand, by_place, processor, run

ELSEWHERE = 1e-6  # between kinds of processor


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_values_are_those_recorded(command: GoldenCommand, tmp_path: Path) -> None:
    golden = json.loads(command.path.read_text(encoding="utf-8"))
    computed, recorded = by_place(run(command, tmp_path)), by_place(golden["values"])
    assert list(computed) == list(recorded)
    if processor() == golden["processor"]:
        assert computed == recorded
    else:
        assert computed == pytest.approx(recorded, rel=ELSEWHERE, abs=ELSEWHERE)
