"""Slow, obvious versions of what mgaudit computes fast, and observations with known answers."""

import math
from statistics import fmean

import numpy as np

from attacks import Observations


def observations_of(phi: np.ndarray, membership: np.ndarray) -> Observations:
    """Two-class logits whose logit confidence is `phi` (models, examples[, queries]) to the last bit."""
    if phi.ndim == 2:
        phi = phi[:, :, np.newaxis]
    logits = np.stack([phi, np.zeros_like(phi)], axis=-1)
    return Observations(logits, np.zeros(phi.shape[1], dtype=np.int64), membership)


def planted(models: int, examples: int, shift: float, generator: np.random.Generator, queries: int = 1) -> Observations:
    """Observations of models whose phi is N(difficulty of the example, 1), and `shift` higher on members."""
    membership = generator.random((models, examples)) < 0.5
    difficulty = 3 * generator.standard_normal((1, examples, 1))
    noise = generator.standard_normal((models, examples, queries))
    return observations_of(difficulty + noise + shift * membership[:, :, np.newaxis], membership)


def auc(scores: np.ndarray, membership: np.ndarray) -> float:
    """P(member scores higher) + P(tie) / 2, pair by pair."""
    members, others = scores[membership], scores[~membership]
    return fmean([1.0 if a > b else 0.5 if a == b else 0.0 for a in members for b in others])


def tpr_at(scores: np.ndarray, membership: np.ndarray, level: float) -> float:
    """The best TPR over all thresholds "score >= t", t = infinity included, whose FPR does not exceed the level."""
    best = 0.0
    for threshold in set(scores.tolist()):
        accepted = scores >= threshold
        if (accepted & ~membership).sum() <= level * (~membership).sum() + 1e-9:
            best = max(best, (accepted & membership).sum() / membership.sum())
    return best


def advantage(scores: np.ndarray, membership: np.ndarray, first_half: np.ndarray | None = None) -> float:
    """TPR - FPR of each half (even and odd places) at the best threshold of the other half, the highest if several."""
    if first_half is None:
        first_half = np.arange(len(scores)) % 2 == 0

    def gap(half: np.ndarray, threshold: float) -> float:
        rates = []
        for side in (membership & half, ~membership & half):
            rates.append((scores[side] >= threshold).mean() if side.any() else 0.0)
        return float(rates[0] - rates[1])

    thresholds = [math.inf, *sorted(set(scores.tolist()), reverse=True)]
    found = []
    for chosen_on, measured_on in ((first_half, ~first_half), (~first_half, first_half)):
        best = max(thresholds, key=lambda threshold: gap(chosen_on, threshold))
        found.append(gap(measured_on, best))
    return fmean(found)


def lira(
    phi: np.ndarray,
    membership: np.ndarray,
    target: int,
    online: bool,
    variance: str,
    prior: float = 16.0,
    min_std: float = 1e-6,
) -> list[float]:
    """LiRA's scores of one target, example by example and query by query, with lists of the shadows' phi."""
    models, examples, queries = phi.shape
    shadows = [m for m in range(models) if m != target]

    def lists(e: int, q: int, inside: bool) -> list[float]:
        return [float(phi[m, e, q]) for m in shadows if membership[m, e] == inside]

    def squares(values: list[float]) -> float:
        return sum((value - fmean(values)) ** 2 for value in values) if values else 0.0

    scores = []
    total = np.zeros((examples, queries))
    for q in range(queries):
        pooled = {}
        for inside in (True, False):
            groups = [lists(e, q, inside) for e in range(examples)]
            pooled[inside] = sum(map(squares, groups)) / sum(max(len(group) - 1, 0) for group in groups)
        gaps = [
            fmean(lists(e, q, True)) - fmean(lists(e, q, False))
            for e in range(examples)
            if lists(e, q, True) and lists(e, q, False)
        ]
        for e in range(examples):
            groups = {inside: lists(e, q, inside) for inside in (True, False)}
            means = {
                True: fmean(groups[True]) if groups[True] else fmean(groups[False]) + fmean(gaps),
                False: fmean(groups[False]) if groups[False] else fmean(groups[True]) - fmean(gaps),
            }
            sds = {}
            enough = len(groups[True]) >= 32 and len(groups[False]) >= 32
            for inside, values in groups.items():
                freedom = max(len(values) - 1, 0)
                if variance == "pooled":
                    s2 = pooled[inside]
                elif variance == "per-example" and enough:
                    s2 = squares(values) / freedom
                else:
                    s2 = (prior * pooled[inside] + squares(values)) / (prior + freedom)
                sds[inside] = max(math.sqrt(s2), min_std)
            x = float(phi[target, e, q])
            z = {inside: (x - means[inside]) / sds[inside] for inside in groups}
            if online:
                total[e, q] = (-(z[True] ** 2) / 2 - math.log(sds[True])) - (
                    -(z[False] ** 2) / 2 - math.log(sds[False])
                )
            else:
                total[e, q] = z[False]
    for e in range(examples):
        scores.append(fmean(total[e].tolist()))
    return scores
