"""The types of the arguments of `import mgaudit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from distributed import Client

    from mgaudit.attacks import Attack
    from mgaudit.settings.study_object import Study
    from mgaudit.targets.datasets import Dataset
    from mgaudit.targets.querying.queries import Queries
    from mgaudit.targets.schemes import Scheme

SchemeArgument: TypeAlias = "str | Scheme"
AttackArgument: TypeAlias = "str | Attack"
NetworkArgument: TypeAlias = "str | type | Callable[..., Any]"
DatasetArgument: TypeAlias = "str | Dataset | tuple[Any, Any, Any, Any]"
QueriesArgument: TypeAlias = "str | Queries"
SettingsArgument: TypeAlias = "str | Path | Mapping[str, Any]"
FitArgument: TypeAlias = "str | Callable[..., Any]"
StudyArgument: TypeAlias = "str | Path | dict[str, Any] | Study"
RunArgument: TypeAlias = "str | Path"
ClusterArgument: TypeAlias = "str | Client"
