"""The privacy parameters of DP-SGD: noise, sampling rate and steps, and epsilon at delta."""

from dataclasses import dataclass

from mgaudit.errors import UsageError
from mgaudit.targets.fitting.accountants import (
    noise_for_epsilon,
    privacy_bounds,
)
from mgaudit.targets.limits import STEPS
from mgaudit.targets.schemes import DPSGD
from mgaudit.targets.schemes.dpsgd import LARGEST_NOISE
from mgaudit.targets.training import Training


@dataclass(frozen=True)
class PrivacyPlan:
    """The parameters of DP-SGD for every model of an ensemble, independent of membership.

    `noise_multiplier` is the standard deviation of the noise in units of `max_grad_norm`, the norm
    to which gradients are clipped. Each of the `steps` steps samples each example with probability
    `sample_rate`. Gradient sums are divided by `batch_size`, the expected size of a batch.

    `epsilon` (nats) is the least of the accountants' upper bounds at `delta` after all steps, that
    of `accountant`; it is infinite without noise. `epsilon_prv` and `epsilon_pld` are the bounds by
    PRV and PLD, None where one cannot be computed.

    The gradient of a sampled example is the mean over `views` of it, each with augmentation and
    noise of its own. It is clipped after the mean, so that the accounting does not change.
    `averaging` is the decay of the average over steps that the weights become in the end, 0 for the
    weights of the last step.
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
    epsilon_prv: float | None = None
    epsilon_pld: float | None = None
    accountant: str = ""


def plan_privacy(scheme: DPSGD, training: Training, n: float) -> PrivacyPlan:
    """Returns the plan for models whose expected number of training examples is `n`.

    Sample rate, steps and delta are computed from n, which, unlike the number of examples that one
    model actually has, does not depend on the private data. The noise multiplier for a given
    epsilon is the one for which the bound by PLD is at most 0.01 below this epsilon.

    Raises:
        UsageError: For settings that DP-SGD does not support, and for an epsilon that no noise
            multiplier up to 10⁶ reaches.
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
        way_out = "use a smaller batch size or more examples"
        raise UsageError("batch_size", rule, str(training.batch_size), way_out)
    if scheme.views and scheme.views > 1 and training.augment == "none":
        rule = "must be 1 without augmentation, which makes the views of an example differ"
        raise UsageError("views", rule, str(scheme.views), "use --augment crops, or leave it out")
    sample_rate = training.batch_size / n
    steps = round(training.last_epoch / sample_rate)
    STEPS.check("epochs", steps)
    noise_multiplier = _noise_multiplier(scheme, delta, sample_rate, steps)
    bounds = privacy_bounds(noise_multiplier, sample_rate, steps, delta)
    return PrivacyPlan(
        noise_multiplier=noise_multiplier,
        max_grad_norm=1.0 if scheme.max_grad_norm is None else scheme.max_grad_norm,
        sample_rate=sample_rate,
        steps=steps,
        batch_size=training.batch_size,
        delta=delta,
        epsilon=bounds.epsilon,
        epsilon_prv=bounds.by_accountant.get("PRV"),
        epsilon_pld=bounds.by_accountant.get("PLD"),
        accountant=bounds.accountant,
        views=scheme.views or 1,
        averaging=scheme.averaging or 0.0,
    )


def _noise_multiplier(scheme: DPSGD, delta: float, sample_rate: float, steps: int) -> float:
    """Returns the scheme's noise multiplier, or the one that reaches the scheme's epsilon."""
    if scheme.epsilon is None:
        assert scheme.noise_multiplier is not None  # DPSGD holds exactly one of the two
        return scheme.noise_multiplier
    noise_multiplier = noise_for_epsilon(scheme.epsilon, sample_rate, steps, delta)
    if noise_multiplier is None:
        least = epsilon_spent(LARGEST_NOISE, sample_rate, steps, delta)
        rule = f"must be > {least:.2g}, which is proved at the largest noise multiplier, 10⁶"
        way_out = "use a larger --epsilon, fewer epochs, or a larger --delta"
        raise UsageError("epsilon", rule, f"{scheme.epsilon:g}", way_out)
    return noise_multiplier


def default_delta(n: float) -> float:
    """Returns 1 / n^1.1, with n > 0 the expected number of training examples."""
    return float(n**-1.1)


def epsilon_spent(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """Returns the least upper bound on epsilon at `delta` after `steps` steps of DP-SGD.

    The bound is in nats, for datasets that differ by one added or removed example. It is infinite
    for a noise multiplier of 0, and never negative.
    """
    return privacy_bounds(noise_multiplier, sample_rate, steps, delta).epsilon
