"""The report of an audit of DP-SGD."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import mgaudit
from mgaudit.cli.app import app
from mgaudit.errors import UsageError
from mgaudit.reports.dp_document import dp_document
from mgaudit.reports.figures.dp_audit import roc_points
from mgaudit.reports.formats.html import render_html
from mgaudit.storage.read_run import read_dp_audit

SMALL: dict[str, Any] = {
    "scheme": "dp-sgd:noise_multiplier=1",
    "target": "mlp:hidden=16",
    "epochs": 2,
    "examples": 200,
    "quiet": True,
}
ADVERSARIES: dict[str, dict[str, Any]] = {
    "one-run": {"canaries": 60},
    "white-box": {"directions": 32},
    "repeated": {"runs": 20},
}
EXPECTED = {
    "one-run": ["Bounds", "Alarm", "Figures", "Ceilings", "Run it again"],
    "white-box": ["Bounds", "Checks", "Figures", "Ceilings", "Run it again"],
    "repeated": ["Bounds", "Figures", "Ceilings", "Run it again"],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The run directories of an audit by each adversary."""
    found = {}
    for adversary, options in ADVERSARIES.items():
        out = tmp_path_factory.mktemp(adversary)
        result = mgaudit.audit_dp(adversary=adversary, **SMALL, **options, out=out)
        assert result.path is not None
        found[adversary] = result.path
    return found


@pytest.mark.parametrize("adversary", ADVERSARIES)
def test_each_adversary_has_its_sections_and_figures(
    adversary: str, folders: dict[str, Path]
) -> None:
    result, arrays = read_dp_audit(folders[adversary])
    document = dp_document(result, arrays)
    assert [section.title for section in document.sections] == EXPECTED[adversary]
    names = [drawing.name for _, drawing in document.drawings]
    assert names == {"white-box": ["steps", "scores"]}.get(adversary, ["scores", "roc"])
    for _, drawing in document.drawings:
        assert len(drawing.data) > 1
        assert drawing.figure.axes
    text = render_html(document)
    assert "The adversary" in text
    assert (folders[adversary] / "report.html").read_text(encoding="utf-8") == text
    assert (folders[adversary] / "report.pdf").read_bytes().startswith(b"%PDF")


def test_the_ceiling_is_that_of_the_claim(folders: dict[str, Path]) -> None:
    result, arrays = read_dp_audit(folders["repeated"])
    assert result.ceiling is not None
    table = {table.key: table for _, table in dp_document(result, arrays).tables}["ceilings"]
    assert table.rows[0][1].value == result.ceiling.metrics["auc"]
    without = result.model_copy(update={"ceiling": None})
    titles = [section.title for section in dp_document(without, arrays).sections]
    assert "Ceilings" not in titles


def test_the_implied_epsilon_grows_with_the_steps(folders: dict[str, Path]) -> None:
    result, _ = read_dp_audit(folders["white-box"])
    facts = result.white_box
    assert facts is not None
    steps = [number for number, _ in facts.by_steps]
    assert steps == sorted(set(steps))
    assert facts.by_steps[-1] == (facts.steps, result.bounds[0].epsilon)


def test_reports_are_rendered_again_in_the_formats_that_fit(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = str(folders["one-run"])
    command = ["report", folder, "--format", "html", "--out", str(tmp_path)]
    run = CliRunner().invoke(app, command)
    assert run.exit_code == 0, run.output
    assert (tmp_path / "report.html").exists()
    refused = CliRunner().invoke(app, ["report", folder, "--format", "latex"])
    assert refused.exit_code == 2
    assert "--format must be html, pdf, markdown for an audit of DP-SGD" in refused.output


def test_damaged_files_are_named(folders: dict[str, Path], tmp_path: Path) -> None:
    source = folders["one-run"]
    for name in ("dp-audit.json", "arrays.npz"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    (tmp_path / "dp-audit.json").write_text("{}")
    with pytest.raises(UsageError, match=r"dp-audit\.json cannot be read: .* run it again"):
        read_dp_audit(tmp_path)
    (tmp_path / "dp-audit.json").write_bytes((source / "dp-audit.json").read_bytes())
    np.savez(tmp_path / "arrays.npz", **{"0/scores": np.zeros(3)})
    with pytest.raises(UsageError, match="scores and membership of one shape"):
        read_dp_audit(tmp_path)


def test_roc_points_pass_equal_scores_together() -> None:
    scores = np.array([3.0, 2.0, 2.0, 1.0, 0.0])
    members = np.array([True, True, False, False, True])
    fpr, tpr = roc_points(scores, members)
    assert fpr.tolist() == [0, 0, 0.5, 1, 1]
    assert tpr.tolist() == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3, 1])
    many = np.arange(10_000.0)
    fpr, tpr = roc_points(many, many % 2 == 0)
    assert (len(fpr) <= 2002, fpr[-1], tpr[-1]) == (True, 1, 1)
