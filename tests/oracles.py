"""Slow, obvious versions of what mgaudit computes fast, and observations with known answers."""

import math
from statistics import fmean, variance

import numpy as np
from scipy import stats
from scipy.special import digamma, polygamma

from attacks import Observations


def observations_of(phi: np.ndarray, membership: np.ndarray, population: np.ndarray | None = None) -> Observations:
    """Two-class logits whose logit confidence is `phi` (models, examples[, queries]) to the last bit.

    `population` (models, population, queries) is that of the population's, if there is to be one.
    """
    if phi.ndim == 2:
        phi = phi[:, :, np.newaxis]
    logits = np.stack([phi, np.zeros_like(phi)], axis=-1)
    labels = np.zeros(phi.shape[1], dtype=np.int64)
    if population is None:
        return Observations(logits, labels, membership)
    others = np.stack([population, np.zeros_like(population)], axis=-1)
    return Observations(logits, labels, membership, others, np.zeros(population.shape[1], dtype=np.int64))


def planted(models: int, examples: int, shift: float, generator: np.random.Generator, queries: int = 1) -> Observations:
    """Observations of models whose phi is N(difficulty of the example, 1), and `shift` higher on members."""
    membership = generator.random((models, examples)) < 0.5
    difficulty = 3 * generator.standard_normal((1, examples, 1))
    noise = generator.standard_normal((models, examples, queries))
    population = 3 * generator.standard_normal((1, 500, 1)) + generator.standard_normal((models, 500, queries))
    return observations_of(difficulty + noise + shift * membership[:, :, np.newaxis], membership, population)


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


def lists_of(values: np.ndarray, membership: np.ndarray, target: int, inside: bool) -> list[list[float]]:
    """The shadows' values (models, examples) on one side, a list for each example."""
    models, examples = values.shape
    return [
        [float(values[m, e]) for m in range(models) if m != target and membership[m, e] == inside]
        for e in range(examples)
    ]


def calibration(losses: np.ndarray, membership: np.ndarray, target: int) -> list[float]:
    """Mean loss of the shadows without the example - loss of the target (one query)."""
    inside, outside = (lists_of(losses, membership, target, side) for side in (True, False))
    gap = fmean([fmean(a) - fmean(b) for a, b in zip(inside, outside, strict=True) if a and b])
    return [
        (fmean(b) if b else fmean(a) - gap) - float(loss)
        for a, b, loss in zip(inside, outside, losses[target], strict=True)
    ]


def rmia(p: np.ndarray, membership: np.ndarray, target: int, online: bool, a: float = 0.3) -> list[float]:
    """log p_y(x) / pbar(x), with p (models, examples) the probability of the label (one query)."""
    scores = []
    for e, (inside, outside) in enumerate(
        zip(*(lists_of(p, membership, target, side) for side in (True, False)), strict=True)
    ):
        mean_out = fmean(outside) if outside else fmean(inside)
        offline_in = a * mean_out + (1 - a)
        mean_in = fmean(inside) if online and inside else offline_in
        scores.append(math.log(float(p[target, e]) / ((mean_in + mean_out) / 2)))
    return scores


def bavaria(phi: np.ndarray, membership: np.ndarray, target: int, predictive: str) -> list[float]:
    """BaVarIA's scores (one query), the posterior by taking in one shadow after the other."""

    def prior(groups: list[list[float]]) -> tuple[float, float]:
        several = [group for group in groups if len(group) > 1]
        free = [len(group) - 1 for group in several]
        sample = [sum((x - fmean(group)) ** 2 for x in group) / f for group, f in zip(several, free, strict=True)]
        pooled = sum(s * f for s, f in zip(sample, free, strict=True)) / sum(free)
        logs = [
            math.log(max(s, 1e-6 * pooled)) - float(digamma(f / 2)) + math.log(f / 2)
            for s, f in zip(sample, free, strict=True)
        ]
        excess = float(np.var(logs, ddof=1)) - fmean([float(polygamma(1, f / 2)) for f in free])
        if excess <= 0:
            d = 1e4
        else:
            low, high = 1e-3, 5e3
            for _ in range(200):  # bisection: trigamma falls
                middle = (low + high) / 2
                low, high = (middle, high) if polygamma(1, middle) > excess else (low, middle)
            d = min(2 * low, 1e4)
        return d, math.exp(fmean(logs) + float(digamma(d / 2)) - math.log(d / 2))

    def predictives(groups: list[list[float]], centres: list[float]) -> list[tuple[float, float, float]]:
        d, s2 = prior(groups)
        known = [(group, centre) for group, centre in zip(groups, centres, strict=True) if group]
        spread = fmean([(fmean(group) - centre) ** 2 for group, centre in known])
        loose = max((spread - s2 * fmean([1 / len(group) for group, _ in known])) / s2, 1e-3)
        found = []
        for group, centre in zip(groups, centres, strict=True):
            k, m, a, b = 1 / loose, centre, d / 2, d * s2 / 2
            for x in group:
                b += k * (x - m) ** 2 / (2 * (k + 1))
                m = (k * m + x) / (k + 1)
                k, a = k + 1, a + 0.5
            found.append((2 * a, m, math.sqrt(b * (k + 1) / (a * k))))
        return found

    inside, outside = (lists_of(phi, membership, target, side) for side in (True, False))
    average = fmean([fmean(group) for group in outside if group])
    without = predictives(outside, [average] * len(outside))
    gap = fmean([fmean(group) - m for group, (_, m, _) in zip(inside, without, strict=True) if group])
    within = predictives(inside, [m + gap for _, m, _ in without])
    scores = []
    for x, member, other in zip(phi[target].tolist(), within, without, strict=True):
        density = stats.t.logpdf if predictive == "student" else lambda x, _, m, s: stats.norm.logpdf(x, m, s)
        scores.append(float(density(x, *member) - density(x, *other)))
    return scores


def population(losses: list[float], others: list[float]) -> list[float]:
    """-F(loss), ties counted half."""
    return [-fmean([1.0 if z < x else 0.5 if z == x else 0.0 for z in others]) for x in losses]


def reference(phi: np.ndarray, membership: np.ndarray, target: int, bandwidth: float = 0.5) -> list[float]:
    """-log of the smoothed share of shadows without the example whose phi is higher (one query)."""
    outside, inside = (lists_of(phi, membership, target, side) for side in (False, True))
    squares = sum(sum((x - fmean(group)) ** 2 for x in group) for group in outside if group)
    width = bandwidth * math.sqrt(squares / sum(max(len(group) - 1, 0) for group in outside))
    gap = fmean([fmean(a) - fmean(b) for a, b in zip(inside, outside, strict=True) if a and b])
    scores = []
    for x, group, members in zip(phi[target].tolist(), outside, inside, strict=True):
        compared = group or [fmean(members) - gap]
        scores.append(-math.log(fmean([float(stats.norm.cdf((z - x) / width)) for z in compared])))
    return scores


def delong_variance(scores: np.ndarray, membership: np.ndarray) -> float:
    """Variance of the AUC: that of each member's mean over non-members, and the other way round, pair by pair."""
    members, others = scores[membership], scores[~membership]

    def win(a: float, b: float) -> float:
        return 1.0 if a > b else 0.5 if a == b else 0.0

    members_win = [fmean([win(a, b) for b in others]) for a in members]
    others_win = [fmean([win(b, a) for a in members]) for b in others]
    return variance(members_win) / len(members) + variance(others_win) / len(others)
