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
from mgaudit.attacks.shadow_moments import ShadowMoments
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


def online_features(
    view: AdversaryView, drifts: tuple[Drift, ...], contrasts: bool = False
) -> Floats:
    """Returns the statistics of each example (examples, features), float64.

    They are, for each drift that is subtracted from the logits and for each bend, BaVarIA's log
    ratio (the leading statistic is the first), log densities, locations and scales; for each drift
    and temperature, the log ratios of the label's probability to its means over references; and for
    each drift, phi and LiRA's log densities. With `contrasts` and several queries, they are those
    of the first query, followed by BaVarIA's log ratios and RMIA's of the first query minus their
    mean over the others.
    """
    phi, moments = _bent_confidence(view, drifts)
    inside, outside = sides(moments, MIN_STD)
    posterior_in = inside.posterior(inside.predicted_from(outside))
    posterior_out = outside.posterior(outside.predicted_from(inside))
    of_in, of_out = _of_side(phi, posterior_in), _of_side(phi, posterior_out)
    log_ratio, ratios_of_p = of_in[0] - of_out[0], _log_ratios(view, drifts)
    parts = [log_ratio, *of_in, *of_out, *ratios_of_p]
    phi, moments = _unbent(phi, moments, len(drifts))
    # Without any reference, a mean is still missing; it is then the same for all examples.
    mean_in, mean_out = (np.nan_to_num(mean) for mean in moments.filled_means())
    parts.append(phi)
    parts.append(_log_normal(phi, mean_in, moments.count_in, moments.squares_in))
    parts.append(_log_normal(phi, mean_out, moments.count_out, moments.squares_out))
    return _features(parts, view, [log_ratio, ratios_of_p[0]] if contrasts else [])


def offline_features(
    view: AdversaryView, drifts: tuple[Drift, ...], contrasts: bool = False
) -> Floats:
    """Returns those statistics (examples, features) that depend on OUT references only.

    For each bend there is also the z-score of phi (the leading statistic), because a density is
    equally low for members, whose phi is high, and for examples with a low phi. An example without
    an OUT reference is compared with the average example. `contrasts` is as in `online_features`,
    with the z-scores and RMIA's log ratios.
    """
    phi, moments = _bent_confidence(view, drifts)
    _, outside = sides(moments, MIN_STD)
    posterior = outside.posterior(outside.average)
    z_score = (phi - posterior.location) / posterior.scale
    parts = [z_score, *_of_side(phi, posterior)]
    log_p, _, mean_out = _probabilities(view, drifts)
    has_out = moments.count_out[:, 0] > 0
    average = np.full((len(mean_out), 1), UNDECIDED)
    if has_out.any():
        average = mean_out[:, has_out].mean(axis=1, keepdims=True)
    mean_out = np.where(has_out, mean_out, average)
    expected_in = OFFLINE_A * mean_out + 1 - OFFLINE_A
    ratios_of_p = [log_p - np.log(mean) for mean in (mean_out, (expected_in + mean_out) / 2)]
    parts += ratios_of_p
    phi, _ = _unbent(phi, moments, len(drifts))
    parts.append(phi)
    return _features(parts, view, [z_score, ratios_of_p[1]] if contrasts else [])


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


# Arrays of several signals are (columns, examples) below. A column is a query of a signal.


def _bent_confidence(
    view: AdversaryView, drifts: tuple[Drift, ...]
) -> tuple[Floats, ShadowMoments]:
    """Returns bent phi of the target (drifts * bends * queries, examples), and its moments."""
    keys = tuple((BentConfidence(bend), drift) for drift in drifts for bend in BENDS)
    return view.target_columns(keys).T, view.reference_moments(keys)


def _unbent(phi: Floats, moments: ShadowMoments, drifts: int) -> tuple[Floats, ShadowMoments]:
    """Returns the columns without a bend, (drifts * queries, examples), and their moments."""
    columns = np.arange(len(phi)).reshape(drifts, len(BENDS), -1)[:, BENDS.index(np.inf)].ravel()
    unbent = ShadowMoments(
        moments.count_in,
        moments.mean_in.T[columns].T,
        moments.squares_in.T[columns].T,
        moments.count_out,
        moments.mean_out.T[columns].T,
        moments.squares_out.T[columns].T,
    )
    return phi[columns], unbent


def _probabilities(view: AdversaryView, drifts: tuple[Drift, ...]) -> tuple[Floats, Floats, Floats]:
    """Returns log p of the target and the means of p over IN and over OUT references.

    p is the probability of the label; each is (drifts * temperatures * queries, examples). A mean
    is NaN for an example without such a reference.
    """
    pairs = [(temperature, drift) for drift in drifts for temperature in TEMPERATURES]
    of_target = tuple((LogProbability(temperature), drift) for temperature, drift in pairs)
    of_shadows = tuple((Probability(temperature), drift) for temperature, drift in pairs)
    mean_in, mean_out = view.reference_means(of_shadows)
    log_p = np.maximum(view.target_columns(of_target).T, LOWEST_LOG_PROBABILITY)
    return log_p, mean_in.T, mean_out.T


def _log_ratios(view: AdversaryView, drifts: tuple[Drift, ...]) -> list[Floats]:
    """Returns log p minus the log of RMIA's average probability, of its IN and its OUT part."""
    log_p, mean_in, mean_out = _probabilities(view, drifts)
    mean_out = np.where(np.isnan(mean_out), mean_in, mean_out)
    mean_out = np.where(np.isnan(mean_out), UNDECIDED, mean_out)
    expected_in = OFFLINE_A * mean_out + 1 - OFFLINE_A
    mean_in = np.where(np.isnan(mean_in), expected_in, mean_in)
    return [log_p - np.log(mean) for mean in ((mean_in + mean_out) / 2, mean_in, mean_out)]


def _of_side(phi: Floats, posterior: Posterior) -> list[Floats]:
    """Returns log density at phi, location and log scale of a side, each (columns, examples)."""
    return [posterior.log_density(phi, "student"), posterior.location, posterior.log_scale]


def _log_normal(phi: Floats, mean: Floats, count: NDArray[np.int64], squares: Floats) -> Floats:
    """Returns LiRA's log density (columns, examples), with one sd for all examples.

    `phi` is (columns, examples); `mean` and `squares` are (examples, columns), and `count`
    (examples, 1).
    """
    freedom = max(int(np.maximum(count - 1, 0).sum()), 1)
    sd = np.maximum(np.sqrt(squares.sum(axis=0) / freedom), MIN_STD)
    return log_normal(phi, mean.T, sd[:, np.newaxis])


def _features(parts: list[Floats], view: AdversaryView, contrasts: list[Floats]) -> Floats:
    """Returns the features (examples, features): means over queries of the columns of all parts.

    With `contrasts` and several queries, they are the columns of the first query, followed by the
    columns of `contrasts` for the first query minus their means over the others.
    """
    columns = _by_query(parts, view)
    if contrasts and columns.shape[1] > 1:
        compared = _by_query(contrasts, view)
        differences = compared[:, 0] - compared[:, 1:].mean(axis=1)
        of_signals = np.concatenate([columns[:, 0], differences])
    else:
        of_signals = columns.mean(axis=1)
    return np.ascontiguousarray(of_signals.T)


def _by_query(parts: list[Floats], view: AdversaryView) -> Floats:
    """Returns the columns of all parts as (statistics, queries, examples)."""
    examples, queries = view.target_logits.shape[:2]
    return np.concatenate(parts).reshape(-1, queries, examples)
