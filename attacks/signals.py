"""What is read off a model's logits for an example and its label."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp


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


def loss(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns the cross-entropy -log p_y = log(1 + exp(-phi)) in nats, shaped as `logit_confidence`."""
    return np.logaddexp(0.0, -logit_confidence(logits, labels))
