import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from mgaudit.attacks import LossThreshold
from mgaudit.attacks.signals import (
    BLOCK_VALUES,
    Confidence,
    LogProbability,
    Probability,
    entropy,
    label_logit,
    logit_confidence,
    loss,
    margin,
    modified_entropy,
)
from tests.oracles import planted


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6), st.data())
def test_phi_is_the_logit_of_the_softmax_probability_of_the_label(
    logits: list[float], data: st.DataObject
) -> None:
    label = data.draw(st.integers(0, len(logits) - 1))
    p = math.exp(logits[label]) / sum(map(math.exp, logits))
    rest = sum(math.exp(z) for j, z in enumerate(logits) if j != label) / sum(map(math.exp, logits))
    z, y = np.array(logits).reshape(1, 1, -1), np.array([label])
    assert logit_confidence(z, y).item() == pytest.approx(math.log(p / rest), abs=1e-9)
    assert loss(z, y).item() == pytest.approx(-math.log(p), abs=1e-9)


@given(st.lists(st.floats(-20, 20), min_size=2, max_size=6), st.data())
def test_entropies_are_those_of_the_softmax(logits: list[float], data: st.DataObject) -> None:
    label = data.draw(st.integers(0, len(logits) - 1))
    total = sum(map(math.exp, logits))
    p = [math.exp(z) / total for z in logits]
    rest = [sum(q for k, q in enumerate(p) if k != j) for j in range(len(p))]
    plain = -sum(q * math.log(q) for q in p)
    modified = -rest[label] * math.log(p[label]) - sum(
        p[j] * math.log(rest[j]) for j in range(len(p)) if j != label
    )
    z, y = np.array(logits).reshape(1, 1, -1), np.array([label])
    assert entropy(z, y).item() == pytest.approx(plain, abs=1e-9)
    assert modified_entropy(z, y).item() == pytest.approx(modified, rel=1e-9, abs=1e-9)


def test_modified_entropy_tells_confident_and_right_from_confident_and_wrong() -> None:
    z = np.array([[[800.0, 0.0, 0.0]], [[800.0, 0.0, 0.0]]])
    right, wrong = modified_entropy(z, np.array([0, 1])).ravel()
    assert right == 0
    assert wrong > 700
    assert entropy(z, np.array([0, 1])).ravel().tolist() == [0, 0]


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=6), st.floats(0.5, 4))
def test_the_log_probability_is_that_of_the_tempered_softmax(
    logits: list[float], temperature: float
) -> None:
    total = sum(math.exp(z / temperature) for z in logits)
    computed = LogProbability(temperature)(np.array(logits).reshape(1, 1, -1), np.array([1])).item()
    assert computed == pytest.approx(logits[1] / temperature - math.log(total), abs=1e-9)


def test_phi_does_not_saturate_where_a_float32_softmax_does() -> None:
    z = np.array([[[300.0, 0.0]], [[0.0, 300.0]]], dtype=np.float32)
    labels = np.array([0, 0])
    assert logit_confidence(z, labels).ravel().tolist() == [300.0, -300.0]
    assert loss(z, labels).ravel().tolist() == pytest.approx([math.exp(-300), 300.0])


def test_labels_go_with_the_examples_axis_whatever_stands_before_and_behind() -> None:
    generator = np.random.default_rng(0)
    z, labels = generator.standard_normal((4, 3, 2, 5)), np.array([4, 0, 2])
    kept = z.copy()
    phi = logit_confidence(z, labels)
    assert phi.shape == (4, 3, 2)
    for m, e, q in np.ndindex(4, 3, 2):
        assert (
            phi[m, e, q] == logit_confidence(z[m, e, q].reshape(1, 1, -1), labels[e : e + 1]).item()
        )
    assert np.array_equal(z, kept)


def test_the_loss_attack_is_the_mean_loss_over_queries_with_its_sign_turned() -> None:
    observations = planted(4, 30, 1.0, np.random.default_rng(1), queries=3)
    scores = LossThreshold().score(observations.view(1))
    for e in range(30):
        losses = [
            math.log(sum(math.exp(z) for z in row)) - row[observations.labels[e]]
            for row in observations.logits[1, e].tolist()
        ]
        assert scores[e] == pytest.approx(-sum(losses) / 3, abs=1e-9)


@pytest.mark.parametrize(
    "signal",
    [
        logit_confidence,
        margin,
        loss,
        entropy,
        modified_entropy,
        label_logit,
        Confidence(2.0),
        Probability(0.5),
    ],
)
@pytest.mark.parametrize(("queries", "classes"), [(1, 2), (1, 130), (3, 7)])
def test_blocks_of_examples_change_no_bit(
    signal: Callable[..., np.ndarray],
    queries: int,
    classes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = np.random.default_rng(5)
    logits = 20 * generator.standard_normal((23, queries, classes)).astype(np.float32)
    logits[3] = 0.0  # ties
    labels = generator.integers(0, classes, 23)
    whole = signal(logits, labels)
    monkeypatch.setattr("mgaudit.attacks.signals.BLOCK_VALUES", 5 * queries * classes)
    assert np.array_equal(signal(logits, labels), whole)
    monkeypatch.setattr("mgaudit.attacks.signals.BLOCK_VALUES", 1)  # an example alone
    assert np.array_equal(signal(logits, labels), whole)


@pytest.mark.parametrize("signal", [logit_confidence, loss, Confidence(2.0), Probability(2.0)])
def test_the_logits_of_a_model_with_many_classes_are_never_copied_at_once(
    signal: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def recorded(values: np.ndarray, axis: int) -> np.ndarray:
        sizes.append(values.size)
        return logsumexp(values, axis=axis)

    monkeypatch.setattr("mgaudit.attacks.signals.logsumexp", recorded)
    logits, labels = np.zeros((2000, 1, 200), np.float32), np.zeros(2000, np.int64)
    assert signal(logits, labels).shape == (2000, 1)
    assert max(sizes) <= BLOCK_VALUES < logits.size
    assert sum(sizes) == logits.size
    assert signal(np.zeros((0, 1, 200), np.float32), labels[:0]).shape == (0, 1)
