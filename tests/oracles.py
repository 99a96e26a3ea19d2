"""Slow, obvious versions of what mgaudit computes fast, and observations with known answers."""

import math
from collections.abc import Callable
from statistics import fmean, median, pstdev, variance
from typing import Any

import numpy as np
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import linprog
from scipy.special import bdtr, digamma, polygamma
from sklearn.ensemble import HistGradientBoostingRegressor

from mgaudit.attacks import RMIA, Observations, ShadowClassifier
from mgaudit.testing import observations_of, planted

__all__ = ["observations_of", "planted"]


def auc(scores: np.ndarray, membership: np.ndarray) -> float:
    """P(member scores higher) + P(tie) / 2, pair by pair."""
    members, others = scores[membership], scores[~membership]
    return fmean([1.0 if a > b else 0.5 if a == b else 0.0 for a in members for b in others])


def tpr_at(scores: np.ndarray, membership: np.ndarray, level: float) -> float:
    """The best TPR over thresholds "score >= t", also t = infinity, with FPR up to the level."""
    best = 0.0
    for threshold in set(scores.tolist()):
        accepted = scores >= threshold
        if (accepted & ~membership).sum() <= level * (~membership).sum() + 1e-9:
            best = max(best, (accepted & membership).sum() / membership.sum())
    return best


def advantage(
    scores: np.ndarray, membership: np.ndarray, first_half: np.ndarray | None = None
) -> float:
    """TPR - FPR of even and odd examples at the other half's best (highest if tied) threshold."""
    if first_half is None:
        first_half = np.arange(len(scores)) % 2 == 0

    def gap(half: np.ndarray, threshold: float) -> float:
        rates = []
        for side in (membership & half, ~membership & half):
            rates.append((scores[side] >= threshold).mean() if side.any() else 0.0)
        return float(rates[0] - rates[1])

    thresholds = [math.inf, *sorted(set(scores.tolist()), reverse=True)]
    gaps = []
    for chosen_on, measured_on in ((first_half, ~first_half), (~first_half, first_half)):
        best = max(thresholds, key=lambda threshold: gap(chosen_on, threshold))
        gaps.append(gap(measured_on, best))
    return fmean(gaps)


def lira(
    phi: np.ndarray,
    membership: np.ndarray,
    target: int,
    online: bool,
    variance: str,
    prior: float = 16.0,
    min_std: float = 1e-6,
) -> list[float]:
    """LiRA's scores of one target, by loops over examples, queries and shadows."""
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
            pooled[inside] = sum(map(squares, groups)) / sum(
                max(len(group) - 1, 0) for group in groups
            )
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


def lists_of(
    values: np.ndarray, membership: np.ndarray, target: int, inside: bool
) -> list[list[float]]:
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


def rmia(
    p: np.ndarray, membership: np.ndarray, target: int, online: bool, a: float = 0.3
) -> list[float]:
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


Predictives = list[tuple[float, float, float]]  # degrees of freedom, location and scale


def bavaria_predictives(
    phi: np.ndarray, membership: np.ndarray, target: int
) -> tuple[Predictives, Predictives]:
    """BaVarIA's predictive distributions IN and OUT of each example (one query).

    The posterior is computed by taking in one shadow after the other.
    """

    def prior(groups: list[list[float]]) -> tuple[float, float]:
        several = [group for group in groups if len(group) > 1]
        free = [len(group) - 1 for group in several]
        sample = [
            sum((x - fmean(group)) ** 2 for x in group) / f
            for group, f in zip(several, free, strict=True)
        ]
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

    def predictives(groups: list[list[float]], centres: list[float]) -> Predictives:
        d, s2 = prior(groups)
        known = [(group, centre) for group, centre in zip(groups, centres, strict=True) if group]
        spread = fmean([(fmean(group) - centre) ** 2 for group, centre in known])
        loose = max((spread - s2 * fmean([1 / len(group) for group, _ in known])) / s2, 1e-3)
        predictive = []
        for group, centre in zip(groups, centres, strict=True):
            k, m, a, b = 1 / loose, centre, d / 2, d * s2 / 2
            for x in group:
                b += k * (x - m) ** 2 / (2 * (k + 1))
                m = (k * m + x) / (k + 1)
                k, a = k + 1, a + 0.5
            predictive.append((2 * a, m, math.sqrt(b * (k + 1) / (a * k))))
        return predictive

    inside, outside = (lists_of(phi, membership, target, side) for side in (True, False))

    def led_to_expect(groups: list[list[float]], others: list[list[float]]) -> list[float]:
        average = fmean([fmean(group) for group in groups if group])
        of_others = fmean([fmean(group) for group in others if group])
        alone = [location for _, location, _ in predictives(others, [of_others] * len(others))]
        # Each shadow of an example that has some on both sides is a point of the regression, at its
        # group's mean.
        points = [
            (x, fmean(group))
            for x, group, other in zip(alone, groups, others, strict=True)
            if group and other
            for _ in group
        ]
        line = stats.linregress(*zip(*points, strict=True))
        return [
            line.intercept + line.slope * x if other else average
            for x, other in zip(alone, others, strict=True)
        ]

    return (
        predictives(inside, led_to_expect(inside, outside)),
        predictives(outside, led_to_expect(outside, inside)),
    )


