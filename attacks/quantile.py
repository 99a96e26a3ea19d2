"""The quantile regression attack."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView, Floats
from mgaudit.attacks.signals import margin

NORMAL_IQR = 1.349  # the interquartile range of N(0, 1)
MOST_CATEGORIES = 255  # that a histogram of scikit-learn's trees can hold


@dataclass(frozen=True)
class QuantileRegression(Attack):
    """Compares the target's margin with that of non-members of such features and label (Bertran et al. 2023).

    Gradient-boosted trees learn the three quartiles of the margin, averaged over queries, on the target's population
    alone. In order, they give mu = the median and sigma = the interquartile range / 1.349, and the score is (margin -
    mu) / sigma. Trees that err may bring the quartiles of one example together, so that sigma is at least `floor` times
    the spread of the population's margins about their medians, and at least `min_std`.
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
        """Returns it with few trees, which take less time."""
        return (cls(trees=20),)

    @property
    def planted_auc(self) -> float:
        """Its trees learn the difficulty from a feature, with an error."""
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

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the z-score (examples,)."""
        from sklearn.ensemble import HistGradientBoostingRegressor  # takes a second, which only its users should wait

        population = _inputs(view.population_extra("features"), view.population_labels)
        examples = _inputs(view.target_extra("features"), view.labels)
        population_margin = view.population_signal(margin).mean(axis=-1)
        label = [population.shape[1] - 1]
        categorical = label if view.target_logits.shape[-1] <= MOST_CATEGORIES else None

        def quartiles(quantile: float) -> tuple[Floats, Floats]:
            trees = HistGradientBoostingRegressor(
                loss="quantile",
                quantile=quantile,
                max_iter=self.trees,
                categorical_features=categorical,
                early_stopping=False,
                random_state=self.seed,
            ).fit(population, population_margin)
            return trees.predict(examples), trees.predict(population)

        predicted, of_population = zip(*(quartiles(quantile) for quantile in (0.25, 0.5, 0.75)), strict=True)
        low, mu, high = np.sort(predicted, axis=0)
        rest = population_margin - np.median(of_population, axis=0)
        about = float(np.subtract(*np.quantile(rest, [0.75, 0.25]))) / NORMAL_IQR
        sigma = np.maximum((high - low) / NORMAL_IQR, max(self.floor * about, self.min_std))
        found = view.target_signal(margin).mean(axis=-1)
        return np.asarray((found - mu) / sigma, dtype=np.float64)


def _inputs(features: NDArray[np.floating], labels: NDArray[np.int64]) -> Floats:
    """Returns the features with the label as the last column (points, features + 1)."""
    return np.column_stack([features.reshape(len(features), -1), labels]).astype(np.float64)
