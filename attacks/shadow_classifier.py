"""The shadow classifier attack: a classifier learns from the shadow models to detect members."""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit, softmax

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.ensemble import Floats
from mgaudit.attacks.signals import logit_confidence

FEWEST_ROWS = 10  # a side, for a class to have a classifier of its own
LEAST_PROBABILITY = 1e-6
LEAST_SPREAD = 1e-9  # of a feature: a smaller spread is rounding error

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ShadowClassifier(Attack):
    """Predicts membership with a classifier trained on the shadow models' outputs.

    There is one classifier per class, and one for all classes together, which is used for a class
    with fewer than 10 member or non-member outputs (Shokri et al. 2017). The features are the
    posterior (softmax probabilities), the posterior in descending order, the loss and phi, each
    averaged over queries and standardised by the training rows; the score is the log-odds of
    membership. A training row is the output of one shadow for one example. A classifier is trained
    on as many rows of members as of non-members, at most `rows` of each. These are selected at
    evenly spaced ranks of phi, which needs no randomness and does not depend on the order of the
    examples. `seed` is the random seed of the forest and of the multi-layer perceptron.
    """

    classifier: Literal["logistic", "forest", "mlp"] = "logistic"
    rows: int = 2000
    seed: int = 0

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    cost: ClassVar[str] = "shadow models, and a classifier for each class"
    source: ClassVar[str] = "Shokri et al. 2017, arXiv 1610.05820"

    @classmethod
    def examples(cls) -> tuple[Attack, ...]:
        """Returns the attack with each classifier, on few rows where that takes less time."""
        return cls(), cls("forest", rows=50), cls("mlp", rows=50)

    @property
    def planted_auc(self) -> float:
        """A low AUC: the attack does not know the difficulty, and learns from few rows."""
        return 0.625 if self.classifier == "logistic" else 0.5

    def __post_init__(self) -> None:
        if self.classifier not in ("logistic", "forest", "mlp"):
            raise ValueError(
                f"classifier must be 'logistic', 'forest' or 'mlp', got {self.classifier!r}"
            )
        if self.rows < FEWEST_ROWS:
            raise ValueError(f"rows must be >= {FEWEST_ROWS}, got {self.rows}")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")

    @property
    def uses_all_classes(self) -> bool:
        """Yes: the features contain all probabilities."""
        return True

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the log-odds of membership (examples,) in nats."""
        ranking = _Ranking(view)
        features = _features(view.target_logits, view.labels)
        scores = np.empty(len(view.labels))
        for_all_classes = None
        for label in np.unique(view.labels):
            examples = np.flatnonzero(view.labels == label)
            sides = ranking.sides(examples)
            if min(map(len, sides)) >= FEWEST_ROWS:
                classifier = self._fit(view, sides)
            else:
                if for_all_classes is None:
                    all_examples = np.arange(len(view.labels))
                    for_all_classes = self._fit(view, ranking.sides(all_examples))
                classifier = for_all_classes
            scores[examples] = classifier.log_odds(features[examples])
        return scores

    def _fit(self, view: AdversaryView, sides: tuple[Integers, Integers]) -> "_Fitted":
        """Returns a classifier trained on selected outputs of shadows.

        `sides` are the numbers of the outputs of members and of non-members, ranked by phi, as
        returned by `_Ranking.sides`.
        """
        count = min(self.rows, *map(len, sides))
        outputs = np.concatenate([_evenly_spaced(side, count) for side in sides])
        shadows, examples = np.divmod(outputs, len(view.labels))
        logits = view.shadow_outputs(shadows, examples)
        features = _features(logits, view.labels[examples])
        centre = features.mean(axis=0)
        spread = features.std(axis=0)
        spread = np.where(spread > LEAST_SPREAD, spread, 1.0)
        standardised = (features - centre) / spread
        estimator = _estimator(self.classifier, self.seed)
        with warnings.catch_warnings():
            # The attack does not need a network that has converged.
            warnings.filterwarnings("ignore", message=".*Maximum iterations", module="sklearn")
            estimator.fit(standardised, np.repeat([True, False], count))
        return _Fitted(estimator, centre, spread)


@dataclass(frozen=True)
class _Fitted:
    """A trained scikit-learn classifier, and the mean and sd of its training rows (features,)."""

    estimator: Any
    centre: Floats
    spread: Floats

    def log_odds(self, features: Floats) -> Floats:
        """Returns the log-odds of membership (rows,) in nats for `features` (rows, features)."""
        standardised = (features - self.centre) / self.spread
        if hasattr(self.estimator, "decision_function"):
            decision = self.estimator.decision_function(standardised)
            return np.asarray(decision, dtype=np.float64)
        p = self.estimator.predict_proba(standardised)[:, 1]
        p = np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        return np.asarray(logit(p), dtype=np.float64)


class _Ranking:
    """The shadows' outputs in ascending order of phi, averaged over queries.

    The output of shadow s for example e has the number s * examples + e.
    """

    def __init__(self, view: AdversaryView) -> None:
        self.view = view
        self.phi = view.shadow_signal(logit_confidence).mean(axis=-1)
        self.members = view.references_in
        self.others = view.references_out

    def sides(self, examples: Integers) -> tuple[Integers, Integers]:
        """Returns the numbers of member and of non-member outputs, each in ascending order of phi.

        Only outputs for `examples` (indices) are included. An output belongs to a member if its
        shadow trained on its example.
        """
        phi = self.phi[:, examples]
        members, others = self.members[:, examples], self.others[:, examples]
        shadows = np.arange(len(phi))[:, np.newaxis]
        numbers = shadows * self.phi.shape[1] + examples
        ranked_members = self._ranked(numbers[members], phi[members])
        ranked_others = self._ranked(numbers[others], phi[others])
        return ranked_members, ranked_others

    def _ranked(self, numbers: Integers, phi: Floats) -> Integers:
        """Returns `numbers` (outputs,) in ascending order of their `phi` (outputs,)."""
        order = np.argsort(phi)
        # Equal values of phi are ordered by another output, not by the order of the examples.
        if (np.diff(phi[order]) == 0).any():
            mixed_of_all = self.view.shadow_signal(_mixed_posterior).mean(axis=-1)
            mixed = mixed_of_all.ravel()[numbers]
            order = np.lexsort([mixed, phi])
        return numbers[order]


def _mixed_posterior(logits: NDArray[np.floating], labels: Integers) -> Floats:
    """Returns a weighted sum of the posterior, shaped as `logit_confidence`.

    It breaks ties of phi in a way that does not depend on the order of the examples. `labels` are
    not used.
    """
    weights = np.sqrt(np.arange(2.0, logits.shape[-1] + 2))
    posterior = softmax(logits.astype(np.float64), axis=-1)
    return np.asarray(posterior @ weights, dtype=np.float64)


def _evenly_spaced(ranked: Integers, count: int) -> Integers:
    """Returns the middle element of each of `count` equal parts of `ranked`, (count,)."""
    return ranked[(2 * np.arange(count) + 1) * len(ranked) // (2 * count)]


def _features(logits: NDArray[np.floating], labels: Integers) -> Floats:
    """Returns features (rows, 2 * classes + 2), which `ShadowClassifier` lists.

    `logits` are (rows, queries, classes) and `labels` (rows,).
    """
    posterior = softmax(logits.astype(np.float64), axis=-1)
    descending = np.sort(posterior, axis=-1)[..., ::-1]
    phi = logit_confidence(logits, labels)
    losses = np.logaddexp(0.0, -phi)
    return np.column_stack(
        [
            posterior.mean(axis=1),
            descending.mean(axis=1),
            losses.mean(axis=-1),
            phi.mean(axis=-1),
        ]
    )


def _estimator(classifier: str, seed: int) -> Any:
    """Returns an untrained scikit-learn classifier: "logistic", "forest" or "mlp"."""
    # Imported here because scikit-learn takes a second to import.
    if classifier == "logistic":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(solver="newton-cholesky", tol=1e-9)
    if classifier == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(n_estimators=100, min_samples_leaf=10, random_state=seed)
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(hidden_layer_sizes=(64,), random_state=seed)
