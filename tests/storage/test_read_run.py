"""Runs of earlier versions get their verdict from their arrays."""

import json
from pathlib import Path

import mgaudit
from mgaudit.reports.files import RESULT_FILE
from mgaudit.reports.verdict import verdict
from mgaudit.storage.read_run import read_run
from tests.fake_study import arrays, result, study, write


def test_a_run_of_an_earlier_version_has_the_verdict_of_its_arrays(tmp_path: Path) -> None:
    record = study()
    write(tmp_path, result(record), [arrays()])
    path = tmp_path / RESULT_FILE
    content = json.loads(path.read_text())
    del content["studies"][0]["analysis"]["verdicts"]
    content["schema_version"] = 7
    path.write_text(json.dumps(content))
    earlier, _ = read_run(tmp_path)
    assert earlier.studies[0].analysis.verdicts == record.analysis.verdicts
    assert mgaudit.load(tmp_path).verdict == "\n".join(verdict(record))


def test_a_verdict_in_the_result_is_kept(tmp_path: Path) -> None:
    record = study()
    first, *others = record.analysis.verdicts
    kept = [first.model_copy(update={"outcome": "undecided"}), *others]
    analysis = record.analysis.model_copy(update={"verdicts": kept})
    write(tmp_path, result(record.model_copy(update={"analysis": analysis})), [arrays()])
    assert read_run(tmp_path)[0].studies[0].analysis.verdicts == kept