def bavaria(phi: np.ndarray, membership: np.ndarray, target: int, predictive: str) -> list[float]:
    """BaVarIA's scores (one query)."""
    within, without = bavaria_predictives(phi, membership, target)
    scores = []
    for x, member, other in zip(phi[target].tolist(), within, without, strict=True):
        density = (
            stats.t.logpdf
            if predictive == "student"
            else lambda x, _, m, s: stats.norm.logpdf(x, m, s)
        )
        scores.append(float(density(x, *member) - density(x, *other)))
    return scores


def population(losses: list[float], others: list[float]) -> list[float]:
    """-F(loss), ties counted half."""
    return [-fmean([1.0 if z < x else 0.5 if z == x else 0.0 for z in others]) for x in losses]


def reference(
    phi: np.ndarray, membership: np.ndarray, target: int, bandwidth: float = 1.0
) -> list[float]:
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


def clopper_pearson(count: int, total: int, level: float) -> tuple[float, float]:
    """The rates at which at least, and at most, so many of `total` have probability `level`."""
    low = (
        0.0 if count == 0 else falls_to(lambda rate: float(bdtr(count - 1, total, rate)), 1 - level)
    )
    high = 1.0 if count == total else falls_to(lambda rate: float(bdtr(count, total, rate)), level)
    return low, high


def falls_to(
    function: Callable[[float], float], value: float, low: float = 0.0, high: float = 1.0
) -> float:
    """Where a falling function reaches the value, by bisection."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > value else (low, middle)
    return low


def bounds_at(
    true_positives: int, members: int, false_positives: int, others: int, level: float, delta: float
) -> tuple[float, float]:
    """Lower bounds on epsilon and mu at one threshold, each rate at the level."""
    tpr, fpr = (
        clopper_pearson(true_positives, members, level)[0],
        clopper_pearson(false_positives, others, level)[1],
    )
    tnr, fnr = 1 - fpr, 1 - tpr
    epsilon = max(
        [0.0] + [math.log((a - delta) / b) for a, b in ((tpr, fpr), (tnr, fnr)) if a > delta]
    )
    mu = stats.norm.ppf(1 - fpr) - stats.norm.ppf(fnr) if 0 < fnr < 1 and 0 < fpr < 1 else 0.0
    return epsilon, max(0.0, float(mu))


def ranks(count: int) -> list[int]:
    """count / 2, count / 8, ... rounded down, to the first 0."""
    counts, share = [], 2
    while not counts or counts[-1]:
        counts.append(count // share)
        share *= 4
    return counts


def bonferroni(
    scores: np.ndarray, membership: np.ndarray, delta: float, significance: float
) -> tuple[float, float]:
    """Lower bounds on epsilon and mu, threshold by threshold."""
    members, others = sorted(scores[membership].tolist()), sorted(scores[~membership].tolist())
    level = significance / 2 / (len(ranks(len(members))) + len(ranks(len(others))))
    bounds = []
    for k in ranks(len(others)):
        above = sum(score > others[len(others) - 1 - k] for score in members)
        bounds.append(bounds_at(above, len(members), k, len(others), level, delta))
    for k in ranks(len(members)):
        below = sum(score < members[k] for score in others)
        bounds.append(
            bounds_at(
                len(members) - k, len(members), len(others) - below, len(others), level, delta
            )
        )
    return max(epsilon for epsilon, _ in bounds), max(mu for _, mu in bounds)


def split(
    scores: np.ndarray,
    membership: np.ndarray,
    delta: float,
    significance: float,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """Lower bounds on epsilon and mu from the second half, at the first half's best threshold."""
    halves = []
    for side in (scores[membership], scores[~membership]):
        drawn = generator.permutation(side).tolist()
        first = (len(drawn) + 1) // 2
        halves.append((sorted(drawn[:first]), drawn[first:]))
    (seen_members, members), (seen_others, others) = halves
    thresholds = [seen_others[len(seen_others) - 1 - k] for k in ranks(len(seen_others))]
    thresholds += [seen_members[k] for k in ranks(len(seen_members))]

    def bounds(
        threshold: float, positives: list[float], negatives: list[float]
    ) -> tuple[float, float]:
        true_positives, false_positives = (
            sum(x > threshold for x in side) for side in (positives, negatives)
        )
        return bounds_at(
            true_positives, len(positives), false_positives, len(negatives), significance / 2, delta
        )

    best = [
        max(thresholds, key=lambda t: bounds(t, seen_members, seen_others)[which])
        for which in (0, 1)
    ]
    epsilon, mu = (
        bounds(threshold, members, others)[which] for which, threshold in enumerate(best)
    )
    return epsilon, mu


