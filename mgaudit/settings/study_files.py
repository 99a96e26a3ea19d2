"""The ready studies of the folder one is in."""

import tomllib
from pathlib import Path
from typing import Any

STUDIES_FOLDER = Path("studies")


def study_values(study: Path) -> dict[str, Any]:
    """Returns the values in a study file. Raises ValueError where there is none, or where it is not TOML."""
    from mgaudit.settings.study_settings import read_settings

    if study.is_file() or study.suffix:
        return read_settings(study)
    ready = sorted(str(path) for path in STUDIES_FOLDER.glob("*.toml"))
    if ready:
        raise ValueError(f"there is no study file {str(study)!r}; the ready ones are {', '.join(ready)}")
    raise ValueError(f"there is no study file {str(study)!r}; give the path of a TOML file, or --scheme for each arm")


def ready_studies() -> list[dict[str, str]]:
    """Returns the name, number of arms, title and path of each study in STUDIES_FOLDER, and what it asks.

    What it asks is the first line of the file, if that is a comment. In place of the title of a file that is no study
    stands what is wrong with it. No code of the user's own is run: a study that names some is listed without its arms.
    """
    return [_listed(path) for path in sorted(STUDIES_FOLDER.glob("*.toml"))]


def _listed(path: Path) -> dict[str, str]:
    from mgaudit.settings.grid import grid_settings
    from mgaudit.targets.own_module import not_imported

    own_modules: list[str] = []
    try:
        text = path.read_text(encoding="utf-8")
        with not_imported() as own_modules:
            grid = grid_settings(tomllib.loads(text))
    except (ValueError, OSError, RecursionError) as error:
        if own_modules:
            reason = f"names code of its own, {own_modules[0]}, which listing does not run"
            return {"name": path.stem, "options": "–", "summary": reason, "path": str(path)}
        return {"name": path.stem, "options": "–", "summary": f"cannot be read: {error}", "path": str(path)}
    cells = len(grid.cells())
    arms = f"{len(grid.schemes)} in each of {cells} studies" if cells > 1 else f"{len(grid.schemes)}"
    first = text.partition("\n")[0]
    asks = {"asks": first.lstrip("# ")} if first.startswith("#") else {}
    return {"name": path.stem, "options": arms, "summary": grid.title or "–", **asks, "path": str(path)}
