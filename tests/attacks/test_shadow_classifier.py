from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from mgaudit.attacks import LossThreshold, Observations, ShadowClassifier
from mgaudit.attacks.roc import roc
from tests import oracles

FITS = {
    "logistic": lambda: LogisticRegression(solver="newton-cholesky", tol=1e-9),
    "forest": lambda: RandomForestClassifier(100, min_samples_leaf=10, random_state=0),
    "mlp": lambda: MLPClassifier((64,), random_state=0),
}


def seen(examples: int = 60, classes: int = 3, shift: float = 1.0, seed: int = 0) -> Observations:
    return oracles.planted(
        4, examples, shift, np.random.default_rng(seed), queries=2, classes=classes
    )


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer. Maximum iterations")
@pytest.mark.parametrize(
    ("classifier", "classes", "rows"),
    # Which rows a classifier learns does not depend on which it is.
    [
        ("logistic", 3, 2000),
        ("logistic", 3, 12),
        ("logistic", 8, 2000),
        ("forest", 3, 12),
        ("mlp", 3, 12),
    ],
)
def test_scores_equal_the_slow_oracles(classifier: str, classes: int, rows: int) -> None:
    # With 8 classes, some have fewer than 10 outputs a side and share the classifier of all.
    observations = seen(classes=classes)
    attack = ShadowClassifier(classifier, rows)  # type: ignore[arg-type]
    expected = oracles.shadow_classifier(observations, 2, attack, FITS[classifier])
    assert np.allclose(attack.score(observations.view(2)), expected, rtol=0, atol=1e-9)


def test_eight_classes_are_some_scarce_and_some_not() -> None:
    observations = seen(classes=8)
    members = np.delete(observations.membership, 2, axis=0)
    fewest = [
        min(side[:, observations.labels == label].sum() for side in (members, ~members))
        for label in range(8)
    ]
    assert min(fewest) < 10 <= max(fewest)


@pytest.mark.parametrize("classifier", FITS)
def test_the_order_of_examples_plays_no_part_even_among_ties(classifier: str) -> None:
    # Whole logits: phi ties between outputs whose posteriors differ.
    generator = np.random.default_rng(1)
    logits = generator.integers(0, 3, (4, 90, 1, 3)).astype(float)
    labels, membership = generator.integers(0, 3, 90), generator.random((4, 90)) < 0.5
    order = generator.permutation(90)
    attack = ShadowClassifier(classifier, rows=15)  # type: ignore[arg-type]
    scores = attack.score(Observations(logits, labels, membership).view(0))
    shuffled = attack.score(
        Observations(logits[:, order], labels[order], membership[:, order]).view(0)
    )
    assert np.allclose(scores[order], shuffled, rtol=0, atol=1e-9)
    turned = attack.score(
        Observations(logits[[0, 3, 1, 2]], labels, membership[[0, 3, 1, 2]]).view(0)
    )
    assert np.allclose(scores, turned, rtol=0, atol=1e-9)


def test_it_is_fitted_on_the_shadows_alone() -> None:
    observations = seen()
    logits = observations.logits.copy()
    logits[2, 1:] += np.random.default_rng(1).standard_normal(logits[2, 1:].shape)
    scores = [
        ShadowClassifier().score(o.view(2))
        for o in (observations, replace(observations, logits=logits))
    ]
    assert scores[0][0] == scores[1][0]
    assert (scores[0][1:] != scores[1][1:]).all()


def test_members_and_others_weigh_the_same_however_many_there_are() -> None:
    generator = np.random.default_rng(2)
    logits = generator.standard_normal((8, 1000, 1, 3))
    rare = Observations(logits, generator.integers(0, 3, 1000), generator.random((8, 1000)) < 0.1)
    scores = ShadowClassifier().score(rare.view(0))
    assert abs(scores.mean()) < 0.1  # and not log(0.1 / 0.9) = -2.2


@pytest.mark.parametrize("classifier", FITS)
def test_each_class_has_its_own_tell(classifier: str) -> None:
    # phi is not informative. Members of class 0 lean towards class 1, and those of class 1 away
    # from class 0.
    generator = np.random.default_rng(3)
    membership, labels = generator.random((8, 600)) < 0.5, generator.integers(0, 2, 600)
    lean = generator.standard_normal((8, 600)) + 2.0 * membership * np.where(labels == 0, 1, -1)
    logits = np.zeros((8, 600, 1, 3))
    rest = np.stack([lean, -lean], axis=-1) / 2
    rest -= np.log(np.exp(rest).sum(axis=-1, keepdims=True))
    for label, others in ((0, [1, 2]), (1, [0, 2])):
        chosen = np.flatnonzero(labels == label)
        logits[np.ix_(range(8), chosen, [0], others)] = rest[:, chosen, np.newaxis]
    observations = Observations(logits, labels, membership)
    attack = ShadowClassifier(classifier, rows=200)  # type: ignore[arg-type]
    assert roc(attack.score(observations.view(0)), membership[0]).auc() > 0.85
    assert roc(LossThreshold().score(observations.view(0)), membership[0]).auc() == pytest.approx(
        0.5, abs=0.07
    )


def test_models_that_answer_all_alike_are_scored_all_alike() -> None:
    membership = np.random.default_rng(4).random((4, 40)) < 0.5
    scores = ShadowClassifier().score(
        oracles.observations_of(np.full((4, 40), 0.1), membership).view(0)
    )
    assert np.allclose(scores, 0, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classifier": "svm"}, "classifier must be 'logistic', 'forest' or 'mlp', got 'svm'"),
        ({"rows": 9}, "rows must be >= 10, got 9"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShadowClassifier(**options)  # type: ignore[arg-type]
