"""The quantile regression attack, which predicts the margin of non-members from their features.

The margin is the label's logit minus the largest other logit.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.ensemble import Floats
from mgaudit.attacks.signals import margin

NORMAL_IQR = 1.349  # the interquartile range of N(0, 1)
MOST_CATEGORIES = 255  # the largest number of categories in scikit-learn's histogram trees


@dataclass(frozen=True)
class QuantileRegression(Attack):
    """Compares the target's margin with quantiles predicted for non-members (Bertran et al. 2023).

    Gradient-boosted trees predict the three quartiles of the margin, averaged over queries, from
    features and label. The trees are trained only on the population, with the target's outputs. The
    sorted quartiles give mu = the median and sigma = the interquartile range / 1.349, the sd of a
    normal distribution with these quartiles. The score is (margin - mu) / sigma. Because predicted
    quartiles of an example may be too close to one another, sigma is at least `floor` times the
    spread of the population's margins about their medians, and at least `min_std`.

    `trees` is the number of trees for each quartile and `seed` their random seed.
    """

    trees: int = 100
    floor: float = 0.1
    min_std: float = 1e-6
    seed: int = 0

    needs: ClassVar[frozenset[str]] = frozenset({"population", "features"})
    cost: ClassVar[str] = "features of the target and three regressions"
    source: ClassVar[str] = "Bertran et al. 2023, arXiv 2307.03694"

    @classmethod
    def examples(cls) -> tuple[Attack, ...]:
        """Returns the attack with few trees, which take less time."""
        return (cls(trees=20),)

    @property
    def planted_auc(self) -> float:
        """A high AUC, because the trees learn an example's difficulty from a noisy feature."""
        return 0.8632

    def __post_init__(self) -> None:
        if self.trees < 1:
            raise ValueError(f"trees must be >= 1, got {self.trees}")
        for name in ("floor", "min_std"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be a finite number > 0, got {value}")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")

    @property
    def uses_all_classes(self) -> bool:
        """Yes: the margin is that to the largest other logit."""
        return True

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the z-score of the target's margin (examples,)."""
        population = _inputs(view.population_extra("features"), view.population_labels)
        examples = _inputs(view.target_extra("features"), view.labels)
        population_margin = view.population_signal(margin).mean(axis=-1)
        classes = view.target_logits.shape[-1]
        label_column = [population.shape[1] - 1]
        categorical = label_column if classes <= MOST_CATEGORIES else None

        predicted = []
        predicted_for_population = []
        for quantile in (0.25, 0.5, 0.75):
            trees = self._trees(quantile, categorical)
            trees.fit(population, population_margin)
            predicted.append(trees.predict(examples))
            predicted_for_population.append(trees.predict(population))
        low, mu, high = np.sort(predicted, axis=0)
        residuals = population_margin - np.median(predicted_for_population, axis=0)
        upper, lower = np.quantile(residuals, [0.75, 0.25])
        residual_sd = float(upper - lower) / NORMAL_IQR
        least_sigma = max(self.floor * residual_sd, self.min_std)
        sigma = np.maximum((high - low) / NORMAL_IQR, least_sigma)
        target_margin = view.target_signal(margin).mean(axis=-1)
        return np.asarray((target_margin - mu) / sigma, dtype=np.float64)

    def _trees(self, quantile: float, categorical: list[int] | None) -> Any:
        """Returns untrained trees; `categorical` are the indices of columns with categories."""
        from sklearn.ensemble import HistGradientBoostingRegressor  # takes a second to import

        return HistGradientBoostingRegressor(
            loss="quantile",
            quantile=quantile,
            max_iter=self.trees,
            categorical_features=categorical,
            early_stopping=False,
            random_state=self.seed,
        )


def _inputs(features: NDArray[np.floating], labels: NDArray[np.int64]) -> Floats:
    """Returns the features with the label as the last column (points, features + 1).

    `features` are (points, ...), flattened for each point, and `labels` (points,).
    """
    flat = features.reshape(len(features), -1)
    return np.column_stack([flat, labels]).astype(np.float64)
