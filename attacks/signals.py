"""Signals: numbers computed from a model's logits for an example and its label.

Every signal takes `logits` (..., examples, queries, classes) and class numbers `labels` (examples,)
and returns float64 (..., examples, queries). In formulas, z are the logits, p = softmax(z) is the
prediction and y is the label.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

LOWEST_LOG_PROBABILITY = -700.0  # exp of a smaller number is 0 in float64

Logits = NDArray[np.floating]
Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
SignalFunction = Callable[[Logits, Labels], Floats]

# Logits of a block. Its float64 copies stay in the cache of a core, and are little memory.
BLOCK_VALUES = 2**17


def in_blocks(signal: SignalFunction) -> SignalFunction:
    """Returns the same signal, computed for one block of a model's examples after another.

    A signal makes several float64 copies of its logits. Those of a whole model with many classes
    would be more memory than the float32 logits of several models.
    """

    @wraps(signal)
    def of_blocks(logits: Logits, labels: Labels) -> Floats:
        rows = max(BLOCK_VALUES // math.prod(logits.shape[-2:]), 1)
        if logits.ndim != 3 or len(logits) <= rows:
            return signal(logits, labels)
        starts = range(0, len(logits), rows)
        blocks = [slice(start, start + rows) for start in starts]
        return np.concatenate([signal(logits[block], labels[block]) for block in blocks])

    return of_blocks


@in_blocks
def logit_confidence(logits: Logits, labels: Labels) -> Floats:
    """Returns phi = z_y - log sum_{j != y} exp z_j, the logit of the label's probability, in nats.

    `logits` are (..., examples, queries, classes) and `labels` (examples,); the result is (...,
    examples, queries). It is computed from the logits (Carlini et al. 2022): a softmax would round
    confident predictions to 1 and phi to infinity.

    >>> logit_confidence(np.array([[[0.0, 0.0]], [[0.0, 50.0]]]), np.array([0, 0])).ravel().tolist()
    [0.0, -50.0]
    """
    of_label, others = _split_off_label(logits, labels)
    return np.asarray(of_label - logsumexp(others, axis=-1), dtype=np.float64)


@in_blocks
def margin(logits: Logits, labels: Labels) -> Floats:
    """Returns z_y - max_{j != y} z_j in nats, shaped as `logit_confidence`.

    >>> margin(np.array([[[0.0, 3.0, 1.0]]]), np.array([2])).ravel().tolist()
    [-2.0]
    """
    of_label, others = _split_off_label(logits, labels)
    return np.asarray(of_label - others.max(axis=-1), dtype=np.float64)


def loss(logits: Logits, labels: Labels) -> Floats:
    """Returns the cross-entropy log(1 + exp(-phi)) in nats, shaped as `logit_confidence`."""
    return np.logaddexp(0.0, -logit_confidence(logits, labels))


@in_blocks
def entropy(logits: Logits, labels: Labels) -> Floats:
    """Returns the entropy -sum_j p_j log p_j of the prediction in nats; `labels` are ignored."""
    log_p = log_softmax(logits.astype(np.float64), axis=-1)
    total = (np.exp(log_p) * log_p).sum(axis=-1)
    return np.asarray(-total, dtype=np.float64)


@in_blocks
def modified_entropy(logits: Logits, labels: Labels) -> Floats:
    """Returns -(1 - p_y) log p_y - sum_{j != y} p_j log(1 - p_j) in nats.

    The modified entropy is low for a confident correct prediction and high for a confident wrong
    prediction, which the entropy cannot distinguish (Song and Mittal 2021, section 4.2). Arguments
    and shapes are as for `logit_confidence`.
    """
    log_p = log_softmax(logits.astype(np.float64), axis=-1)
    p = np.exp(log_p)
    # For the most probable class, 1 - p is the sum of the others: the difference would lose digits.
    top = np.expand_dims(log_p.argmax(axis=-1), -1)
    others = p.copy()
    np.put_along_axis(others, top, 0.0, axis=-1)
    sum_of_others = others.sum(axis=-1, keepdims=True)
    rest = 1 - p
    np.put_along_axis(rest, top, sum_of_others, axis=-1)
    log_rest = np.log(np.maximum(rest, np.finfo(np.float64).tiny))
    index = _label_index(labels, p.shape)
    rest_of_label = np.take_along_axis(rest, index, axis=-1)
    term_of_label = rest_of_label * np.take_along_axis(log_p, index, axis=-1)
    terms = p * log_rest
    np.put_along_axis(terms, index, term_of_label, axis=-1)
    return np.asarray(-terms.sum(axis=-1), dtype=np.float64)


@in_blocks
def label_logit(logits: NDArray[np.floating], labels: Labels) -> Floats:
    """Returns the label's logit minus the mean over classes, shaped as `logit_confidence`."""
    values = logits.astype(np.float64)
    index = _label_index(labels, values.shape)
    of_label = np.take_along_axis(values, index, axis=-1)[..., 0]
    return np.asarray(of_label - values.mean(axis=-1), dtype=np.float64)


