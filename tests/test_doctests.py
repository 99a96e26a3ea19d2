"""The examples in docstrings give what they say."""

import doctest
import importlib
import pkgutil

import mgaudit

FEWEST_EXAMPLES = 20


def test_every_example() -> None:
    attempted = 0
    for module in pkgutil.walk_packages(mgaudit.__path__, "mgaudit."):
        if module.name != "mgaudit.__main__":
            results = doctest.testmod(importlib.import_module(module.name))
            assert results.failed == 0, module.name
            attempted += results.attempted
    assert attempted > FEWEST_EXAMPLES
