"""Study files: those that ship with mgaudit and those in the studies folder of the current one."""

import tomllib
from importlib import resources
from math import prod
from pathlib import Path
from typing import Any

from mgaudit.errors import UsageError

STUDIES_FOLDER = Path("studies")


def study_values(study: Path) -> dict[str, Any]:
    """Returns the values in a study file. Raises UsageError where there is none, or where it is not TOML."""
    from mgaudit.settings.study_settings import read_settings

    if study.is_file() or study.suffix:
        return read_settings(study)
    ready = sorted(str(path) for path in STUDIES_FOLDER.glob("*.toml"))
    way_out = (
        f"the ready ones are {', '.join(ready)}" if ready else "give the path of a TOML file, or --scheme for each arm"
    )
    raise UsageError("STUDY", "must be a study file", repr(str(study)), way_out)


def ready_studies() -> list[dict[str, str]]:
    """Returns the name, number of arms, title and path of each study, and what it asks.

    They are those of STUDIES_FOLDER, and then the shipped ones whose names are not among them. The files are read as
    plain TOML: neither are the settings checked, nor is a module imported that they name. What a study asks is the
    first line of its file, if that is a comment. The title of a file that is no TOML is what is wrong with it.
    """
    paths = {path.stem: path for path in _shipped()} | {path.stem: path for path in STUDIES_FOLDER.glob("*.toml")}
    return [_listed(path) for _, path in sorted(paths.items())]


def _shipped() -> list[Path]:
    folder = Path(str(resources.files("mgaudit.studies")))
    return list(folder.glob("*.toml"))


def _listed(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = tomllib.loads(text)
        arms = _number_of_arms(values)
    except (ValueError, TypeError, OSError, RecursionError) as error:
        reason = " ".join(str(error).split())
        return {"name": path.stem, "options": "–", "summary": f"cannot be read: {reason}", "path": str(path)}
    studies = prod(len(_list(values.get(several, [None]))) for several in ("datasets", "targets", "seeds"))
    in_each = f"{arms} in each of {studies} studies" if studies > 1 else f"{arms}"
    first = text.partition("\n")[0]
    asks = {"asks": first.lstrip("# ")} if first.startswith("#") else {}
    return {
        "name": path.stem,
        "options": in_each,
        "summary": str(values.get("title") or "–"),
        **asks,
        "path": str(path),
    }


def _number_of_arms(values: dict[str, Any]) -> int:
    """Returns the number of arms: a table is one for each combination of the values in its lists."""
    if "arms" not in values:
        return len(_list(values.get("schemes", [])))
    tables = [table for table in _list(values["arms"]) if isinstance(table, dict)]
    return sum(prod(len(_list(value)) for value in table.values()) for table in tables)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
