"""What commands print of a result."""

import json
from pathlib import Path

import pytest

from mgaudit.cli.printing import print_run
from mgaudit.reports.verdict import verdict
from mgaudit.result import Result
from tests.fake_study import arrays, result, study


def test_the_verdict_is_the_same_in_python_json_and_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = study()
    texts = verdict(record)
    finished = Result(result(record), [arrays()], tmp_path)
    assert finished.verdict.splitlines() == texts
    print_run(finished, as_json=True, quiet=False)
    printed = json.loads(capsys.readouterr().out)
    assert printed["verdict"] == texts
    judged = printed["result"]["studies"][0]["analysis"]["verdicts"]
    assert judged == [found.model_dump(mode="json") for found in record.analysis.verdicts]
    print_run(finished, as_json=False, quiet=False)
    shown = " ".join(capsys.readouterr().out.split())
    for text in texts:
        assert text in shown
