"""Runs the notebooks of `examples/` without Jupyter, and refreshes the outputs that they store.

`python -m tests.notebooks` runs all notebooks, or those that are named, and writes their outputs.
"""

import ast
import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FIGURE, HTML, TEXT = "image/png", "text/html", "text/plain"

Cell = dict[str, Any]
Output = dict[str, Any]


@dataclass(frozen=True)
class Execution:
    """What the code cells of a notebook give: the outputs of each, and all names at the end.

    `folder` is the one that the cells ran in.
    """

    folder: Path
    outputs: list[list[Output]]
    names: dict[str, Any]


def read_notebook(path: Path) -> dict[str, Any]:
    """Returns the content of a notebook file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def cells_of(notebook: dict[str, Any], kind: str) -> list[Cell]:
    """Returns the cells of a kind, "code" or "markdown"."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source_of(cell: Cell) -> str:
    """Returns the text of a cell."""
    return "".join(cell["source"])


def code_sha256(notebook: dict[str, Any]) -> str:
    """Returns the SHA-256 of all code cells, by which stored outputs name the code they are of."""
    code = json.dumps([source_of(cell) for cell in cells_of(notebook, "code")])
    return hashlib.sha256(code.encode()).hexdigest()


def execute(path: Path, folder: Path) -> Execution:
    """Runs all code cells in order, in a folder.

    An error in a cell is raised as it is.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, outputs = cells_of(read_notebook(path), "code"), []
    with _working_in(folder):
        for number, cell in enumerate(cells, start=1):
            place = f"{path.name}, code cell {number}"
            outputs.append(_execute_cell(source_of(cell), place, names))
    return Execution(folder, outputs, names)


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    """Makes a folder the current one and imports from it, as Jupyter does."""
    before = Path.cwd()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        os.chdir(before)
        sys.path.remove(str(folder))
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(folder)):
                del sys.modules[name]


def _execute_cell(source: str, place: str, names: dict[str, Any]) -> list[Output]:
    tree = ast.parse(source, place)
    shown = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with redirect_stdout(printed):
        exec(compile(tree, place, "exec"), names)
        if isinstance(shown, ast.Expr):
            value = eval(compile(ast.Expression(shown.value), place, "eval"), names)
    outputs: list[Output] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": printed.getvalue()})
    if value is not None:
        outputs.append(_output_of(value))
    return outputs


def _output_of(value: object) -> Output:
    """Returns the output of a value as Jupyter shows it, in one format: figure, HTML or text."""
    data: dict[str, Any] = {TEXT: repr(value)}
    for kind, method in ((FIGURE, "_repr_png_"), (HTML, "_repr_html_")):
        if hasattr(value, method):
            data = {kind: getattr(value, method)()}
            break
    return {"data": data, "metadata": {}, "output_type": "execute_result"}


def kind_of(output: Output) -> str:
    """Returns the format of an output, or "stream" for printed text."""
    return next(iter(output["data"])) if "data" in output else "stream"


def text_of(output: Output) -> str:
    """Returns the text or HTML of an output that is no figure."""
    content = output["data"][kind_of(output)] if "data" in output else output["text"]
    return "".join(content)


def refresh(path: Path) -> None:
    """Runs a notebook and writes it with its outputs, without figures because of their size."""
    notebook = read_notebook(path)
    with tempfile.TemporaryDirectory() as folder:
        execution = execute(path, Path(folder))
    cells = cells_of(notebook, "code")
    for number, (cell, outputs) in enumerate(zip(cells, execution.outputs, strict=True), start=1):
        stored = [output for output in outputs if kind_of(output) != FIGURE]
        cell["execution_count"] = number
        cell["outputs"] = [_as_stored(output, number) for output in stored]
    notebook["metadata"]["mgaudit"] = {"outputs_of_code_sha256": code_sha256(notebook)}
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _as_stored(output: Output, number: int) -> Output:
    """Returns an output as a notebook file has it, with its text as a list of lines."""
    lines = text_of(output).splitlines(keepends=True)
    if "data" not in output:
        return output | {"text": lines}
    return output | {"data": {kind_of(output): lines}, "execution_count": number}


if __name__ == "__main__":
    for notebook_path in map(Path, sys.argv[1:] or sorted(EXAMPLES.glob("*.ipynb"))):
        refresh(notebook_path)
        print(notebook_path.name)