def gdp_delta(epsilon: float, mu: float) -> float:
    """The mass by which N(mu, 1) exceeds e^epsilon N(0, 1), by quadrature."""
    start = epsilon / mu + mu / 2

    def excess(x: float) -> float:
        return float(stats.norm.pdf(x - mu) - math.exp(epsilon + stats.norm.logpdf(x)))

    return float(
        quad(excess, start, max(start, mu) + 40, points=[mu] if mu > start else None, epsabs=1e-14)[
            0
        ]
    )


def one_run_chance(correct: int, made: int, canaries: int, epsilon: float, delta: float) -> float:
    """Steinke, Nasr and Jagielski's bound on the probability of so many correct guesses."""
    guess = stats.binom(made, math.exp(epsilon) / (1 + math.exp(epsilon)))
    mass = guess.pmf(range(made + 1)).tolist()
    terms = [sum(mass[correct - i : correct]) / i for i in range(1, correct + 1)]
    return min(1.0, sum(mass[correct:]) + 2 * canaries * delta * max(terms, default=0.0))


def f_dp_total(
    correct: int, made: int, canaries: int, level_of: Callable[[float], float], significance: float
) -> float:
    """The least total probability if that of >= `correct` guesses is `significance` (paper).

    h[i] is the chance, at i correct or more, that a canary drawn at random is guessed wrong, and
    r[i] that it is guessed right.
    """
    r, h = [0.0] * (correct + 1), [0.0] * (correct + 1)
    r[correct], h[correct] = (
        significance * correct / canaries,
        significance * (made - correct) / canaries,
    )
    for i in range(correct - 1, -1, -1):
        h[i] = max(h[i + 1], level_of(min(r[i + 1], 1.0)))
        r[i] = r[i + 1] + i / (made - i) * (h[i] - h[i + 1])
    return (r[0] + h[0]) * canaries / made


def f_dp_chance(correct: int, made: int, canaries: int, epsilon: float, delta: float) -> float:
    """The largest probability of >= `correct` guesses under (epsilon, delta), by a linear program.

    The unknowns are the chances of 0, ..., `made` correct guesses; the trade-off curve is three
    lines.
    """
    counts = np.arange(made + 1)
    rows, limits = [], []
    for i in range(made):
        right = np.where(counts > i, counts, 0) / canaries
        wrong = np.where(counts >= i, made - counts, 0) / canaries
        rows += [right - math.exp(epsilon) * wrong, right - math.exp(-epsilon) * wrong]
        limits += [delta, 1 - math.exp(-epsilon) * (1 - delta)]
    solution = linprog(
        -1.0 * (counts >= correct), rows, limits, [np.ones(made + 1)], [1.0], method="highs-ds"
    )
    return float(-solution.fun)


def rmia_share(
    p: np.ndarray,
    membership: np.ndarray,
    others: np.ndarray,
    target: int,
    attack: RMIA,
    gamma: float,
) -> list[float]:
    """The share of population points z with r(x) / r(z) >= gamma, pair by pair.

    With several queries, ratios are medians of the logarithms over queries.
    `p` (models, examples, queries) and `others` (models, population, queries) are probabilities of
    the label.
    """
    queries = range(p.shape[2])
    of_x = [rmia(p[:, :, q], membership, target, attack.online, attack.a) for q in queries]
    ratios = [math.exp(median(row[e] for row in of_x)) for e in range(p.shape[1])]
    of_z = []
    for z in range(others.shape[1]):
        logs = []
        for q in queries:
            mean = fmean([float(others[m, z, q]) for m in range(len(others)) if m != target])
            pbar = mean if attack.online else ((1 + attack.a) * mean + (1 - attack.a)) / 2
            logs.append(math.log(float(others[target, z, q]) / pbar))
        of_z.append(math.exp(median(logs)))
    return [fmean([1.0 if x / z >= gamma else 0.0 for z in of_z]) for x in ratios]


def label_only(logits: np.ndarray, labels: np.ndarray) -> list[float]:
    """The share of correct labels, logits (examples, queries, classes); a tie of t counts 1 / t."""
    scores = []
    for example, label in zip(logits.tolist(), labels.tolist(), strict=True):
        right = []
        for query in example:
            first = [index for index, value in enumerate(query) if value == max(query)]
            right.append(1 / len(first) if label in first else 0.0)
        scores.append(fmean(right))
    return scores


