"""The notebooks of `examples/` run, use the public API, and store small outputs of their code."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

import mgaudit
from mgaudit.reports.figures.drawing import Drawing
from mgaudit.storage.run_folder import RunFolder
from tests.notebooks import (
    EXAMPLES,
    FIGURE,
    TEXT,
    Execution,
    cells_of,
    code_sha256,
    execute,
    kind_of,
    read_notebook,
    refresh,
    source_of,
    text_of,
)

FIRST, SCHEMES, PYTORCH, SCORES, DP_LOOP = NAMES = (
    "01-first-audit",
    "02-compare-two-schemes",
    "03-audit-my-pytorch-model",
    "04-audit-a-scikit-learn-model-and-a-file-of-scores",
    "05-audit-a-dp-sgd-loop",
)
LIBRARIES = {"mgaudit", "numpy", "opacus", "pandas", "sklearn", "torch"}
WRITTEN_BY_A_NOTEBOOK = {"digit_net"}
MOST_BYTES = 300_000

# A path such as /home/name, but not a closing tag of HTML, "and/or" or an address on the web.
ABSOLUTE_PATH = re.compile(r"(?<![\w<.:/])/\w[\w.-]*/|[A-Z]:\\\w")
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")

Executed = Callable[[str], Execution]


def path_of(name: str) -> Path:
    return EXAMPLES / f"{name}.ipynb"


def without_figures(
    *arguments: Any, write: Callable[..., list[Path]] = RunFolder.write_reports, **options: Any
) -> list[Path]:
    """Writes reports with blank figures, which take less time than those of all the runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Drawing, "figure", property(lambda _: Figure(figsize=(1, 1))))
        return write(*arguments, **options)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """Runs a notebook once; all notebooks share trained models."""
    models = tmp_path_factory.mktemp("models")

    @cache
    def execution(name: str) -> Execution:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MGAUDIT_CACHE", str(models))
            patch.setattr(RunFolder, "write_reports", without_figures)
            return execute(path_of(name), tmp_path_factory.mktemp("run"))

    return execution


def syntax_trees() -> Iterator[tuple[str, ast.Module]]:
    """Yields the place and the syntax tree of each code cell."""
    for name in NAMES:
        for cell in cells_of(read_notebook(path_of(name)), "code"):
            yield f"{name}, {cell['id']}", ast.parse(source_of(cell))


