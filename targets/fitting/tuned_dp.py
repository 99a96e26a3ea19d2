"""Tuned settings of DP-SGD for the built-in networks, and where an arm's settings come from.

The records in `tuned_dp.json` were found by `benchmarks/dp_search.py` on data outside the audits
that the documentation reports; each states how, and with which accuracy.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from mgaudit.targets.fitting.tuned_settings import TunedSettings
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.training import Training

# Options of DP-SGD that are also settings of training, and the others with their untuned values.
OF_TRAINING = ("epochs", "batch_size", "learning_rate", "momentum")
UNTUNED = {"max_grad_norm": 1.0, "views": 1, "averaging": 0.0}

FACTOR = 2.0  # by which a model's number of training examples may differ from a record's


@dataclass(frozen=True)
class TunedRecord:
    """The settings that a search found for a kind of network and data at one epsilon (nats).

    The search's models had `members` training examples. `found` states on which data, in how many
    trials, and with which accuracy of the default settings and of these.
    """

    network: str
    input_shape: tuple[int, ...]
    classes: int
    members: int
    epsilon: float
    settings: TunedSettings
    found: str


@cache
def tuned_records() -> tuple[TunedRecord, ...]:
    """Returns the records that come with mgaudit."""
    text = files("mgaudit.targets.fitting").joinpath("tuned_dp.json").read_text("utf-8")
    return tuple(_record(values) for values in json.loads(text))


def _record(values: dict[str, Any]) -> TunedRecord:
    """Returns the record with these values of JSON."""
    shape, settings = tuple(values["input_shape"]), TunedSettings(**values["settings"])
    return TunedRecord(**{**values, "input_shape": shape, "settings": settings})


def tuned_record(
    network: str,
    input_shape: Sequence[int],
    classes: int,
    members: float,
    epsilon: float,
) -> TunedRecord | None:
    """Returns the record for a network and data of this kind, or None if there is none.

    `network` is the network's name without options. The number of training examples may differ from
    `members` by a factor of at most 2. Among several records, the one with the nearest epsilon on a
    logarithmic scale is returned.
    """
    fitting = [
        record
        for record in tuned_records()
        if (record.network, record.input_shape, record.classes)
        == (network, tuple(input_shape), classes)
        and 1 / FACTOR <= members / record.members <= FACTOR
    ]
    if not fitting:
        return None
    return min(fitting, key=lambda record: abs(math.log(epsilon / record.epsilon)))


def with_dp_settings(
    dp_sgd: DPSGD, training: Training, tuned: TunedSettings | None, members: float
) -> tuple[DPSGD, Training]:
    """Returns the scheme and the training in which every setting of DP-SGD has a value.

    The options of `dp_sgd` come first, then the `tuned` settings, then the study's `training`.
    `members` is the average number of training examples of a model.
    """
    if tuned is not None:
        training = tuned.training(training, members)
    own = dp_options(dp_sgd)
    given = {name: own[name] for name in OF_TRAINING if own[name] is not None}
    training = replace(training, clients=1, local_steps=1, **given)
    training = replace(training, learning_rate=training.rate(private=True))
    values = {name: getattr(training, name) for name in OF_TRAINING}
    for name, untuned in UNTUNED.items():
        chosen = untuned if tuned is None else getattr(tuned, name)
        values[name] = chosen if own[name] is None else own[name]
    return replace(dp_sgd, **values), training


def dp_options(dp_sgd: DPSGD) -> dict[str, Any]:
    """Returns the options of `dp_sgd` that are settings of training; None for those not given."""
    return {name: getattr(dp_sgd, name) for name in (*OF_TRAINING, *UNTUNED)}
