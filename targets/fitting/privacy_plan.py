"""The privacy parameters of DP-SGD: noise multiplier and epsilon by Opacus' PRV accountant.

Opacus is imported where it is used, because it takes as long to import as torch and few runs need
it.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from mgaudit.errors import UsageError
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.training import Training

LARGEST_MULTIPLIER = 1e6  # from which Opacus ends its search for a noise multiplier


@dataclass(frozen=True)
class PrivacyPlan:
    """The parameters of DP-SGD for every model of an ensemble, independent of membership.

    `noise_multiplier` is the standard deviation of the noise in units of `max_grad_norm`, the norm
    to which gradients are clipped. Each of the `steps` steps samples each example with probability
    `sample_rate`. Gradient sums are divided by `batch_size`, the expected size of a batch.
    `epsilon` (nats) is the accountant's upper bound at `delta` after all steps, infinite without
    noise. Each time that an example is sampled, its gradient is the mean over `views` of it, each
    with augmentation and noise of its own; it is clipped after the mean, so that the accounting
    does not change. `averaging` is the decay of the average over steps that the weights become in
    the end, 0 for the weights of the last step.
    """

    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    steps: int
    batch_size: int
    delta: float
    epsilon: float
    views: int = 1
    averaging: float = 0.0


def plan_privacy(scheme: DPSGD, training: Training, n: float) -> PrivacyPlan:
    """Returns the plan for models whose expected number of training examples is `n`.

    Sample rate, steps and delta are computed from n, which, unlike the number of examples that one
    model actually has, does not depend on the private data. The noise multiplier for a given
    epsilon is computed by bisection on the PRV accountant (Gopi et al. 2021), such that the
    accountant's bound is at most 0.01 below this epsilon.

    Raises:
        UsageError: For settings that DP-SGD or its accountant does not support.
    """
    delta = default_delta(n) if scheme.delta is None else scheme.delta
    if delta >= 1 / n:
        rule = f"must be < 1/n = {1 / n:.3g} for n = {n:g} expected training examples"
        way_out = (
            "at 1/n a mechanism may publish one whole example and still comply; "
            "leave delta out for 1/n^1.1"
        )
        raise UsageError("delta", rule, str(delta), way_out)
    if training.loss != "cross-entropy":
        way_out = "leave DP-SGD out with --no-dp"
        raise UsageError("loss", "must be cross-entropy for DP-SGD", repr(training.loss), way_out)
    if training.batch_size > n:
        rule = f"must be <= {n:g}, the expected number of training examples, for DP-SGD"
        way_out = "use a smaller --batch-size or more examples"
        raise UsageError("batch_size", rule, str(training.batch_size), way_out)
    if scheme.views and scheme.views > 1 and training.augment == "none":
        rule = "must be 1 without augmentation, which makes the views of an example differ"
        raise UsageError("views", rule, str(scheme.views), "use --augment crops, or leave it out")
    sample_rate = training.batch_size / n
    steps = round(training.last_epoch / sample_rate)
    with _limits_of_the_accountant(scheme, delta, training.epochs):
        noise_multiplier = _noise_multiplier(scheme, delta, sample_rate, steps)
        epsilon = epsilon_spent(noise_multiplier, sample_rate, steps, delta)
    return PrivacyPlan(
        noise_multiplier=noise_multiplier,
        max_grad_norm=1.0 if scheme.max_grad_norm is None else scheme.max_grad_norm,
        sample_rate=sample_rate,
        steps=steps,
        batch_size=training.batch_size,
        delta=delta,
        epsilon=epsilon,
        views=scheme.views or 1,
        averaging=scheme.averaging or 0.0,
    )


def _noise_multiplier(scheme: DPSGD, delta: float, sample_rate: float, steps: int) -> float:
    """Returns the scheme's noise multiplier, or the one that reaches the scheme's epsilon."""
    if scheme.epsilon is None:
        assert scheme.noise_multiplier is not None  # DPSGD holds exactly one of the two
        return scheme.noise_multiplier
    from opacus.accountants.utils import get_noise_multiplier

    try:
        with _without_warning_of_the_accountant():
            multiplier = get_noise_multiplier(
                target_epsilon=scheme.epsilon,
                target_delta=delta,
                sample_rate=sample_rate,
                steps=steps,
                accountant="prv",
            )
    except ValueError as error:
        least = epsilon_spent(LARGEST_MULTIPLIER, sample_rate, steps, delta)
        if least <= scheme.epsilon:
            raise  # not because of epsilon
        rule = f"must be > {least:.2g}, the least that the accountant of DP-SGD can prove here"
        way_out = "use a larger --epsilon, fewer epochs, or a larger --delta"
        raise UsageError("epsilon", rule, f"{scheme.epsilon:g}", way_out) from error
    return float(multiplier)


@contextmanager
def _limits_of_the_accountant(scheme: DPSGD, delta: float, epochs: int) -> Iterator[None]:
    """Converts arithmetic errors of the accountant to a UsageError that names the setting."""
    try:
        with np.errstate(divide="ignore"):
            yield
    except UsageError:
        raise
    except MemoryError as error:
        rule = "must be so few that the accountant of DP-SGD can hold their steps in memory"
        raise UsageError(
            "epochs", rule, str(epochs), "use fewer, or a larger --batch-size"
        ) from error
    except OverflowError as error:
        rule = "must be a number that the accountant of DP-SGD can compute with"
        multiplier = f"{scheme.noise_multiplier}"
        raise UsageError(
            "noise_multiplier", rule, multiplier, "use a smaller one, such as 100"
        ) from error
    except (ZeroDivisionError, ValueError) as error:
        rule = "must be so large that rounding errors of the accountant of DP-SGD do not exceed it"
        raise UsageError("delta", rule, str(delta), "use a larger --delta, such as 1e-6") from error


def default_delta(n: float) -> float:
    """Returns 1 / n^1.1, with n > 0 the expected number of training examples."""
    return float(n**-1.1)


def epsilon_spent(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """Returns the PRV accountant's upper bound on epsilon at `delta` after `steps` steps of DP-SGD.

    The bound is in nats, for datasets that differ by one added or removed example. It is infinite
    for a noise multiplier of 0, and never negative: with much noise, the accountant's bound at
    `delta` may be negative, and then 0 is a bound too.
    """
    if noise_multiplier == 0:
        return math.inf
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(noise_multiplier, sample_rate, steps)]
    with _without_warning_of_the_accountant():
        return max(0.0, float(accountant.get_epsilon(delta)))


@contextmanager
def _without_warning_of_the_accountant() -> Iterator[None]:
    """Ignores a warning of Opacus' RDP accountant about its grid of orders.

    The PRV accountant uses the RDP accountant only to choose a domain, for which the grid suffices.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Optimal order is the (largest|smallest) alpha")
        yield
