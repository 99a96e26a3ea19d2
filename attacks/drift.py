"""Drift of a model's classes: how its logits differ from those of other models on new data.

Models that are trained on different examples favour different classes. This drift has nothing to do
with membership, and it can be measured on the population, data that no model trained on.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Drift = Literal["none", "class", "logits"]
DRIFTS = get_args(Drift)
# Weights of the penalty of the ridge regressions, in numbers of population points.
CLASS_PENALTY, LOGITS_PENALTY = 60.0, 100.0
LOGIT_UNIT = 5.0  # logits are divided by it, so that one penalty fits labels and logits
MOST_PRODUCTS = 20  # classes up to which products of labels and all mean logits are features

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def without_drift(
    kind: Drift,
    logits: NDArray[np.floating],
    labels: Labels,
    population_logits: NDArray[np.floating],
    population_labels: Labels,
) -> tuple[Floats, Floats]:
    """Returns the logits of the examples and of the population without each model's drift.

    Logits are centred over classes. The drift of a model is its logits minus the mean over models.
    It is fitted on the population by a ridge regression on features of a point, and the fit is
    subtracted everywhere. For "class", the features are the one-hot label; for "logits", also the
    mean logits over models, and the products of the two.

    Args:
        kind: "class" or "logits"; "none" only centres.
        logits: Logits of the examples (models, examples, queries, classes).
        labels: Class numbers (examples,).
        population_logits: Logits (models, population, queries, classes).
        population_labels: Class numbers (population,).
    """
    centred, population = _centred(logits), _centred(population_logits)
    if kind == "none":
        return centred, population
    mean, population_mean = centred.mean(axis=0), population.mean(axis=0)
    features = _features(kind, mean, labels)
    population_features = _features(kind, population_mean, population_labels)
    models, classes = logits.shape[0], logits.shape[-1]
    # One column for each model and class.
    drift = np.moveaxis(population - population_mean, 0, -2)
    drift = drift.reshape(len(population_features), models * classes)
    penalty = CLASS_PENALTY if kind == "class" else LOGITS_PENALTY
    gram = population_features.T @ population_features
    gram[np.diag_indices_from(gram)] += penalty
    coefficients = np.linalg.solve(gram, population_features.T @ drift)
    fitted = _by_model(features @ coefficients, centred.shape)
    population_fitted = _by_model(population_features @ coefficients, population.shape)
    return centred - fitted, population - population_fitted


def _centred(logits: NDArray[np.floating]) -> Floats:
    """Returns logits (..., classes) minus their mean over classes, float64."""
    values = logits.astype(np.float64)
    return np.asarray(values - values.mean(axis=-1, keepdims=True), dtype=np.float64)


def _features(kind: Drift, mean: Floats, labels: Labels) -> Floats:
    """Returns features (points * queries, features); `mean` is (points, queries, classes)."""
    points, queries, classes = mean.shape
    one_hot = np.zeros((points, 1, classes))
    one_hot[np.arange(points), 0, labels] = 1.0
    one_hot = np.broadcast_to(one_hot, mean.shape)
    if kind == "class":
        return one_hot.reshape(-1, classes)
    scaled = mean / LOGIT_UNIT
    if classes <= MOST_PRODUCTS:
        products = one_hot[..., :, np.newaxis] * scaled[..., np.newaxis, :]
        products = products.reshape(points, queries, classes**2)
    else:
        products = one_hot * scaled  # of the label and its own mean logit
    return np.concatenate([one_hot, scaled, products], axis=-1).reshape(points * queries, -1)


def _by_model(fitted: Floats, shape: tuple[int, ...]) -> Floats:
    """Returns values (points * queries, models * classes) in `shape`, which begins with models."""
    models, points, queries, classes = shape
    return np.moveaxis(fitted.reshape(points, queries, models, classes), -2, 0)
