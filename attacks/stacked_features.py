"""The statistics of calibrated attacks that the stacked attack weighs.

In every statistic, means over queries are taken last. "in" refers to the references that trained on
an example, and "out" to the others.
"""

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.drift import Drift
from mgaudit.attacks.ensemble import Floats, Labels, Signal
from mgaudit.attacks.lira import log_normal
from mgaudit.attacks.normal_inverse_gamma import Posterior, sides
from mgaudit.attacks.rmia import mean_where
from mgaudit.attacks.signals import (
    LOWEST_LOG_PROBABILITY,
    BentConfidence,
    LogProbability,
    Probability,
    label_logit,
    logit_confidence,
)

TEMPERATURES = (1.0, 2.0, 4.0)
BENDS = (4.0, np.inf)
MIN_STD = 1e-6
UNDECIDED = 0.5  # mean probability for an example without any reference
OFFLINE_A = 0.3  # as in RMIA: mean_in = a mean_out + 1 - a, where there is no IN reference


def online_features(view: AdversaryView, drift: Drift) -> Floats:
    """Returns the statistics of each example (examples, features), float64.

    They are, for each bend, BaVarIA's log ratio (the leading statistic), log densities, locations
    and scales; for each temperature, the log ratios of the label's probability to its means over
    references; phi; and LiRA's log densities. `drift` is subtracted from the logits.
    """
    columns: list[Floats] = []
    for bend in BENDS:
        columns += _predictive(view, bend, drift)
    for temperature in TEMPERATURES:
        columns += _log_ratios(view, temperature, drift)
    phi = view.target_signal(logit_confidence, drift)
    columns.append(phi.mean(axis=-1))
    moments = view.shadow_moments(logit_confidence, drift)
    # Without any reference, a mean is still missing; it is then the same for all examples.
    mean_in, mean_out = (np.nan_to_num(mean) for mean in moments.filled_means())
    columns.append(_log_normal(phi, mean_in, moments.count_in, moments.squares_in))
    columns.append(_log_normal(phi, mean_out, moments.count_out, moments.squares_out))
    return np.stack(columns, axis=1)


def offline_features(view: AdversaryView, drift: Drift) -> Floats:
    """Returns those statistics (examples, features) that depend on OUT references only.

    For each bend there is also the z-score of phi (the leading statistic), because a density is
    equally low for members, whose phi is high, and for examples with a low phi. An example without
    an OUT reference is compared with the average example.
    """
    columns: list[Floats] = []
    for bend in BENDS:
        columns += _predictive_out(view, bend, drift)
    columns.append(view.target_signal(logit_confidence, drift).mean(axis=-1))
    for temperature in TEMPERATURES:
        log_p, mean_out = _probabilities(view, temperature, drift, view.references_out)
        has_out = view.references_out.any(axis=0)
        average = mean_out[has_out].mean(axis=0) if has_out.any() else UNDECIDED
        mean_out = np.where(np.isnan(mean_out), average, mean_out)
        expected_in = OFFLINE_A * mean_out + 1 - OFFLINE_A
        for mean in (mean_out, (expected_in + mean_out) / 2):
            columns.append((log_p - np.log(mean)).mean(axis=-1))
    return np.stack(columns, axis=1)


def online_drift_features(view: AdversaryView) -> Floats:
    """Returns how the classes of the target differ from those of its shadows (examples, 4).

    For each label, these are the mean over the population and that over the examples, of the
    target's phi minus its mean over shadows; and the same for the logit of the label.
    """
    columns = []
    for signal in (logit_confidence, label_logit):
        columns.append(_population_drift(view, signal))
        shadows = view.shadow_signal(signal).mean(axis=0)
        difference = (view.target_signal(signal) - shadows).mean(axis=-1)
        columns.append(_class_means(difference, view.labels, view.labels))
    return np.stack(columns, axis=1)


def offline_drift_features(view: AdversaryView) -> Floats:
    """Returns the drift features of the population (examples, 2).

    Those of the examples depend on shadows that trained on them.
    """
    signals = (logit_confidence, label_logit)
    return np.stack([_population_drift(view, signal) for signal in signals], axis=1)


