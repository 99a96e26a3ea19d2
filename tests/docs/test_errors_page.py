"""Each message on the page on errors is what its command prints."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mgaudit.cli.app import app
from mgaudit.storage.run_folder import RunFolder
from tests.docs.pages import DOCS, blocks
from tests.fake_study import arrays, result, study

NETWORKS = """
from torch import nn


class Soft(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layer = nn.Linear(64, num_classes)

    def forward(self, x):
        return self.layer(x.flatten(1)).softmax(-1)


class Norm(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.b = nn.BatchNorm1d(64)
        self.layer = nn.Linear(64, num_classes)

    def forward(self, x):
        return self.layer(self.b(x.flatten(1)))
"""

SHOWN = [block.text for block in blocks(DOCS / "errors.md") if block.language == "console"]


def write_data(path: str, examples: int, overlap: bool = False) -> None:
    generator = np.random.default_rng(0)
    x_train, x_test = generator.random((examples, 4)), generator.random((12, 4))
    np.savez(
        path,
        x_train=x_train,
        y_train=np.arange(examples) % 2,
        x_test=x_train[:12] if overlap else x_test,
        y_test=np.arange(12) % 2,
    )


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the files that the commands name, a changed result, and no GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    write_data("data.npz", 120)
    write_data("tiny.npz", 30)
    write_data("overlap.npz", 120, overlap=True)
    rows = "".join(f"{row},p{row},{row % 2}\n" for row in range(100))
    Path("table.csv").write_text(f"age,name,label\n{rows}")
    Path("networks.py").write_text(NETWORKS)
    Path("study.toml").write_text('schemes = ["none", "blur:Blur"]')
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([1, 1], (4, 60))
    membership, labels = generator.random((4, 60)) < 0.5, np.arange(60) % 2
    np.savez("outputs.npz", logits=probabilities, labels=labels, membership=membership)
    np.savez("no_membership.npz", logits=generator.normal(size=(4, 60, 2)), labels=labels)
    run = RunFolder(Path("runs") / "changed")
    run.write_result(result(study()), [arrays()])
    (run.path / "result.json").write_text(result(study()).model_dump_json())
    return tmp_path


def pattern(message: str) -> str:
    """Returns the regular expression of a message in which … stands for any words."""
    return ".*".join(re.escape(part) for part in message.strip().split("…"))


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: shown.partition("\n")[0])
def test_a_command_prints_the_message(shown: str, workplace: Path) -> None:
    command, _, message = shown.partition("\n")
    program, *arguments = shlex.split(command.removeprefix("$ "))
    assert program == "mgaudit"
    output = CliRunner().invoke(app, arguments)
    assert output.exit_code == 2
    printed = output.stderr.strip().splitlines()[-1]
    assert re.fullmatch(pattern(message), printed), printed


def test_the_page_has_the_most_frequent_messages() -> None:
    assert len(SHOWN) >= 20
    assert not re.fullmatch(pattern("error: a must be …, got 1"), "error: b must be 2, got 1")
