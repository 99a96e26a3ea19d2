"""Names for shell completion, read without importing torch or code of the user."""

from collections.abc import Callable

from mgaudit.settings.arguments import RUNS, Argument

Complete = Callable[[str], list[tuple[str, str]]]


def of_argument(argument: Argument) -> Complete | None:
    """Returns the function that completes an option's value: pairs of name and description."""
    if argument.values:
        return lambda incomplete: _starting_with(
            incomplete, [(value, "") for value in argument.values]
        )
    if argument.names:
        return lambda incomplete: _starting_with(incomplete, _listed(argument.names))
    return None


def of_papers(incomplete: str) -> list[tuple[str, str]]:
    """Completes the name of a paper or of one of its figures."""
    return _starting_with(incomplete, _listed("papers"))


def of_studies(incomplete: str) -> list[tuple[str, str]]:
    """Completes the name of a study that ships with mgaudit or is in the folder `studies`."""
    from mgaudit.settings.study_files import ready_studies

    return _starting_with(
        incomplete, [(study["name"], study["summary"]) for study in ready_studies()]
    )


def of_formats(incomplete: str) -> list[tuple[str, str]]:
    """Completes the format of a report."""
    from mgaudit.reports.formats.render import FORMATS

    return _starting_with(incomplete, [(name, made.name) for name, made in FORMATS.items()])


def of_published_datasets(incomplete: str) -> list[tuple[str, str]]:
    """Completes the name of a dataset that can be fetched."""
    from mgaudit.cli.catalogue import built_in

    datasets = built_in()["datasets"]
    published = [(entry["name"], entry["summary"]) for entry in datasets if "published" in entry]
    return _starting_with(incomplete, published)


def of_runs(incomplete: str) -> list[tuple[str, str]]:
    """Completes a run of the directory `runs`, the latest first."""
    names = sorted((path.name for path in RUNS.glob("*") if path.is_dir()), reverse=True)
    return _starting_with(incomplete, [("latest", ""), *((name, "") for name in names)])


def _listed(kind: str) -> list[tuple[str, str]]:
    from mgaudit.cli.catalogue import catalogue

    names = [(entry["name"], entry["summary"]) for entry in catalogue()[kind]]
    return [(name.removesuffix("PATH"), summary) for name, summary in names if "(" not in name]


def _starting_with(text: str, names: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, summary) for name, summary in names if name.startswith(text)]
