"""The code on docs/python.md runs from top to bottom."""

import re
from pathlib import Path
from typing import Any

import pytest

from mgaudit.storage.run_folder import RunFolder

PAGE = Path(__file__).resolve().parent.parent / "docs" / "python.md"


@pytest.mark.filterwarnings("ignore:Secure RNG turned off")
@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 8
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert Path("roc.png").stat().st_size > 0
    assert Path("report.pdf").read_bytes().startswith(b"%PDF")
    attacks = [attack.attack for attack in names["again"].record.studies[0].arms[0].attacks]
    assert attacks == ["rmia", "rmia:temperature=1"]
    assert len(names["compared"].record.studies) == 2
    assert names["scores"].shape == (300,)
    plain, mask = names["arms"].record.studies[0].arms
    assert plain.is_plain
    assert mask.attacks[0].differences
    assert names["tree"].record.studies[0].arms[0].label == "DecisionTreeClassifier"
    assert names["one_run"].record.canaries == 200
    assert names["one_run"].record.epsilon_claimed == 1
    assert names["checks"].membership.independent
    assert not names["checks"].blind.beats_chance
    assert names["loop"].record.white_box.steps == 10
    assert "did you mean 'lira'" in capsys.readouterr().out