def quantile(observations: Observations, target: int, trees: int) -> list[float]:
    """(margin - median) / sd of a target, with quartiles from scikit-learn's trees (one query)."""

    def rows(features: np.ndarray, labels: np.ndarray) -> list[list[float]]:
        return [
            [*map(float, row), float(label)] for row, label in zip(features, labels, strict=True)
        ]

    def margin_of(logits: np.ndarray, labels: np.ndarray) -> list[float]:
        margins = []
        for z, label in zip(logits[:, 0].tolist(), labels, strict=True):
            margins.append(z[label] - max(v for j, v in enumerate(z) if j != label))
        return margins

    assert observations.population_logits is not None
    assert observations.population_labels is not None
    known = rows(observations.population_extras["features"][target], observations.population_labels)
    known_margin = margin_of(observations.population_logits[target], observations.population_labels)
    asked = rows(observations.extras["features"][target], observations.labels)
    columns, known_columns = [], []
    for level in (0.25, 0.5, 0.75):
        fitted = HistGradientBoostingRegressor(
            loss="quantile",
            quantile=level,
            max_iter=trees,
            categorical_features=[len(asked[0]) - 1],
            early_stopping=False,
        ).fit(np.array(known), known_margin)
        columns.append(fitted.predict(asked).tolist())
        known_columns.append(fitted.predict(known).tolist())
    rest = [
        x - median(row)
        for x, row in zip(known_margin, zip(*known_columns, strict=True), strict=True)
    ]
    floor = 0.1 * float(np.quantile(rest, 0.75) - np.quantile(rest, 0.25)) / 1.349
    scores = []
    for x, row in zip(
        margin_of(observations.logits[target], observations.labels),
        zip(*columns, strict=True),
        strict=True,
    ):
        low, mu, high = sorted(row)
        scores.append((x - mu) / max((high - low) / 1.349, floor))
    return scores


def shadow_classifier(
    observations: Observations, target: int, attack: ShadowClassifier, fit: Callable[[], Any]
) -> list[float]:
    """The log-odds of one target from classifiers of `fit`, trained on single rows (no ties)."""
    labels, membership = observations.labels.tolist(), observations.membership
    queries = observations.queries

    def features(model: int, example: int) -> tuple[float, list[float]]:
        """phi, and all features."""
        columns = []
        for query in range(queries):
            z = observations.logits[model, example, query].tolist()
            label = labels[example]
            total = sum(math.exp(v) for v in z)
            p = [math.exp(v) / total for v in z]
            phi = z[label] - math.log(sum(math.exp(v) for j, v in enumerate(z) if j != label))
            columns.append([*p, *sorted(p, reverse=True), math.log(1 + math.exp(-phi)), phi])
        averaged = [fmean(column) for column in zip(*columns, strict=True)]
        return averaged[-1], averaged

    def rows(side: bool, chosen: set[int]) -> list[list[float]]:
        numbered = [
            features(model, example)
            for model in range(observations.models)
            for example in range(len(labels))
            if model != target and labels[example] in chosen and membership[model, example] == side
        ]
        return [row for _, row in sorted(numbered)]

    fitted = {}
    for label in set(labels):
        sides = [rows(side, {label}) for side in (True, False)]
        if min(map(len, sides)) < 10:
            sides = [rows(side, set(labels)) for side in (True, False)]
        count = min(attack.rows, *map(len, sides))
        train = [
            side[math.floor((i + 0.5) * len(side) / count)] for side in sides for i in range(count)
        ]
        moments = [(fmean(column), pstdev(column)) for column in zip(*train, strict=True)]
        standard = [[(x - c) / s for x, (c, s) in zip(row, moments, strict=True)] for row in train]
        fitted[label] = fit().fit(standard, [True] * count + [False] * count), moments

    scores = [0.0] * len(labels)
    for label, (model, moments) in fitted.items():
        examples = [example for example, own in enumerate(labels) if own == label]
        asked = [
            [(x - c) / s for x, (c, s) in zip(features(target, example)[1], moments, strict=True)]
            for example in examples
        ]
        if hasattr(model, "decision_function"):
            answers = model.decision_function(asked)
        else:
            answers = [
                math.log(p / (1 - p))
                for p in np.clip(model.predict_proba(asked)[:, 1], 1e-6, 1 - 1e-6)
            ]
        for example, answer in zip(examples, answers, strict=True):
            scores[example] = float(answer)
    return scores


def delong_variance(scores: np.ndarray, membership: np.ndarray) -> float:
    """Variance of the AUC from members' means over non-members and vice versa, pair by pair."""
    members, others = scores[membership], scores[~membership]

    def win(a: float, b: float) -> float:
        return 1.0 if a > b else 0.5 if a == b else 0.0

    members_win = [fmean([win(a, b) for b in others]) for a in members]
    others_win = [fmean([win(b, a) for a in members]) for b in others]
    return variance(members_win) / len(members) + variance(others_win) / len(others)
