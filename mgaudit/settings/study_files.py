"""Study files: those of mgaudit, and those in the folder `studies` of the current directory."""

from importlib import resources
from math import prod
from pathlib import Path
from typing import Any

from mgaudit.errors import UsageError, did_you_mean
from mgaudit.storage.settings_text import is_checksum_line
from mgaudit.targets.home import with_home

LONGEST_QUESTION = 1000  # characters
STUDIES_FOLDER = Path("studies")


def study_values(study: Path) -> dict[str, Any]:
    """Returns the values in a study file.

    Args:
        study: The path of the file, or the name of a study in STUDIES_FOLDER or of mgaudit.

    Raises:
        UsageError: If there is no such file, or it is not TOML.
    """
    from mgaudit.settings.toml_file import read_settings

    study = with_home(study, "STUDY")
    if study.is_file():
        return read_settings(study)
    known = _known_studies()
    name = study.name.removesuffix(".toml")
    if len(study.parts) == 1 and name in known:
        return read_settings(known[name])
    if study.suffix:
        return read_settings(study)
    rule = f"must be a study file, or one of {', '.join(sorted(known))}"
    way_out = did_you_mean(str(study), known)
    if not way_out:
        way_out = "give the path of a TOML file, or --scheme for each arm"
    raise UsageError("STUDY", rule, repr(str(study)), way_out)


def ready_studies() -> list[dict[str, str]]:
    """Returns the name, number of arms, title, path and question of each study, sorted by name.

    A study of STUDIES_FOLDER replaces the shipped one of its name. The files are read as plain
    TOML: settings are not checked, and no module of the user's own is imported. The question of a
    study is the first line of its file, if that is a comment. For a file that is not TOML, the
    error takes the place of the title.
    """
    return [_listed(path) for _, path in sorted(_known_studies().items())]


def _known_studies() -> dict[str, Path]:
    """Returns the path of each study by name; those of STUDIES_FOLDER replace shipped ones."""
    paths = (*_shipped(), *STUDIES_FOLDER.glob("*.toml"))
    return {path.stem: path for path in paths}


def _shipped() -> list[Path]:
    """Returns the paths of the study files of mgaudit."""
    folder = Path(str(resources.files("mgaudit.studies")))
    return list(folder.glob("*.toml"))


def _listed(path: Path) -> dict[str, str]:
    """Returns what `ready_studies` says about one study file."""
    from mgaudit.settings.toml_file import read_settings

    try:
        values = read_settings(path)
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline(LONGEST_QUESTION)
        arms = _number_of_arms(values)
    except (ValueError, TypeError, OSError) as error:
        reason = " ".join(str(error).split())
        return {
            "name": path.stem,
            "options": "–",
            "summary": f"cannot be read: {reason}",
            "path": str(path),
        }
    studies = _number_of_studies(values)
    is_question = first.startswith("#") and not is_checksum_line(first)
    question = {"asks": first.strip().lstrip("# ")} if is_question else {}
    return {
        "name": path.stem,
        "options": f"{arms} in each of {studies} studies" if studies > 1 else f"{arms}",
        "summary": str(values.get("title") or "–"),
        **question,
        "path": str(path),
    }


def _number_of_studies(values: dict[str, Any]) -> int:
    """Returns the number of combinations of datasets, target networks and seeds."""
    axes = [_list(values.get(axis, [None])) for axis in ("datasets", "targets", "seeds")]
    return prod(len(axis) for axis in axes)


def _number_of_arms(values: dict[str, Any]) -> int:
    """Returns the number of arms; a table has one for each combination of values in its lists."""
    if "arms" not in values:
        return len(_list(values.get("schemes", [])))
    arms = 0
    for table in _list(values["arms"]):
        if isinstance(table, dict):
            arms += prod(len(_list(value)) for value in table.values())
    return arms


def _list(value: Any) -> list[Any]:
    """Returns a list unchanged, and any other value as a list of one."""
    return value if isinstance(value, list) else [value]
