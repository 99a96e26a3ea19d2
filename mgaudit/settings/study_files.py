"""Study files: those that ship with mgaudit and those in the studies folder of the current one."""

import tomllib
from importlib import resources
from math import prod
from pathlib import Path
from typing import Any

from mgaudit.errors import UsageError, did_you_mean

STUDIES_FOLDER = Path("studies")


def study_values(study: Path) -> dict[str, Any]:
    """Returns the values in a study file.

    `study` is its path, or the name of a study in STUDIES_FOLDER or of one that ships with mgaudit.
    Raises UsageError where there is none, or where it is not TOML.
    """
    from mgaudit.settings.study_settings import read_settings

    if study.is_file():
        return read_settings(study)
    known = _known_studies()
    name = study.name.removesuffix(".toml")
    if len(study.parts) == 1 and name in known:
        return read_settings(known[name])
    if study.suffix:
        return read_settings(study)
    rule = f"must be a study file, or one of {', '.join(sorted(known))}"
    way_out = (
        did_you_mean(str(study), known) or "give the path of a TOML file, or --scheme for each arm"
    )
    raise UsageError("STUDY", rule, repr(str(study)), way_out)


def ready_studies() -> list[dict[str, str]]:
    """Returns the name, number of arms, title and path of each study, and what it asks.

    They are those of STUDIES_FOLDER, and then the shipped ones whose names are not among them. The files are read as
    plain TOML: neither are the settings checked, nor is a module imported that they name. What a study asks is the
    first line of its file, if that is a comment. The title of a file that is no TOML is what is wrong with it.
    """
    return [_listed(path) for _, path in sorted(_known_studies().items())]


def _known_studies() -> dict[str, Path]:
    """Returns the path of each shipped study and of each in STUDIES_FOLDER, which come first."""
    paths = (*_shipped(), *STUDIES_FOLDER.glob("*.toml"))
    return {path.stem: path for path in paths}


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
        return {
            "name": path.stem,
            "options": "–",
            "summary": f"cannot be read: {reason}",
            "path": str(path),
        }
    studies = prod(
        len(_list(values.get(several, [None]))) for several in ("datasets", "targets", "seeds")
    )
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
