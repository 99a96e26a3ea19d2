"""Keep what attacks measured, so that a repeated run reads it instead of computing it again.

A mounting (the attacks of one adversary on the targets of an arm) is identified by the content of
the outputs that it attacks, the settings of the attacks, the resamples, the code and the versions.
Attacks of the user's own are not kept, because nothing says what they depend on.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.flag_agreement import ScoresOfHalves
from mgaudit.attacks.intervals import Resampled
from mgaudit.attacks.jackknife import Jackknife
from mgaudit.compute.parallel import processors
from mgaudit.storage.checksums import arrays_sha256
from mgaudit.storage.measurements import (
    StoredArrays,
    attack_code_sha256,
    load_measurements,
    save_measurements,
)
from mgaudit.study.mounting import Measured, MetricsByName, Mounted, Mounting

# What the attacks use of the data that all arms of a study share.
USED_DATA = ("labels", "membership", "example_resamples", "splits", "halves", "seed")
PACKAGES = ("numpy", "scipy", "scikit-learn")


class KeptMountings:
    """The mountings of an arm, of which some were measured by an earlier run.

    `missing` are the others. `on_damage` is called with a message for a damaged file.
    """

    def __init__(self, mountings: Sequence[Mounting], on_damage: Callable[[str], None]) -> None:
        self._keys = [key_of(mounting) for mounting in mountings]
        self._kept = [None if key is None else _kept(key, on_damage) for key in self._keys]
        pairs = zip(mountings, self._kept, strict=True)
        self.missing = [mounting for mounting, mounted in pairs if mounted is None]

    def with_measured(self, measured: Sequence[Mounted]) -> list[Mounted]:
        """Returns what was measured for every mounting, and keeps what is new.

        `measured` is what was measured for the missing ones, in their order.
        """
        new = iter(measured)
        complete = []
        for key, kept in zip(self._keys, self._kept, strict=True):
            mounted = next(new) if kept is None else kept
            if kept is None and key is not None:
                _keep(key, mounted)
            complete.append(mounted)
        return complete


def key_of(mounting: Mounting) -> str | None:
    """Returns what determines the measurements, as JSON; None for attacks of the user's own."""
    if any(choice.own_sha256 for choice in mounting.attacks):
        return None
    arrays: StoredArrays = {}
    values = {
        "attacks": [[choice.text, repr(choice.built)] for choice in mounting.attacks],
        "observations": _described(mounting.observations, "observations", arrays),
        "shadows": _described(mounting.shadows, "shadows", arrays),
        "groups": _described(mounting.groups, "groups", arrays),
        "classes": _described(mounting.classes, "classes", arrays),
        "data": {
            name: _described(getattr(mounting.data, name), f"data/{name}", arrays)
            for name in USED_DATA
        },
        "sides": [[str(side) for side in sides] for sides in mounting.sides],
        "rows": mounting.rows,
        "models": mounting.models,
        "in detail": mounting.in_detail,
        "code": attack_code_sha256(),
        "versions": {name: version(name) for name in PACKAGES},
        "processor": processors("cpu"),
    }
    return json.dumps({**values, "arrays": arrays_sha256(arrays)}, sort_keys=True)


def _described(value: Any, name: str, arrays: StoredArrays) -> Any:
    """Returns a value as JSON, and adds the arrays in it to `arrays`, by their place."""
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return name
    if is_dataclass(value) and not isinstance(value, type):
        return {
            part.name: _described(getattr(value, part.name), f"{name}/{part.name}", arrays)
            for part in fields(value)
            if part.init
        }
    if isinstance(value, Mapping):
        return {str(key): _described(item, f"{name}/{key}", arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_described(item, f"{name}/{place}", arrays) for place, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name} cannot be part of a key: {type(value).__name__}")


def _kept(key: str, on_damage: Callable[[str], None]) -> Mounted | None:
    """Returns what was measured under a key, or None if it is not stored."""
    arrays = load_measurements(key, on_damage)
    if arrays is None:
        return None
    try:
        return _unpacked(arrays)
    except (LookupError, TypeError, ValueError):  # a file by another program, with a right checksum
        return None


def _keep(key: str, mounted: Mounted) -> None:
    """Stores what was measured. A cache that is full or cannot be written is no error."""
    try:
        save_measurements(key, dict(_packed(mounted)))
    except OSError:
        return


def _packed(mounted: Mounted) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yields the arrays of what was measured, each with its place, as in attacks/0/scores.

    The last one, `places`, has the places in their order, as JSON.
    """
    places = []
    for place, array in _placed(mounted):
        places.append(place)
        yield place, array
    yield "places", np.frombuffer(json.dumps(places).encode(), dtype=np.uint8)


def _placed(mounted: Mounted) -> Iterator[tuple[str, NDArray[Any]]]:
    for number, attack in enumerate(mounted.attacks):
        yield f"attacks/{number}/scores", attack.scores
        if attack.independent is not None:
            is_same = np.array_equal(attack.independent, attack.scores)
            yield f"attacks/{number}/independent", np.zeros(0) if is_same else attack.independent
        for place, array in _of_metrics(attack.metrics):
            yield f"attacks/{number}/metrics/{place}", array
    for shadows, metrics in mounted.power.items():
        for place, array in _of_metrics(metrics):
            yield f"power/{shadows}/{place}", array
    for label, jackknife in mounted.auc_by_class.items():
        for place, array in _of_jackknife(jackknife):
            yield f"classes/{label}/{place}", array
    if mounted.halves is not None:
        yield "halves/targets", np.array(mounted.halves.targets)
        yield "halves/shadows", np.array(mounted.halves.shadows)
        yield "halves/first", mounted.halves.first
        yield "halves/second", mounted.halves.second


def _of_metrics(metrics: MetricsByName) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, metric in metrics.items():
        yield f"{name}/per_target", metric.per_target
        yield f"{name}/in_resamples", metric.in_resamples
        if metric.jackknife is not None:
            for place, array in _of_jackknife(metric.jackknife):
                yield f"{name}/jackknife/{place}", array


def _of_jackknife(jackknife: Jackknife) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "values", jackknife.values
    yield "group_of_target", jackknife.group_of_target


def _unpacked(arrays: StoredArrays) -> Mounted:
    """Returns what `_packed` packed."""
    tree: dict[str, Any] = {"attacks": {}, "power": {}, "classes": {}}
    for place in json.loads(arrays["places"].tobytes()):
        *branches, leaf = place.split("/")
        node = tree
        for branch in branches:
            node = node.setdefault(branch, {})
        node[leaf] = arrays[place]
    return Mounted(
        attacks=[_attack_in(node) for node in tree["attacks"].values()],
        power={int(shadows): _metrics_in(node) for shadows, node in tree["power"].items()},
        auc_by_class={int(label): Jackknife(**node) for label, node in tree["classes"].items()},
        halves=_halves_in(tree["halves"]) if "halves" in tree else None,
    )


def _halves_in(node: dict[str, Any]) -> ScoresOfHalves:
    targets, shadows = node["targets"].tolist(), int(node["shadows"])
    return ScoresOfHalves(targets, shadows, node["first"], node["second"])


def _attack_in(node: dict[str, Any]) -> Measured:
    independent = node.get("independent")
    if independent is not None and not independent.size:
        independent = node["scores"]
    return Measured(node["scores"], _metrics_in(node.get("metrics", {})), independent)


def _metrics_in(node: dict[str, Any]) -> MetricsByName:
    return {
        name: Resampled(
            metric["per_target"],
            metric["in_resamples"],
            Jackknife(**metric["jackknife"]) if "jackknife" in metric else None,
        )
        for name, metric in node.items()
    }
