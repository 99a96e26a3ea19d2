from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from mgaudit.errors import UsageError
from mgaudit.functions.digest import digest
from mgaudit.functions.estimator import EstimatorFit, estimator_fit

X, Y = make_classification(60, n_classes=3, n_informative=6, n_features=8, random_state=0)
CLASSES = (0, 1, 2)


def fit_of(estimator: Any, classes: tuple[Any, ...] = CLASSES) -> EstimatorFit:
    return estimator_fit("fit", estimator, classes)


def test_clones_are_fitted_with_every_seed_set() -> None:
    forest = RandomForestClassifier(5, random_state=np.random.RandomState(3))
    nested = BaggingClassifier(forest, n_estimators=3)
    search = GridSearchCV(nested, {"n_estimators": [2]}, cv=KFold(2, shuffle=True))
    pipeline = make_pipeline(StandardScaler(), search)
    fit = fit_of(pipeline)
    first, again, other = (fit(X, Y, seed=seed)(X) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert search.cv.random_state is None
    assert not hasattr(pipeline[-1], "best_estimator_")


def test_predictions_are_those_of_the_estimator_with_this_seed() -> None:
    by_hand = RandomForestClassifier(5, random_state=7).fit(X, Y).predict_proba(X)
    assert np.array_equal(fit_of(RandomForestClassifier(5))(X, Y, seed=7)(X), by_hand)


def test_a_class_that_members_lack_has_its_column() -> None:
    names = np.array(["a", "b", "c"])
    members = Y != 1
    forest = fit_of(DecisionTreeClassifier(max_depth=2), ("a", "b", "c"))
    probabilities = forest(X[members], names[Y[members]], seed=0)(X)
    by_hand = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X[members], Y[members])
    assert np.array_equal(probabilities[:, [0, 2]], by_hand.predict_proba(X))
    assert not probabilities[:, 1].any()
    assert forest.outputs == "probabilities"


def test_decision_functions_are_logits_with_a_column_for_each_class() -> None:
    machine = LinearSVC()
    fit = fit_of(machine)
    assert fit.outputs == "logits"
    by_hand = LinearSVC(random_state=0).fit(X, Y).decision_function(X)
    assert np.array_equal(fit(X, Y, seed=0)(X), by_hand)

    two = fit_of(machine, (0, 1))(X, Y == 1, seed=0)(X)
    odds = LinearSVC(random_state=0).fit(X, Y == 1).decision_function(X)
    assert np.allclose(softmax(two, axis=1)[:, 1], expit(odds))

    members = Y != 0
    unseen = fit(X[members], Y[members], seed=0)(X)
    probabilities = softmax(unseen, axis=1)
    assert np.isfinite(unseen).all()
    assert np.allclose(probabilities[:, 0], 1e-9, rtol=1e-6)
    odds = LinearSVC(random_state=0).fit(X[members], Y[members]).decision_function(X)
    assert np.allclose(unseen[:, 2] - unseen[:, 1], odds)


@pytest.mark.parametrize("estimator", [Ridge(), VotingClassifier([("a", LogisticRegression())])])
def test_an_estimator_that_gives_only_labels_is_refused(estimator: Any) -> None:
    with pytest.raises(UsageError, match="fit must have predict_proba or decision_function"):
        fit_of(estimator)


def test_an_estimator_that_cannot_be_cloned_is_refused() -> None:
    class Odd:
        def __init__(self, rate: float = 1.0) -> None:
            self.rate = rate * 2

        def fit(self, x: Any, y: Any) -> "Odd":
            return self

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            return {"rate": self.rate}

    with pytest.raises(UsageError, match="fit must be an estimator that scikit-learn can clone"):
        fit_of(Odd())


def test_one_job_is_used_inside_of_each_model_and_changes_nothing_else() -> None:
    fit = fit_of(make_pipeline(RandomForestClassifier(5, n_jobs=2)))
    alone = fit.with_one_job()
    predict: Any = alone(X, Y, seed=0)
    assert predict.model[-1].n_jobs == 1
    assert np.allclose(predict(X), fit(X, Y, seed=0)(X), rtol=0, atol=1e-12)


def test_parameters_identify_an_estimator_but_seeds_and_jobs_do_not() -> None:
    def identity(estimator: Any) -> str:
        return digest(fit_of(estimator).identity)

    first = identity(make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss")))
    seeded = SGDClassifier(loss="log_loss", random_state=3, n_jobs=2)
    assert identity(make_pipeline(StandardScaler(), seeded)) == first
    others = [
        make_pipeline(StandardScaler(), SGDClassifier(loss="modified_huber")),
        make_pipeline(StandardScaler(with_mean=False), SGDClassifier(loss="log_loss")),
        make_pipeline(SGDClassifier(loss="log_loss")),
        SGDClassifier(loss="log_loss"),
    ]
    assert len({first, *map(identity, others)}) == 5


def test_an_estimator_of_another_package_needs_only_the_methods() -> None:
    class Boosted:
        def __init__(self, rate: float = 1.0) -> None:
            self.rate = rate

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            return {"rate": self.rate}

        def fit(self, x: Any, y: Any) -> None:
            self.shares = np.bincount(y) / len(y) ** self.rate

        def predict_proba(self, x: Any) -> Any:
            return np.tile(self.shares, (len(x), 1))

    assert fit_of(Boosted())(X, Y, seed=0)(X[:2]).shape == (2, 3)
    assert digest(fit_of(Boosted()).identity) != digest(fit_of(Boosted(2.0)).identity)