def _label_index(labels: Labels, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Returns the labels (examples,) as an index along the last axis, (..., queries, 1).

    `shape` is that of the indexed array, (..., examples, queries, classes).
    """
    return np.broadcast_to(labels[:, np.newaxis, np.newaxis], (*shape[:-1], 1))


def _split_off_label(logits: Logits, labels: Labels) -> tuple[Floats, Floats]:
    """Returns the label's logit (...), and all logits with -infinity in place of the label's.

    The shapes are (..., examples, queries) and (..., examples, queries, classes).
    """
    z = logits.astype(np.float64)
    index = _label_index(labels, z.shape)
    of_label = np.take_along_axis(z, index, axis=-1)[..., 0]
    np.put_along_axis(z, index, -np.inf, axis=-1)
    return of_label, z


class ConfidenceSignal(ABC):
    """A signal that is a function of phi, the logit confidence of the logits / `temperature`.

    Where several such signals are computed, phi is computed once.
    """

    temperature: float

    @abstractmethod
    def of_confidence(self, phi: Floats) -> Floats:
        """Returns the signal from phi, which has the same shape."""

    def __call__(self, logits: Logits, labels: Labels) -> Floats:
        """Returns the signal, shaped as `logit_confidence`."""
        return self.of_confidence(Confidence(self.temperature)(logits, labels))


@dataclass(frozen=True)
class Confidence:
    """Phi of the logits / `temperature` (> 0), in nats."""

    temperature: float = 1.0

    def __call__(self, logits: Logits, labels: Labels) -> Floats:
        """Returns phi, shaped as `logit_confidence`."""
        if self.temperature == 1:
            return logit_confidence(logits, labels)

        @in_blocks
        def at_temperature(logits: Logits, labels: Labels) -> Floats:
            return logit_confidence(logits.astype(np.float64) / self.temperature, labels)

        return at_temperature(logits, labels)


@dataclass(frozen=True)
class LogProbability(ConfidenceSignal):
    """The log probability of the label in nats, log softmax(logits / temperature)_y."""

    temperature: float = 1.0

    def of_confidence(self, phi: Floats) -> Floats:
        """Returns the log probability from phi."""
        return -np.logaddexp(0.0, -phi)


@dataclass(frozen=True)
class Probability(ConfidenceSignal):
    """The probability of the label, softmax(logits / temperature)_y, but at least exp(-700)."""

    temperature: float = 1.0

    def of_confidence(self, phi: Floats) -> Floats:
        """Returns the probability from phi."""
        log_p = LogProbability(self.temperature).of_confidence(phi)
        return np.asarray(np.exp(np.maximum(log_p, LOWEST_LOG_PROBABILITY)), dtype=np.float64)


@dataclass(frozen=True)
class BentConfidence(ConfidenceSignal):
    """Bent phi: phi where phi is negative, and bend * arcsinh(phi / bend) where it is positive.

    phi and `bend` (> 0) are in nats. Bent phi increases strictly with phi. Where the spread of phi
    grows with its mean, the spread of bent phi is more even.
    """

    bend: float
    temperature: float = field(default=1.0, init=False)

    def of_confidence(self, phi: Floats) -> Floats:
        """Returns bent phi from phi; for an infinite bend, this is phi."""
        if self.bend == np.inf:
            return phi
        bent = self.bend * np.arcsinh(phi / self.bend)
        return np.where(phi > 0, bent, phi)
