"""Drift of a model's classes: how its logits differ from those of other models on new data.

Models that are trained on different examples favour different classes. This drift has nothing to do
with membership, and it can be measured on the population, data that no model trained on.

The logits of a model are centred over classes. Its drift is its centred logits minus their mean
over models. On the population, a ridge regression predicts the drift from features of a point, and
the prediction is subtracted from the model's centred logits on the audited examples. The features
are
- for "class": the one-hot label;
- for "logits": the one-hot label, the mean logits over models, and the products of the two.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Drift = Literal["none", "class", "logits"]
DRIFTS: tuple[Drift, ...] = get_args(Drift)
# Weights of the penalty of the ridge regressions, in numbers of population points.
PENALTY: dict[Drift, float] = {"class": 60.0, "logits": 100.0}
LOGIT_UNIT = 5.0  # mean logits are divided by it, so that one penalty fits labels and logits
# With more classes, a label has a product with its own mean logit only: there would be more
# products than points.
MOST_PRODUCTS = 20

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class DriftFit:
    """The drift of each model's classes, predicted from features of a point.

    Args:
        features: Features of the audited examples (examples * queries, features).
        population_features: Features of the population (population * queries, features).
        coefficients: For each model, the change of its logits by feature (models, features,
            classes), in nats.
    """

    features: Floats
    population_features: Floats
    coefficients: Floats

    def corrected(self, model: int, logits: NDArray[np.floating]) -> Floats:
        """Returns a model's centred logits (examples, queries, classes) without its drift."""
        return self._without(logits, self.features, model)

    def corrected_population(self, model: int, logits: NDArray[np.floating]) -> Floats:
        """Returns a model's centred logits (population, queries, classes) without its drift."""
        return self._without(logits, self.population_features, model)

    def _without(self, logits: NDArray[np.floating], features: Floats, model: int) -> Floats:
        drift = features @ self.coefficients[model]
        without: Floats = _centred(logits) - drift.reshape(logits.shape)
        return without


def fit_drift(
    kind: Drift,
    logits: NDArray[np.floating],
    labels: Labels,
    population_logits: NDArray[np.floating],
    population_labels: Labels,
    mean_of: NDArray[np.int64] | None = None,
) -> DriftFit:
    """Returns the drift of each model, fitted on the population.

    Args:
        kind: "class" or "logits".
        logits: Logits of the examples (models, examples, queries, classes).
        labels: Class numbers (examples,).
        population_logits: Logits (models, population, queries, classes).
        population_labels: Class numbers (population,).
        mean_of: The numbers of the models whose mean logits the drift is measured from (models,);
            None for all. The drift of a model depends on no other models.
    """
    classes = logits.shape[-1]
    population_mean = _mean_logits(population_logits, mean_of)
    features = _features(kind, _mean_logits(logits, mean_of), labels)
    population_features = _features(kind, population_mean, population_labels)
    products = []
    for of_model in population_logits:
        drift = _centred(of_model) - population_mean
        products.append(population_features.T @ drift.reshape(-1, classes))
    coefficients = _ridge(population_features, np.concatenate(products, axis=1), PENALTY[kind])
    by_model = coefficients.reshape(-1, len(logits), classes).swapaxes(0, 1)
    return DriftFit(features, population_features, np.ascontiguousarray(by_model))


def _ridge(features: Floats, products: Floats, penalty: float) -> Floats:
    """Returns the coefficients (features, columns) of ridge regressions on the same features.

    `features` are (points, features), and `products` their products with the predicted columns
    (features, columns).
    """
    # Mean logits sum to 0 over classes. So a penalty below the rounding errors of saturated logits
    # would leave a singular matrix, for which a decomposition by eigenvalues is still finite.
    eigenvalues, vectors = np.linalg.eigh(features.T @ features)
    shrunk = (vectors.T @ products) / (np.maximum(eigenvalues, 0.0) + penalty)[:, np.newaxis]
    return np.asarray(vectors @ shrunk, dtype=np.float64)


def _mean_logits(logits: NDArray[np.floating], models: NDArray[np.int64] | None = None) -> Floats:
    """Returns the centred mean over models (points, queries, classes).

    `models` are the numbers of these models; None for all. Their logits are added one after
    another, without a copy of those of several models.
    """
    first, *others = range(len(logits)) if models is None else models.tolist()
    total = logits[first].astype(np.float64)
    for model in others:
        total += logits[model]
    return _centred(total / (1 + len(others)))


def _centred(logits: NDArray[np.floating]) -> Floats:
    """Returns logits (..., classes) minus their mean over classes, float64."""
    values = logits.astype(np.float64)
    return np.asarray(values - values.mean(axis=-1, keepdims=True), dtype=np.float64)


def _features(kind: Drift, mean: Floats, labels: Labels) -> Floats:
    """Returns features (points * queries, features) of points with mean logits `mean`.

    `mean` is (points, queries, classes) and `labels` (points,).
    """
    points, queries, classes = mean.shape
    of_label = np.eye(classes)[labels][:, np.newaxis]
    one_hot = np.broadcast_to(of_label, mean.shape)
    if kind == "class":
        return one_hot.reshape(-1, classes)
    scaled = mean / LOGIT_UNIT
    if classes <= MOST_PRODUCTS:
        pairs = one_hot[..., :, np.newaxis] * scaled[..., np.newaxis, :]
        products = pairs.reshape(points, queries, classes**2)
    else:
        products = one_hot * scaled
    parts = np.concatenate([one_hot, scaled, products], axis=-1)
    return parts.reshape(points * queries, -1)
