"""Exact copies among the examples of outputs that users give."""

from dataclasses import replace

import numpy as np

from mgaudit.outputs.model_outputs import ModelOutputs, ModelScores
from mgaudit.targets.datasets.contents import contents
from mgaudit.targets.datasets.duplicates import APART, TOGETHER, groups_of, joined_groups


def with_groups_of_copies(
    outputs: ModelOutputs | ModelScores,
) -> tuple[ModelOutputs | ModelScores, tuple[str, ...]]:
    """Returns the outputs with exact copies as groups, and sentences about copies.

    Copies are examples with equal inputs and equal labels, so nothing is known without inputs. If
    they share their coins in all models, they become groups, joined with those that were given.
    """
    if outputs.inputs is None:
        return outputs, ()
    labels = outputs.true_labels
    if labels is None:
        labels = np.zeros(len(outputs.inputs), dtype=np.int64)
    copies = groups_of(zip(contents(outputs.inputs), labels.tolist(), strict=True))
    summary = copies.summary()
    if not summary:
        return outputs, ()
    membership = outputs.membership
    shares_coins = bool((membership == membership[:, copies.first]).all())
    if not shares_coins:
        return outputs, (f"{summary}. {APART}",)
    groups = copies.numbers
    if outputs.groups is not None:
        groups = joined_groups(groups_of(outputs.groups.tolist()).numbers, groups)
    return replace(outputs, groups=groups), (f"{summary}. {TOGETHER}",)
