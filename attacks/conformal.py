"""Conformal p-values: the rank of a record's score among the scores of known non-members.

The hypothesis is that the target did not train on the record. The known non-members are those of
*pseudo-targets*: other models, with known membership, that are attacked like the target. The OUT
shadows of one record are too few: with 7 of them, no p-value is below 1/8.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

# The quantiles of a model's scores that become 0, and whose distance becomes 1.
CENTRE, LOW, HIGH = 0.25, 0.1, 0.5


def conformal_p_values(scores: Floats, nulls: Floats) -> Floats:
    """Returns a p-value for each score (examples,), from the scores of known non-members (nulls,).

        p = (1 + number of nulls with the same or a higher score) / (1 + number of nulls)

    If the score of a non-member is exchangeable with the nulls, P(p <= t) <= t for every t (Vovk et
    al. 2005); ties make the p-value larger.

    >>> conformal_p_values(np.array([3.0, 1.0]), np.array([0.0, 1.0, 2.0])).tolist()
    [0.25, 0.75]
    """
    ordered = np.sort(nulls)
    lower = np.searchsorted(ordered, scores, side="left")
    p_values = (1 + len(nulls) - lower) / (1 + len(nulls))
    return np.asarray(p_values, dtype=np.float64)


def comparable_scores(scores: Floats) -> Floats:
    """Returns scores (models, examples) that can be compared between models.

    Models differ in the location and scale of their scores, by which a p-value from the scores of
    other models would be wrong for all records of a model at once. First, the scores of all models
    together are replaced by their normal scores x = Phi^-1(rank / (number + 1)), with mean ranks
    for ties. So the result does not depend on the scale on which an attack scores, and the highest
    scores are not close together where the scores are bounded. With q the quantiles of a model's
    own x over all its examples, the result is

        (x - q(0.25)) / (q(0.5) - q(0.1)).

    Membership is not read. Low quantiles are used because they are mostly those of non-members. The
    median would depend on the number of members where these score much higher. If a model's scores
    are tied from q(0.1) to q(0.5), no model's scores are scaled.
    """
    normal = _normal_scores(scores)
    low, centre, high = np.quantile(normal, [LOW, CENTRE, HIGH], axis=1)
    scale = high - low
    if not (scale > 0).all():
        scale = np.ones_like(scale)
    comparable = (normal - centre[:, np.newaxis]) / scale[:, np.newaxis]
    return np.asarray(comparable, dtype=np.float64)


def _normal_scores(scores: Floats) -> Floats:
    """Returns the normal score of each score among all of them (models, examples)."""
    _, kind, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    shares = mean_ranks[kind.reshape(scores.shape)] / (scores.size + 1)
    return np.asarray(special.ndtri(shares), dtype=np.float64)
