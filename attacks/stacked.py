"""The stacked attack: a classifier over the statistics of all calibrated attacks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.bavaria import BaVarIA
from mgaudit.attacks.drift import Drift
from mgaudit.attacks.ensemble import Floats
from mgaudit.attacks.normal_scores import NormalScores
from mgaudit.attacks.references import content_order
from mgaudit.attacks.rmia import RMIA
from mgaudit.attacks.roc import roc
from mgaudit.attacks.signals import logit_confidence
from mgaudit.attacks.stacked_features import (
    offline_drift_features,
    offline_features,
    online_drift_features,
    online_features,
)

FEWEST_SHADOWS = 4  # with fewer, the score is that of another attack
# Pseudo-targets, if there are as many shadows: so many that there are ROWS rows of training data.
FEWEST_PSEUDO_TARGETS, ROWS = 8, 10_000
# C of the regression by the AUC, up to a limit, of the leading statistic on the pseudo-targets:
# where members are easy to find, the weights need less of a penalty.
INVERSE_PENALTIES = ((0.75, 0.01), (0.9, 0.1), (1.0, 1.0))


@dataclass(frozen=True)
class Stacked(Attack):
    """Predicts membership with a classifier over the statistics of calibrated attacks.

    Needs 4 shadows: with fewer, the score is the mean of the normal scores of BaVarIA and RMIA, or
    offline that of offline RMIA. A population makes it stronger, because the drift of each model's
    classes is then subtracted.

    Each shadow in turn is a pseudo-target, whose membership the adversary knows, with the other
    shadows as its references. A logistic regression learns from the pseudo-targets to weigh the
    statistics of LiRA, RMIA and BaVarIA (`stacked_features`), and the score is its log-odds for the
    target. With a population, every statistic is also computed from logits without the drift of
    each model's classes (`drift`). Without one, the statistics of the logits themselves are used.

    At most `pseudo_targets` shadows are pseudo-targets; they are chosen by the ranks of their mean
    signal. None is 8, or 10,000 divided by the number of examples if that is more.
    `inverse_penalty` is C of scikit-learn's LogisticRegression. None is 0.01, 0.1 or 1, the larger
    the better a single statistic finds the members of the pseudo-targets. Offline, only statistics
    of shadows without the example are used. With several queries, statistics are averaged over
    them; with `contrasts`, the difference of the first query from the others is used too.
    """

    online: bool = True
    pseudo_targets: int | None = None
    inverse_penalty: float | None = None
    contrasts: bool = False

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    fewest_shadows: ClassVar[int] = 2
    cost: ClassVar[str] = (
        "at least 4 shadow models (with fewer: BaVarIA and RMIA) and a regression for each target; "
        "a population makes it stronger"
    )
    is_slow: ClassVar[bool] = True
    fewer_references: ClassVar[int] = 1  # a pseudo-target has one shadow less
    # Except that drift is measured from a mean over models; see `Observations.with_shadows_only`.
    learns_from_shadows_only: ClassVar[bool] = True
    source: ClassVar[str] = "mgaudit 2026"

    @classmethod
    def examples(cls) -> tuple[Attack, ...]:
        """Returns the attack online and offline, with few pseudo-targets."""
        return cls(pseudo_targets=3), cls(online=False, pseudo_targets=3)

    @property
    def planted_auc(self) -> float:
        """Nearly the largest possible AUC on the planted data."""
        return 0.9032

    @property
    def uses_all_classes(self) -> bool:
        """At temperatures other than 1, the label's probability depends on all logits."""
        return True

    @property
    def uses_references_in(self) -> bool:
        """Only online; offline, an example is compared with the shadows without it."""
        return self.online

    def __post_init__(self) -> None:
        if self.pseudo_targets is not None and self.pseudo_targets < 1:
            raise ValueError(f"pseudo_targets must be >= 1, got {self.pseudo_targets}")
        if self.inverse_penalty is not None and not 0 < self.inverse_penalty < np.inf:
            rule = "inverse_penalty must be a finite number > 0"
            raise ValueError(f"{rule}, got {self.inverse_penalty}")

    def resolved(self, shadows: int) -> Attack:
        """Returns this attack, or with fewer than 4 shadows another one.

        That is the mean of the normal scores of BaVarIA and RMIA, or offline, offline RMIA. RMIA is
        the stronger of the two where little is memorised, and BaVarIA where much is.
        """
        if shadows >= FEWEST_SHADOWS:
            return self
        if not self.online:
            return RMIA(online=False)
        return NormalScores((BaVarIA(), RMIA())).resolved(shadows)

    def fitted(self, view: AdversaryView) -> Callable[[AdversaryView], Floats]:
        """Returns a function that scores views of the target with the regressions of this view."""
        if view.shadows < FEWEST_SHADOWS:
            return self.resolved(view.shadows).score
        classifiers = self._classifiers(view)

        def score(of: AdversaryView) -> Floats:
            # The moments of a view that lacks some shadows are computed from those of all models,
            # which is faster. Rounding of them may depend on the target's membership.
            is_fast = of is not view and not of.has_limits
            features = self._features(of if is_fast else of.like_pseudo_target())
            scores = np.empty(len(features))
            for scored, classifier in classifiers:
                scores[scored] = classifier.decision_function(features[scored])
            return scores

        return score

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns the log-odds of membership (examples,) in nats."""
        return self.fitted(view)(view)

    def _classifiers(self, view: AdversaryView) -> list[tuple[NDArray[np.int64], Any]]:
        """Returns the examples that each regression scores, and the fitted regression."""
        rows, members = [], []
        order = content_order(view.shadow_signal(logit_confidence))
        for shadow in order[: self._number(len(view.labels))].tolist():
            pseudo_target, membership = view.pseudo_target(shadow)
            rows.append(self._features(pseudo_target))
            members.append(membership)
        training, is_member = np.stack(rows), np.stack(members)
        classifiers = []
        for fitted, scored in _halves(view):
            features = training[:, fitted].reshape(-1, training.shape[-1])
            membership = is_member[:, fitted].ravel()
            penalty = self._inverse_penalty(features, membership)
            classifier = _classifier(penalty, balanced=view.has_limits)
            classifier.fit(features, membership)
            classifiers.append((scored, classifier))
        return classifiers

    def _number(self, examples: int) -> int:
        """Returns the largest number of pseudo-targets for this number of examples."""
        if self.pseudo_targets is not None:
            return self.pseudo_targets
        return max(FEWEST_PSEUDO_TARGETS, ROWS // examples)

    def _inverse_penalty(self, training: Floats, is_member: NDArray[np.bool_]) -> float:
        """Returns C for the features (rows, features) and membership (rows,) of pseudo-targets."""
        if self.inverse_penalty is not None:
            return self.inverse_penalty
        auc = roc(training[:, 0], is_member).auc()
        return next(penalty for limit, penalty in INVERSE_PENALTIES if auc <= limit)

    def _features(self, view: AdversaryView) -> Floats:
        """Returns the features (examples, features) of the target of a view."""
        features = online_features if self.online else offline_features
        columns = [features(view, self._drifts(view), self.contrasts)]
        if view.has_population:
            drift_features = online_drift_features if self.online else offline_drift_features
            columns.append(drift_features(view))
        return np.concatenate(columns, axis=1)

    def _drifts(self, view: AdversaryView) -> tuple[Drift, ...]:
        """Returns the drifts that are subtracted, each in a version of the outputs of its own."""
        if not view.has_population:
            return ("none",)
        # Mean logits depend on models that trained on an example, which are unknown offline.
        return ("none", "class", "logits") if self.online else ("none", "class")


def _halves(view: AdversaryView) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Returns the examples that a regression is fitted to, and those that it scores.

    With independent coins, one regression is fitted to all examples and scores them all. Otherwise
    the pseudo-targets' membership of an example reveals the target's. So the examples are divided
    by their content, and each half is scored by the regression of the other half, which is
    balanced, because the number of members of a half reveals something too.
    """
    examples = np.arange(len(view.labels))
    if not view.has_limits:
        return [(examples, examples)]
    order = content_order(view.shadow_signal(logit_confidence).swapaxes(0, 1))
    first, second = np.sort(order[::2]), np.sort(order[1::2])
    return [(first, second), (second, first)]


def _classifier(inverse_penalty: float, balanced: bool) -> Any:
    """Returns an untrained logistic regression on standardised features.

    If it is balanced, members and non-members have the same weight in sum, so that its scores do
    not depend on their numbers.
    """
    # Imported here because scikit-learn takes a second to import.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    weights = "balanced" if balanced else None
    regression = LogisticRegression(
        C=inverse_penalty, solver="newton-cholesky", tol=1e-10, class_weight=weights
    )
    return make_pipeline(StandardScaler(), regression)
