"""The marked blocks of the how-to pages, and of other pages, run as printed."""

import contextlib
import io
import shlex
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mgaudit.attacks.intervals import resample_counts
from mgaudit.cli.app import app
from mgaudit.storage.run_folder import RunFolder
from tests.docs.pages import DOCS, HOW_TO, PAGES, Block, blocks

RUNNABLE = [page for page in PAGES if any(block.runs for block in blocks(page))]


class Session:
    """Runs the blocks of one page in the current directory, one after the other.

    Python blocks share their names, as in one script. The script is a file, because mgaudit reads
    the source of a user's classes and functions.
    """

    def __init__(self) -> None:
        self.script = Path("page_script.py").resolve()
        self.module = types.ModuleType(self.script.stem)
        self.module.__file__ = str(self.script)
        self.lines = 0

    def run(self, block: Block) -> str:
        """Returns what the block printed."""
        return self.run_python(block.text) if block.language == "python" else self.run_sh(block)

    def run_python(self, text: str) -> str:
        with self.script.open("a", encoding="utf-8") as script:
            script.write(text)
        code = compile("\n" * self.lines + text, str(self.script), "exec")
        self.lines += text.count("\n")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, self.module.__dict__)
        return printed.getvalue()

    @staticmethod
    def run_sh(block: Block) -> str:
        printed = ""
        for line in block.text.replace("\\\n", " ").splitlines():
            program, *arguments = shlex.split(line)
            assert program == "mgaudit", line
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, f"{line}\n{result.output}"
            printed += result.stdout
        return printed


def check_python(names: dict[str, Any]) -> None:
    assert Path("roc.png").stat().st_size > 0
    assert Path("report.pdf").read_bytes().startswith(b"%PDF")
    attacks = [attack.attack for attack in names["again"].record.studies[0].arms[0].attacks]
    assert attacks == ["rmia", "rmia:temperature=1"]
    assert names["scores"].shape == (300,)


def check_function(names: dict[str, Any]) -> None:
    plain, mask = names["arms"].record.studies[0].arms
    assert plain.is_plain
    assert mask.attacks[0].differences
    assert names["one_run"].record.canaries == 200
    assert names["one_run"].record.epsilon_claimed == 1


def check_estimator(names: dict[str, Any]) -> None:
    assert names["tree"].record.studies[0].arms[0].label == "DecisionTreeClassifier"
    plain, smaller = names["arms"].record.studies[0].arms
    assert (plain.is_plain, smaller.label) == (True, "depth 3")


def check_scores(names: dict[str, Any]) -> None:
    assert names["checks"].membership.independent
    assert not names["checks"].blind.beats_chance


def check_ci(names: dict[str, Any]) -> None:
    assert names["result"].failures("accuracy<0.999")
    assert not names["result"].failures("auc>0.99")


def check_sweep(names: dict[str, Any]) -> None:
    assert len(names["compared"].record.studies) == 2


def check_dp_training(names: dict[str, Any]) -> None:
    assert names["loop"].record.white_box.steps == 10


# What the Python blocks of a page must have made, by the name of the page.
RESULTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "ci": check_ci,
    "dp-training": check_dp_training,
    "estimator": check_estimator,
    "python": check_python,
    "scores": check_scores,
    "sweep": check_sweep,
    "training-function": check_function,
}


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all pages: many of them train the same models."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def session(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MGAUDIT_CACHE", str(shared_cache))
    monkeypatch.setattr(RunFolder, "write_reports", lambda *_: [])
    monkeypatch.setattr(
        "mgaudit.study.design.resample_counts", partial(resample_counts, resamples=20)
    )
    session = Session()
    monkeypatch.setitem(sys.modules, session.module.__name__, session.module)
    return session


@pytest.mark.filterwarnings("ignore:Secure RNG turned off")
@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: str(page.relative_to(DOCS)))
def test_the_marked_blocks_of_a_page_run(page: Path, session: Session) -> None:
    printed = None
    for block in blocks(page):
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
        if block.runs:
            printed = session.run(block)
        elif block.language == "text" and printed is not None:
            assert printed == block.text  # what a block printed may stand below it
        else:
            printed = None
    if page.stem in RESULTS:
        RESULTS[page.stem](session.module.__dict__)


def test_every_howto_page_has_a_block_that_runs() -> None:
    assert len(HOW_TO) >= 20
    assert not set(HOW_TO) - set(RUNNABLE)


def test_every_python_block_is_a_file_or_runs() -> None:
    for page in DOCS.rglob("*.md"):
        for block in blocks(page):
            assert block.language != "python" or block.title or block.runs, (page, block.text)
