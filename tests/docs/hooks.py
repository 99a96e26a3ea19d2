"""The hooks of the site as modules; they are no part of a package."""

import importlib.util
from types import ModuleType

from tests.docs.pages import DOCS


def hook(name: str) -> ModuleType:
    """Returns the module of a hook in docs/_hooks/."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