def test_there_are_five_notebooks() -> None:
    assert tuple(path.stem for path in sorted(EXAMPLES.glob("*.ipynb"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_gives_outputs_of_the_stored_kinds(
    name: str, executed: Executed, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = executed(name).outputs
    assert capsys.readouterr().err == ""
    stored = [cell["outputs"] for cell in cells_of(read_notebook(path_of(name)), "code")]
    kinds = [[kind_of(output) for output in cell if kind_of(output) != FIGURE] for cell in outputs]
    assert kinds == [[kind_of(output) for output in cell] for cell in stored]
    shown = [output for cell in outputs for output in cell if kind_of(output) != FIGURE]
    with_path = [text_of(output) for output in shown if ABSOLUTE_PATH.search(text_of(output))]
    assert not with_path, with_path


def test_the_first_audit_compares_four_attacks_and_draws_the_curve(executed: Executed) -> None:
    execution = executed(FIRST)
    adaptive = execution.names["adaptive"]
    assert list(adaptive["attack"].unique()) == ["stacked", "rmia", "lira", "loss"]
    assert list(adaptive["arm"].unique()) == ["none", "gaussian-mask:kappa=0.5"]
    assert set(execution.names["tprs"]["metric"]) == {"tpr@0.1", "tpr@0.01", "tpr@0.001"}
    figures = [output for cell in execution.outputs for output in cell if kind_of(output) == FIGURE]
    assert [figure["data"][FIGURE][:4] for figure in figures] == [b"\x89PNG"]


def test_the_second_notebook_reuses_the_models_of_the_first(executed: Executed) -> None:
    executed(FIRST)
    execution = executed(SCHEMES)
    log = (execution.folder / execution.names["result"].path / "log.txt").read_text("utf-8")
    assert "no noise: training 8 models, 8 from the cache" in log
    assert {row[0] for row in execution.names["rows"]} == {
        "gaussian-mask:kappa=1",
        "dp-sgd:epsilon=8",
    }


def test_the_shadow_models_of_the_third_notebook_match_its_model(executed: Executed) -> None:
    match = executed(PYTORCH).names["match"]
    assert match.accuracy_limits.low <= match.accuracy <= match.accuracy_limits.high
    assert match.loss_distance <= match.loss_distance_limit


def test_the_scores_of_the_fourth_notebook_leak(executed: Executed) -> None:
    names = executed(SCORES).names
    frame = names["scored"].to_frame()
    (auc,) = frame[frame["metric"] == "auc"].itertuples()
    assert auc.low > 0.5
    arms = [arm.key for arm in names["result"].record.studies[0].arms]
    assert arms == ["plain", "shallow"]


def test_only_the_faulty_loop_of_the_fifth_notebook_raises_an_alarm(executed: Executed) -> None:
    names = executed(DP_LOOP).names
    assert not names["result"].alarm
    assert names["faulty"].alarm
    failed = names["checks"][names["checks"]["alarm"]]
    assert set(failed["part"]) == {"mechanism"}
    assert "canary-noise" in set(failed["name"])


def test_stored_outputs_are_of_the_present_code_and_in_order() -> None:
    for name in NAMES:
        notebook = read_notebook(path_of(name))
        refreshed = notebook["metadata"]["mgaudit"]["outputs_of_code_sha256"]
        assert refreshed == code_sha256(notebook), f"{name}: run python -m tests.notebooks"
        counts = [cell["execution_count"] for cell in cells_of(notebook, "code")]
        assert counts == list(range(1, len(counts) + 1)), name


def test_stored_outputs_are_small_and_have_no_error_figure_or_path() -> None:
    assert sum(path_of(name).stat().st_size for name in NAMES) <= MOST_BYTES
    for name in NAMES:
        assert not ABSOLUTE_PATH.search(path_of(name).read_text(encoding="utf-8")), name
        for cell in cells_of(read_notebook(path_of(name)), "code"):
            for output in cell["outputs"]:
                assert output["output_type"] in ("execute_result", "stream"), (name, cell["id"])
                assert output.get("name", "stdout") == "stdout", (name, cell["id"])
                assert kind_of(output) != FIGURE, (name, cell["id"])


def test_no_cell_hides_an_error() -> None:
    for place, tree in syntax_trees():
        for node in ast.walk(tree):
            assert not isinstance(node, ast.Try | ast.TryStar), place
            assert not (isinstance(node, ast.Name) and node.id == "suppress"), place
            assert not (isinstance(node, ast.Attribute) and node.attr == "simplefilter"), place
    for name in NAMES:
        for cell in cells_of(read_notebook(path_of(name)), "code"):
            assert cell["metadata"] == {}, (name, cell["id"])  # such as raises-exception


def test_cells_use_public_names_only() -> None:
    allowed = LIBRARIES | WRITTEN_BY_A_NOTEBOOK | sys.stdlib_module_names
    for place, tree in syntax_trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    assert alias.name.partition(".")[0] in allowed, (place, alias.name)
                    assert not alias.name.startswith("mgaudit."), (place, alias.name)
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] in allowed - {"mgaudit"}, place
            elif isinstance(node, ast.Attribute):
                assert not re.match(r"_(?!_init__)", node.attr), (place, node.attr)
                if isinstance(node.value, ast.Name) and node.value.id == "mgaudit":
                    assert node.attr in mgaudit.__all__, (place, node.attr)


def test_texts_lead_somewhere_and_state_the_limits() -> None:
    for name in NAMES:
        texts = [source_of(cell) for cell in cells_of(read_notebook(path_of(name)), "markdown")]
        assert texts[0].startswith("# "), name
        assert "runs in a minute" in texts[0], name
        assert "not show" in texts[-1], name
        assert "## Where to read on" in texts[-1], name
        for link in LINK.findall("\n".join(texts)):
            assert (EXAMPLES / link).is_file(), (name, link)


def test_a_refresh_writes_the_outputs_of_the_cells(tmp_path: Path) -> None:
    path = tmp_path / "short.ipynb"
    source = '{"cells": [%s, %s], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    cell = (
        '{"cell_type": "code", "id": "%s", "metadata": {}, "outputs": [], "source": ["%s"],'
        ' "execution_count": null}'
    )
    path.write_text(source % (cell % ("a", "x = 2\\nprint(x)"), cell % ("b", "x + 1")))
    refresh(path)
    first, second = cells_of(read_notebook(path), "code")
    assert [text_of(output) for output in first["outputs"]] == ["2\n"]
    assert [(kind_of(output), text_of(output)) for output in second["outputs"]] == [(TEXT, "3")]
    assert [first["execution_count"], second["execution_count"]] == [1, 2]


def test_an_error_in_a_cell_is_raised_and_names_the_cell(tmp_path: Path) -> None:
    path = tmp_path / "wrong.ipynb"
    path.write_text('{"cells": [{"cell_type": "code", "source": ["1 / 0"]}]}')
    with pytest.raises(ZeroDivisionError) as error:
        execute(path, tmp_path)
    assert str(error.traceback[-1].path) == "wrong.ipynb, code cell 1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("in /home/name/runs", True),
        ('"/tmp/x"', True),
        (r"C:\Users", True),
        ("<td>1</td>", False),
        ("runs/2026", False),
        ("https://example.org/a/b", False),
        ("../docs/method.md", False),
        ("accuracy / privacy", False),
    ],
)
def test_absolute_paths_are_recognised(text: str, found: bool) -> None:
    assert bool(ABSOLUTE_PATH.search(text)) == found
