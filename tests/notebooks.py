"""Runs the notebooks of `examples/` without Jupyter, and refreshes the outputs that they store.

`python -m tests.notebooks` runs all notebooks, or those that are named, and writes their outputs.
"""

import ast
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

Cell = dict[str, Any]
Output = dict[str, Any]


def read_cells(notebook: Path, kind: str) -> list[Cell]:
    """Returns the cells of a kind, "code" or "markdown"."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


def source_of(cell: Cell) -> str:
    """Returns the text of a cell."""
    return "".join(cell["source"])


def run_cells(notebook: Path, folder: Path) -> list[list[Output]]:
    """Runs all code cells in order, in a folder, and returns the outputs of each cell.

    An error in a cell is raised as it is.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, outputs = read_cells(notebook, "code"), []
    with _working_in(folder):
        for number, cell in enumerate(cells, start=1):
            place = f"{notebook.name}, code cell {number}"
            outputs.append(_run_cell(source_of(cell), place, names))
    return outputs


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    """Makes a folder the current one and imports from it, as Jupyter does."""
    before = Path.cwd()
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        os.chdir(before)


def _run_cell(source: str, place: str, names: dict[str, Any]) -> list[Output]:
    tree = ast.parse(source, place)
    shown = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(tree, place, "exec"), names)
        value = None
        if isinstance(shown, ast.Expr):
            value = eval(compile(ast.Expression(shown.value), place, "eval"), names)
    outputs = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": printed.getvalue()})
    if value is not None:
        outputs.append(_output_of(value))
    return outputs


def _output_of(value: object) -> Output:
    """Returns the output of a value as Jupyter shows it, in one format: figure, HTML or text."""
    for kind, method in (("image/png", "_repr_png_"), ("text/html", "_repr_html_")):
        if hasattr(value, method):
            data = {kind: getattr(value, method)()}
            break
    else:
        data = {"text/plain": repr(value)}
    return {"data": data, "metadata": {}, "output_type": "execute_result"}


def is_stored(output: Output) -> bool:
    """Returns whether an output is stored in the notebook; figures are not, because of their size."""
    return "image/png" not in output.get("data", {})


def refresh(notebook: Path) -> None:
    """Runs a notebook and writes it with its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        results = run_cells(notebook, Path(folder))
    content = json.loads(notebook.read_text(encoding="utf-8"))
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    for number, (cell, outputs) in enumerate(zip(code, results, strict=True), start=1):
        cell["execution_count"] = number
        cell["outputs"] = [_in_lines(output, number) for output in outputs if is_stored(output)]
    text = json.dumps(content, indent=1, ensure_ascii=False)
    notebook.write_text(text + "\n", encoding="utf-8")


def _in_lines(output: Output, number: int) -> Output:
    """Returns an output as a notebook file has it, with its text as a list of lines."""
    if output["output_type"] == "stream":
        return output | {"text": output["text"].splitlines(keepends=True)}
    data = {kind: text.splitlines(keepends=True) for kind, text in output["data"].items()}
    return output | {"data": data, "execution_count": number}


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:] or sorted(EXAMPLES.glob("*.ipynb"))):
        refresh(path)
        print(path.name)
