"""A study as an object: the contents of a study file for Python."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mgaudit.argument_names import checked_class
from mgaudit.settings.study_files import study_values


@checked_class
@dataclass(frozen=True)
class Study:
    """Noise schemes to compare on networks, datasets and seeds; None means the default.

    The fields have the names of a study file. Schemes, attacks, networks, datasets and queries are
    texts or objects. `training` holds settings of `mgaudit.targets.training.Training` by name.
    """

    schemes: Sequence[Any]
    targets: Sequence[Any] | None = None
    datasets: Sequence[Any] | None = None
    seeds: Sequence[int] | None = None
    attacks: Sequence[Any] | None = None
    queries: Any = None
    models: int | None = None
    examples: int | None = None
    canaries: str | None = None
    stack: int | str | None = None
    smallest_auc_difference: float | None = None
    smallest_tpr_change: float | None = None
    device: str | None = None
    title: str | None = None
    note: str | None = None
    training: dict[str, Any] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """Returns the fields that are not None by name, as a study file has them."""
        values = {field_.name: getattr(self, field_.name) for field_ in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def values_of_study(study: "Study | str | Path | dict[str, Any]") -> dict[str, Any]:
    """Returns the contents of a study: an object, a mapping, or what `study_values` reads."""
    if isinstance(study, Study):
        return study.values()
    if isinstance(study, dict):
        return dict(study)
    return study_values(Path(study))
