"""What is read off a model's logits for an example and its label. All are (..., examples, queries) float64."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp


def logit_confidence(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns phi = z_y - log sum_{j != y} exp z_j, the logit of the probability of the label (Carlini et al. 2022).

    `logits` (..., examples, queries, classes), `labels` (examples,); returns (..., examples, queries) in nats.
    Computed from the logits themselves: a softmax would round confident predictions to 1 and phi to infinity.

    >>> logit_confidence(np.array([[[0.0, 0.0]], [[0.0, 50.0]]]), np.array([0, 0])).ravel().tolist()
    [0.0, -50.0]
    """
    z = logits.astype(np.float64)
    index = np.broadcast_to(labels[:, np.newaxis, np.newaxis], (*z.shape[:-1], 1))
    of_label = np.take_along_axis(z, index, axis=-1)[..., 0]
    np.put_along_axis(z, index, -np.inf, axis=-1)
    return np.asarray(of_label - logsumexp(z, axis=-1), dtype=np.float64)


def margin(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns z_y - max_{j != y} z_j in nats, shaped as `logit_confidence`.

    >>> margin(np.array([[[0.0, 3.0, 1.0]]]), np.array([2])).ravel().tolist()
    [-2.0]
    """
    z = logits.astype(np.float64)
    index = np.broadcast_to(labels[:, np.newaxis, np.newaxis], (*z.shape[:-1], 1))
    of_label = np.take_along_axis(z, index, axis=-1)[..., 0]
    np.put_along_axis(z, index, -np.inf, axis=-1)
    return np.asarray(of_label - z.max(axis=-1), dtype=np.float64)


def loss(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the cross-entropy -log p_y = log(1 + exp(-phi)) in nats, shaped as `logit_confidence`."""
    return np.logaddexp(0.0, -logit_confidence(logits, labels))


def entropy(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the entropy -sum_j p_j log p_j of the prediction in nats; the labels play no part."""
    log_p = log_softmax(logits.astype(np.float64), axis=-1)
    return np.asarray(-(np.exp(log_p) * log_p).sum(axis=-1), dtype=np.float64)


def modified_entropy(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns -(1 - p_y) log p_y - sum_{j != y} p_j log(1 - p_j) in nats (Song and Mittal 2021, section 4.2).

    It is low for a confident right answer and high for a confident wrong one, which the entropy cannot tell apart.
    """
    log_p = log_softmax(logits.astype(np.float64), axis=-1)
    p = np.exp(log_p)
    # 1 - p of the likeliest class is summed from the others: the difference would lose its digits.
    top = np.expand_dims(log_p.argmax(axis=-1), -1)
    others = p.copy()
    np.put_along_axis(others, top, 0.0, axis=-1)
    rest = 1 - p
    np.put_along_axis(rest, top, others.sum(axis=-1, keepdims=True), axis=-1)
    log_rest = np.log(np.maximum(rest, np.finfo(np.float64).tiny))
    index = np.broadcast_to(labels[:, np.newaxis, np.newaxis], (*p.shape[:-1], 1))
    terms = p * log_rest
    np.put_along_axis(
        terms, index, np.take_along_axis(rest, index, axis=-1) * np.take_along_axis(log_p, index, axis=-1), axis=-1
    )
    return np.asarray(-terms.sum(axis=-1), dtype=np.float64)


@dataclass(frozen=True)
class LogProbability:
    """log p_y of a softmax at `temperature`: log softmax(logits / temperature)_y, in nats."""

    temperature: float = 1.0

    def __call__(self, logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the log probability, shaped as `logit_confidence`."""
        return -loss(logits.astype(np.float64) / self.temperature, labels)


@dataclass(frozen=True)
class BentConfidence:
    """phi where it is negative, and bend * arcsinh(phi / bend) where it is positive, in nats.

    It grows with phi everywhere, and evens out a spread that grows with the mean: what arcsinh is for.
    """

    bend: float

    def __call__(self, logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the bent phi, shaped as `logit_confidence`; phi itself for an infinite bend."""
        phi = logit_confidence(logits, labels)
        if self.bend == np.inf:
            return phi
        return np.where(phi > 0, self.bend * np.arcsinh(phi / self.bend), phi)