def _population_drift(view: AdversaryView, signal: Signal) -> Floats:
    """Returns the mean over the population of target minus shadows, for each label (examples,)."""
    shadows = view.shadow_population_signal(signal).mean(axis=0)
    difference = (view.population_signal(signal) - shadows).mean(axis=-1)
    return _class_means(difference, view.population_labels, view.labels)


def _class_means(values: Floats, labels: Labels, of_labels: Labels) -> Floats:
    """Returns, for each of `of_labels`, the mean of `values` over the points of this class.

    `values` and `labels` are (points,). The mean is 0 for a class without points.
    """
    classes = int(max(labels.max(initial=0), of_labels.max(initial=0))) + 1
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=values, minlength=classes)
    means = sums / np.maximum(counts, 1)
    return np.asarray(means[of_labels], dtype=np.float64)


def _probabilities(
    view: AdversaryView, temperature: float, drift: Drift, references: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Returns log p of the target, and the mean of p over references; (examples, queries) each.

    p is the probability of the label. The mean is NaN for an example without a reference.
    """
    log_p = view.target_signal(LogProbability(temperature), drift)
    p = view.shadow_signal(Probability(temperature), drift)
    return np.maximum(log_p, LOWEST_LOG_PROBABILITY), mean_where(p, references)


def _log_ratios(view: AdversaryView, temperature: float, drift: Drift) -> list[Floats]:
    """Returns log p minus the log of RMIA's average probability, of its IN and its OUT part."""
    log_p, mean_out = _probabilities(view, temperature, drift, view.references_out)
    _, mean_in = _probabilities(view, temperature, drift, view.references_in)
    mean_out = np.where(np.isnan(mean_out), mean_in, mean_out)
    mean_out = np.where(np.isnan(mean_out), UNDECIDED, mean_out)
    expected_in = OFFLINE_A * mean_out + 1 - OFFLINE_A
    mean_in = np.where(np.isnan(mean_in), expected_in, mean_in)
    means = ((mean_in + mean_out) / 2, mean_in, mean_out)
    return [(log_p - np.log(mean)).mean(axis=-1) for mean in means]


def _predictive(view: AdversaryView, bend: float, drift: Drift) -> list[Floats]:
    """Returns BaVarIA's log ratio, and log density, location and log scale of both sides."""
    signal = BentConfidence(bend)
    phi, moments = view.target_signal(signal, drift), view.shadow_moments(signal, drift)
    of_queries = []
    for query in range(phi.shape[1]):
        inside, outside = sides(moments, query)
        posterior_in = inside.posterior(inside.predicted_from(outside, MIN_STD), MIN_STD)
        posterior_out = outside.posterior(outside.predicted_from(inside, MIN_STD), MIN_STD)
        of_in = _of_side(phi[:, query], posterior_in)
        of_out = _of_side(phi[:, query], posterior_out)
        of_queries.append([of_in[0] - of_out[0], *of_in, *of_out])
    return list(np.mean(of_queries, axis=0))


def _predictive_out(view: AdversaryView, bend: float, drift: Drift) -> list[Floats]:
    """Returns z-score, log density, location and log scale of BaVarIA's OUT distribution."""
    signal = BentConfidence(bend)
    phi, moments = view.target_signal(signal, drift), view.shadow_moments(signal, drift)
    of_queries = []
    for query in range(phi.shape[1]):
        _, outside = sides(moments, query)
        posterior = outside.posterior(outside.average(), MIN_STD)
        z_score = (phi[:, query] - posterior.location) / posterior.scale
        of_queries.append([z_score, *_of_side(phi[:, query], posterior)])
    return list(np.mean(of_queries, axis=0))


def _of_side(phi: Floats, posterior: Posterior) -> list[Floats]:
    """Returns log density at phi, location and log scale of a side, each (examples,)."""
    density = posterior.log_density(phi, "student")
    return [density, posterior.location, np.log(posterior.scale)]


def _log_normal(phi: Floats, mean: Floats, count: NDArray[np.int64], squares: Floats) -> Floats:
    """Returns LiRA's log density (examples,), with one sd within examples for all of them.

    `phi`, `mean` and `squares` are (examples, queries); `count` is (examples, 1).
    """
    freedom = max(int(np.maximum(count - 1, 0).sum()), 1)
    sd = np.maximum(np.sqrt(squares.sum(axis=0) / freedom), MIN_STD)
    return np.asarray(log_normal(phi, mean, sd).mean(axis=-1), dtype=np.float64)
