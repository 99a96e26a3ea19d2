"""How well shadow models resemble a checkpoint, on examples that neither was trained on.

An attack that uses shadow models assumes that the target is a model like them. If the target is
another kind of model, the attack is weaker or its scores are off, and it can miss a leak.
"""

import math
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from mgaudit.attacks.signals import loss
from mgaudit.reports.input_checks import Limits, ShadowMatch

FEWEST_EXAMPLES = 20  # of a comparison of two models
MOST_SHADOWS = 24  # whose losses are compared in pairs
LEVEL = 0.99  # of the interval for another model that is trained like the shadow models
Floats = NDArray[np.float64]


def shadow_match(
    logits: NDArray[np.floating], labels: NDArray[np.int64], membership: NDArray[np.bool_]
) -> ShadowMatch | None:
    """Returns how the target compares with its shadow models; None with too few examples.

    Args:
        logits: Logits (models, examples, classes); the target is model 0.
        labels: Class numbers (examples,).
        membership: Whether a model was trained on an example (models, examples), bool.
    """
    unseen = ~membership[0]
    outside = ~membership[1:, unseen]
    logits, labels = logits[:, unseen], labels[unseen]
    if len(outside) < 2 or _fewest_unseen_by_pairs(outside[:MOST_SHADOWS]) < FEWEST_EXAMPLES:
        return None
    correct = logits.argmax(axis=-1) == labels
    counts = outside.sum(axis=1)
    accuracies = (correct[1:] & outside).sum(axis=1) / counts
    losses = np.stack([loss(row[:, np.newaxis], labels)[:, 0] for row in logits])
    distance, shadow_distances = _loss_distances(losses[: MOST_SHADOWS + 1], outside[:MOST_SHADOWS])
    chance = float(np.bincount(labels).max() / len(labels))
    return ShadowMatch(
        non_members=int(unseen.sum()),
        accuracy=float(correct[0].mean()),
        shadow_accuracies=accuracies.tolist(),
        accuracy_limits=_accuracy_limits(accuracies, counts),
        chance=max(chance, 1 / logits.shape[-1]),
        loss_distance=distance,
        shadow_loss_distances=shadow_distances.tolist(),
        loss_distance_limit=_distance_limit(shadow_distances),
    )


def ks_distance(first: Floats, second: Floats) -> float:
    """Returns the two-sample Kolmogorov-Smirnov distance of two samples, each (n,).

    This is the largest difference between their distribution functions.

    >>> ks_distance(np.array([0.0, 1.0]), np.array([0.5, 2.0]))
    0.5
    """
    values = np.concatenate([first, second])
    of_first = np.searchsorted(np.sort(first), values, side="right") / len(first)
    of_second = np.searchsorted(np.sort(second), values, side="right") / len(second)
    return float(np.abs(of_first - of_second).max())


def _fewest_unseen_by_pairs(outside: NDArray[np.bool_]) -> int:
    return min(int((first & second).sum()) for first, second in combinations(outside, 2))


def _accuracy_limits(accuracies: Floats, counts: Floats) -> Limits:
    """Returns the limits of the accuracy of another model like these, at `LEVEL`.

    They are those of a prediction interval on the logit scale, or the smallest and the largest
    accuracy, whichever is wider. The variance of the interval is that of the accuracies (Student's
    t), or that of sampling the examples, whichever gives the wider interval.

    Args:
        accuracies: Accuracies (models,), in [0, 1].
        counts: Number of examples that each is measured on (models,).
    """
    smoothed = (accuracies * counts + 0.5) / (counts + 1)  # so that 0 and 1 have a logit
    logits = special.logit(smoothed)
    mean_share = float(smoothed.mean())
    sampling = 1 / math.sqrt(float(counts.mean()) * mean_share * (1 - mean_share))
    width = max(_width(logits), _normal_quantile() * sampling * math.sqrt(1 + 1 / len(logits)))
    centre = float(logits.mean())
    low = float(special.expit(centre - width))
    high = float(special.expit(centre + width))
    return Limits(low=min(low, float(accuracies.min())), high=max(high, float(accuracies.max())))


def _distance_limit(distances: Floats) -> float:
    """Returns the upper limit of the loss distance of another model like these, at `LEVEL`.

    It is that of a prediction interval on the log scale, because distances are skewed, or the
    largest of the distances.
    """
    logs = np.log(np.maximum(distances, np.finfo(np.float64).tiny))
    exponent = min(float(logs.mean()) + _width(logs), 0.0)  # a distance is at most 1
    return max(math.exp(exponent), float(distances.max()))


def _width(values: Floats) -> float:
    """Returns half the width of the prediction interval of a normal variable (Student's t)."""
    count = len(values)
    quantile = float(special.stdtrit(count - 1, (1 + LEVEL) / 2))
    return quantile * float(values.std(ddof=1)) * math.sqrt(1 + 1 / count)


def _normal_quantile() -> float:
    return float(special.ndtri((1 + LEVEL) / 2))


def _loss_distances(losses: Floats, outside: NDArray[np.bool_]) -> tuple[float, Floats]:
    """Returns the mean distance of the target from the shadows, and of each shadow from the others.

    Each distance is between the losses of two models on examples that two shadow models were not
    trained on, so that all distances are of samples of similar sizes.

    Args:
        losses: Losses (1 + shadows, examples) of the target and of the shadow models.
        outside: Whether a shadow model was not trained on an example (shadows, examples).
    """
    shadows = len(outside)
    of_target: list[float] = []
    between = np.zeros((shadows, shadows))
    for first, second in combinations(range(shadows), 2):
        shared = outside[first] & outside[second]
        target, first_losses, second_losses = losses[[0, first + 1, second + 1]][:, shared]
        of_target += [ks_distance(target, first_losses), ks_distance(target, second_losses)]
        between[first, second] = between[second, first] = ks_distance(first_losses, second_losses)
    means = between.sum(axis=1) / (shadows - 1)
    return float(np.mean(of_target)), means
