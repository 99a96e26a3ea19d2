"""How large a piece of code may be."""

import ast

from tests.test_layering import SOURCES, nodes

MOST_LINES = 60


def test_no_function_is_longer_than_60_lines() -> None:
    too_long = [
        f"{module}.{node.name}: {lines} lines"
        for module in SOURCES
        for node in nodes(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > MOST_LINES
    ]
    assert not too_long, too_long
