"""The statistics of calibrated attacks that the stacked attack weighs."""

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.normal_inverse_gamma import Posterior, Side
from mgaudit.attacks.observations import AdversaryView, Floats, Labels
from mgaudit.attacks.rmia import LOWEST_LOG_PROBABILITY, mean_where, probabilities
from mgaudit.attacks.shadow_moments import ShadowMoments
from mgaudit.attacks.signals import BentConfidence, LogProbability, logit_confidence

TEMPERATURES = (1.0, 2.0, 4.0)
BENDS = (4.0, np.inf)
MIN_STD = 1e-6
OFFLINE_A = 0.3  # as in RMIA, for examples without a reference on one side


def features(view: AdversaryView, online: bool) -> Floats:
    """Returns the statistics of each example (examples, features), float64.

    They are phi; for each temperature, the log ratios of the label's probability and its means over
    references; for each bend, BaVarIA's log ratio, densities, locations and scales; and LiRA's log
    densities. Offline, only those of references without the example.
    """
    columns = [view.target_signal(logit_confidence).mean(axis=-1)]
    for temperature in TEMPERATURES:
        columns += _ratios(view, temperature, online)
    for bend in BENDS:
        columns += _predictive(view, bend, online)
    columns += _normal(view, online)
    return np.stack(columns, axis=1)


def drift_features(view: AdversaryView) -> Floats:
    """Returns how the classes of the target differ from those of its references (examples, 4).

    For each label, the mean over the population, and that over the examples, of the target's phi
    minus its mean over shadows; and the same for the logit of the label.
    """
    columns = []
    for signal in (logit_confidence, label_logit):
        of_population = view.population_signal(signal)
        shadows_of_population = view.shadow_population_signal(signal)
        for target, shadows, labels in (
            (of_population, shadows_of_population, view.population_labels),
            (view.target_signal(signal), view.shadow_signal(signal), view.labels),
        ):
            difference = (target - shadows.mean(axis=0)).mean(axis=-1)
            columns.append(_class_means(difference, labels, view.labels))
    return np.stack(columns, axis=1)


def label_logit(logits: NDArray[np.floating], labels: Labels) -> Floats:
    """Returns the label's logit minus the mean over classes, shaped as `logit_confidence`."""
    values = logits.astype(np.float64)
    index = np.broadcast_to(labels[:, np.newaxis, np.newaxis], (*values.shape[:-1], 1))
    of_label = np.take_along_axis(values, index, axis=-1)[..., 0]
    return np.asarray(of_label - values.mean(axis=-1), dtype=np.float64)


def _class_means(values: Floats, labels: Labels, wanted: Labels) -> Floats:
    """Returns the mean of `values` (points,) over the points of each wanted class; 0 without any.

    `labels` are (points,), and the result has the shape of `wanted`.
    """
    classes = int(max(labels.max(initial=0), wanted.max(initial=0))) + 1
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=values, minlength=classes)
    means = sums / np.maximum(counts, 1)
    return np.asarray(means[wanted], dtype=np.float64)


def _ratios(view: AdversaryView, temperature: float, online: bool) -> list[Floats]:
    """Returns log p minus the log of its mean over the references: all, IN and OUT."""
    signal = LogProbability(temperature)
    log_p = np.maximum(view.target_signal(signal), LOWEST_LOG_PROBABILITY)
    p = probabilities(view.shadow_signal(signal))
    mean_out = mean_where(p, view.references_out)
    if not online:
        # Without any reference, there is no evidence.
        return [
            (log_p - np.log(np.where(np.isnan(mean_out), np.exp(log_p), mean_out))).mean(axis=-1)
        ]
    mean_in = mean_where(p, view.references_in)
    expected_in = OFFLINE_A * mean_out + 1 - OFFLINE_A
    mean_in = np.where(np.isnan(mean_in), expected_in, mean_in)
    mean_out = np.where(np.isnan(mean_out), mean_in, mean_out)
    means = ((mean_in + mean_out) / 2, mean_in, mean_out)
    return [(log_p - np.log(mean)).mean(axis=-1) for mean in means]


def _predictive(view: AdversaryView, bend: float, online: bool) -> list[Floats]:
    """Returns BaVarIA's statistics, averaged over queries."""
    signal = BentConfidence(bend)
    phi, moments = view.target_signal(signal), view.shadow_moments(signal)
    of_queries = []
    for query in range(phi.shape[1]):
        inside, outside = _sides(moments, query)
        if online:
            posterior_in = inside.posterior(inside.predicted_from(outside, MIN_STD), MIN_STD)
            posterior_out = outside.posterior(outside.predicted_from(inside, MIN_STD), MIN_STD)
            of_queries.append(_both(phi[:, query], posterior_in, posterior_out))
        else:
            posterior_out = outside.posterior(outside.average(), MIN_STD)
            of_queries.append(_of_side(phi[:, query], posterior_out))
    return list(np.mean(of_queries, axis=0))


def _sides(moments: ShadowMoments, query: int) -> tuple[Side, Side]:
    inside = Side(moments.count_in[:, 0], moments.mean_in[:, query], moments.squares_in[:, query])
    outside = Side(
        moments.count_out[:, 0], moments.mean_out[:, query], moments.squares_out[:, query]
    )
    return inside, outside


def _both(phi: Floats, posterior_in: Posterior, posterior_out: Posterior) -> list[Floats]:
    of_in, of_out = _of_side(phi, posterior_in), _of_side(phi, posterior_out)
    return [of_in[0] - of_out[0], *of_in, *of_out]


def _of_side(phi: Floats, posterior: Posterior) -> list[Floats]:
    """Returns log density at phi, location and log scale of a side, each (examples,)."""
    density = posterior.log_density(phi, "student")
    return [density, posterior.location, np.log(posterior.scale)]


def _normal(view: AdversaryView, online: bool) -> list[Floats]:
    """Returns LiRA's log densities with one sd for all examples, of IN and OUT references."""
    phi, moments = view.target_signal(logit_confidence), view.shadow_moments(logit_confidence)
    mean_in, mean_out = moments.filled_means()
    out = _log_density(phi, mean_out, moments.count_out, moments.squares_out)
    if not online:
        return [out]
    return [_log_density(phi, mean_in, moments.count_in, moments.squares_in), out]


def _log_density(phi: Floats, mean: Floats, count: NDArray[np.int64], squares: Floats) -> Floats:
    freedom = max(int(np.maximum(count - 1, 0).sum()), 1)
    sd = np.maximum(np.sqrt(squares.sum(axis=0) / freedom), MIN_STD)
    return np.asarray((-0.5 * ((phi - mean) / sd) ** 2 - np.log(sd)).mean(axis=-1))
