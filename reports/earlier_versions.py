"""Conversion of results of earlier schema versions: the only place that knows their names."""

import re
from typing import Any

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.metric_names import TPR

OLDEST_VERSION = 5  # of those that can be converted
CONTENT_OF_USERS = ("settings", "options")  # may contain any name

_RENAMED = {
    "knowledge": "adversary",
    "test_accuracy": "accuracy",
    "test_accuracy_difference": "accuracy_difference",
}
_ACCURACY_5 = re.compile(r"(?P<arm>arm\d+)/test_accuracy/(?P<kind>[^/]+)")
_TPR_5 = re.compile(r"tpr_at_(?P<level>[^/_]+)_fpr")


def converted(content: dict[str, Any], version: int) -> dict[str, Any]:
    """Returns the content of a `result.json` of schema version 5 to 7 in the names of `version`.

    Version 6 renamed `tpr_at_0.01_fpr` to `tpr@0.01`, `test_accuracy` to `accuracy` and `knowledge`
    to `adversary`. Versions 7 and 8 only added fields. All numbers are the same.

    >>> converted({"schema_version": 5, "metrics": {"tpr_at_0.01_fpr": 0.2}}, 8)
    {'schema_version': 8, 'metrics': {'tpr@0.01': 0.2}}
    """
    renamed: dict[str, Any] = _renamed(content)
    return renamed | {"schema_version": version}


def converted_arrays(arrays: Arrays) -> Arrays:
    """Returns the arrays of a study of schema version 5 to 7, with the names of version 8."""
    return {_new_array_name(name): values for name, values in arrays.items()}


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {_new_name(key): _renamed_entry(key, entry) for key, entry in value.items()}


def _renamed_entry(key: str, value: Any) -> Any:
    if key in CONTENT_OF_USERS:
        return value
    if key == "metric" and isinstance(value, str):
        return _new_name(value)
    if key == "name" and isinstance(value, str):  # of a metric, or of anything else
        return _new_tpr(value)
    return _renamed(value)


def _new_name(name: str) -> str:
    return _RENAMED.get(name) or _new_tpr(name)


def _new_tpr(name: str) -> str:
    tpr = _TPR_5.fullmatch(name)
    return name if tpr is None else TPR + tpr["level"]


def _new_array_name(name: str) -> str:
    accuracy = _ACCURACY_5.fullmatch(name)
    if accuracy is not None:
        return f"{accuracy['arm']}/accuracy/{accuracy['kind']}"
    return "/".join(map(_new_tpr, name.split("/")))
