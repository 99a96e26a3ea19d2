"""The shadow classifier attack."""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, softmax

from mgaudit.attacks.attack import Attack
from mgaudit.attacks.observations import AdversaryView, Floats
from mgaudit.attacks.signals import logit_confidence

FEWEST_ROWS = 10  # a side, for a class to have a classifier of its own
LEAST_PROBABILITY = 1e-6
LEAST_SPREAD = 1e-9  # of a feature: less is rounding

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ShadowClassifier(Attack):
    """Tells members by a classifier that was trained on the shadows' outputs for theirs (Shokri et al. 2017).

    One classifier for each class, and one of all classes for a class with fewer than 10 member or non-member outputs.
    Its features are the posterior, the posterior in descending order, the loss and phi, each averaged over queries and
    standardised by its training rows; the score is its log-odds. It is trained on as many members as non-members, at
    most `rows` of each: those at evenly spaced ranks of phi, which takes no randomness and depends on no order.
    `seed` is for the randomness of the forest and the multi-layer perceptron.
    """

    classifier: Literal["logistic", "forest", "mlp"] = "logistic"
    rows: int = 2000
    seed: int = 0

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    cost: ClassVar[str] = "shadow models, and a classifier for each class"
    source: ClassVar[str] = "Shokri et al. 2017, arXiv 1610.05820"

    @classmethod
    def examples(cls) -> tuple[Attack, ...]:
        """Returns it with each classifier, on few rows where that takes less time."""
        return cls(), cls("forest", rows=50), cls("mlp", rows=50)

    @property
    def planted_auc(self) -> float:
        """It does not know the difficulty, and few rows leave an error."""
        return 0.625 if self.classifier == "logistic" else 0.5

    def __post_init__(self) -> None:
        if self.classifier not in ("logistic", "forest", "mlp"):
            raise ValueError(f"classifier must be logistic, forest or mlp, got {self.classifier!r}")
        if self.rows < FEWEST_ROWS:
            raise ValueError(f"rows must be >= {FEWEST_ROWS}, got {self.rows}")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the log-odds of membership (examples,) in nats."""
        ranking = _Ranking(view)
        features = _features(view.target_logits, view.labels)
        scores = np.empty(len(view.labels))
        of_all_classes = None
        for label in np.unique(view.labels):
            examples = np.flatnonzero(view.labels == label)
            sides = ranking.sides(examples)
            if min(map(len, sides)) >= FEWEST_ROWS:
                fitted = self._fitted(view, sides)
            else:
                if of_all_classes is None:
                    of_all_classes = self._fitted(view, ranking.sides(np.arange(len(view.labels))))
                fitted = of_all_classes
            scores[examples] = fitted.log_odds(features[examples])
        return scores

    def _fitted(self, view: AdversaryView, sides: tuple[Integers, Integers]) -> "_Fitted":
        """Returns the classifier for ranked member and non-member outputs."""
        count = min(self.rows, *map(len, sides))
        outputs = np.concatenate([_evenly_spaced(side, count) for side in sides])
        shadows, examples = np.divmod(outputs, len(view.labels))
        features = _features(view.shadow_outputs(shadows, examples), view.labels[examples])
        centre, spread = features.mean(axis=0), features.std(axis=0)
        spread = np.where(spread > LEAST_SPREAD, spread, 1.0)
        estimator = _estimator(self.classifier, self.seed)
        with warnings.catch_warnings():
            # A network that stops before it has converged is as good an attack.
            warnings.filterwarnings("ignore", message=".*Maximum iterations", module="sklearn")
            estimator.fit((features - centre) / spread, np.repeat([True, False], count))
        return _Fitted(estimator, centre, spread)


@dataclass(frozen=True)
class _Fitted:
    """A fitted classifier with the mean and the sd of its training rows."""

    estimator: Any
    centre: Floats
    spread: Floats

    def log_odds(self, features: Floats) -> Floats:
        standardised = (features - self.centre) / self.spread
        if hasattr(self.estimator, "decision_function"):
            return np.asarray(self.estimator.decision_function(standardised), dtype=np.float64)
        p = self.estimator.predict_proba(standardised)[:, 1]
        return np.asarray(logit(np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)), dtype=np.float64)


class _Ranking:
    """The shadows' outputs by ascending phi; an output's number is shadow * examples + example."""

    def __init__(self, view: AdversaryView) -> None:
        self.view = view
        self.phi = view.shadow_signal(logit_confidence).mean(axis=-1)
        self.members = view.shadow_membership

    def sides(self, examples: Integers) -> tuple[Integers, Integers]:
        """Returns the numbers of the member and of the non-member outputs for these examples, ranked."""
        phi, members = self.phi[:, examples], self.members[:, examples]
        numbers = np.arange(len(phi))[:, np.newaxis] * self.phi.shape[1] + examples
        return self._ranked(numbers[members], phi[members]), self._ranked(numbers[~members], phi[~members])

    def _ranked(self, numbers: Integers, phi: Floats) -> Integers:
        order = np.argsort(phi)
        if (np.diff(phi[order]) == 0).any():
            mixed = self.view.shadow_signal(_mixed_posterior).mean(axis=-1).ravel()[numbers]
            order = np.lexsort([mixed, phi])
        return numbers[order]


def _mixed_posterior(logits: NDArray[np.floating], labels: Integers) -> Floats:
    """Returns a weighted sum of the posterior, which tells outputs of equal phi apart whatever their order."""
    weights = np.sqrt(np.arange(2.0, logits.shape[-1] + 2))
    return np.asarray(softmax(logits.astype(np.float64), axis=-1) @ weights, dtype=np.float64)


def _evenly_spaced(ranked: Integers, count: int) -> Integers:
    """Returns the middle one of each of `count` equal parts."""
    return ranked[(2 * np.arange(count) + 1) * len(ranked) // (2 * count)]


def _features(logits: NDArray[np.floating], labels: Integers) -> Floats:
    """Returns (rows, 2 * classes + 2) features of logits (rows, queries, classes) with their labels (rows,)."""
    posterior = softmax(logits.astype(np.float64), axis=-1)
    phi = logit_confidence(logits, labels)
    return np.column_stack(
        [
            posterior.mean(axis=1),
            np.sort(posterior, axis=-1)[..., ::-1].mean(axis=1),
            np.logaddexp(0.0, -phi).mean(axis=-1),
            phi.mean(axis=-1),
        ]
    )


def _estimator(classifier: str, seed: int) -> Any:
    # scikit-learn takes a second to import, which only those who fit something should wait.
    if classifier == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(solver="newton-cholesky", tol=1e-9)
    if classifier == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(n_estimators=100, min_samples_leaf=10, random_state=seed)
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(hidden_layer_sizes=(64,), random_state=seed)
