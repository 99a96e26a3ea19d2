"""The trials of a search for the settings of DP-SGD."""

import math
from dataclasses import astuple, dataclass

from mgaudit.targets.fitting.tuned_settings import TunedSettings
from mgaudit.targets.seeds import numpy_generator

# The product of learning rate and clip norm, divided by 1 - momentum, bounds the length of a step,
# so the search draws this length, the norm and the momentum. Length, norm, epochs and sampling rate
# are uniform on a logarithmic scale.
EPOCHS = (15.0, 80.0)
SAMPLE_RATES = (0.05, 1.0)
STEP_LENGTHS = (0.1, 6.0)
CLIP_NORMS = (0.1, 1.5)
AVERAGING = (0.0, 0.95)
MOMENTA = (0.0, 0.9)
VIEWS = (1, 4)

# Training without DP-SGD needs fewer epochs, smaller batches and smaller learning rates.
PLAIN_EPOCHS = (5.0, 60.0)
PLAIN_RATES = (0.01, 0.2)
PLAIN_LEARNING_RATES = (0.003, 0.3)


@dataclass(frozen=True)
class Trial:
    """One trial: its number, and the settings that it tries."""

    number: int
    settings: TunedSettings


def dp_trials(trials: int, first: TunedSettings, views: bool, seed: int) -> list[Trial]:
    """Returns the trials of a search for DP-SGD: `first`, and others that are drawn at random.

    A longer search with the same seed has the trials of a shorter one. `views` states whether to
    try several views of an example, which only augmented data have.
    """
    generator = numpy_generator(seed, "DP-SGD trials")
    others = [_of_dp_sgd(generator.random(7).tolist(), views) for _ in range(trials - 1)]
    return numbered([first, *others])


def plain_trials(trials: int, first: TunedSettings, seed: int) -> list[Trial]:
    """Returns the trials of a search for training without DP-SGD, as `dp_trials`."""
    generator = numpy_generator(seed, "plain trials")
    others = [_of_plain_training(generator.random(3).tolist()) for _ in range(trials - 1)]
    return numbered([first, *others])


def numbered(settings: list[TunedSettings]) -> list[Trial]:
    """Returns the settings as trials with numbers from 0, each setting once."""
    return [Trial(number, own) for number, own in enumerate(dict.fromkeys(settings))]


def _of_dp_sgd(point: list[float], views: bool) -> TunedSettings:
    """Returns the settings at a point of the unit cube (7,)."""
    epochs, rate, length, norm, averaging, of_views, of_momenta = point
    max_grad_norm = _logarithmic(norm, CLIP_NORMS)
    momentum = MOMENTA[int(of_momenta * len(MOMENTA))]
    step = _logarithmic(length, STEP_LENGTHS) * (1 - momentum)
    return TunedSettings(
        epochs=round(_logarithmic(epochs, EPOCHS)),
        sample_rate=_rounded(_logarithmic(rate, SAMPLE_RATES)),
        learning_rate=_rounded(step / max_grad_norm),
        max_grad_norm=_rounded(max_grad_norm),
        views=VIEWS[int(of_views * len(VIEWS))] if views else 1,
        averaging=AVERAGING[int(averaging * len(AVERAGING))],
        momentum=momentum,
    )


def _of_plain_training(point: list[float]) -> TunedSettings:
    """Returns the settings at a point of the unit cube (3,)."""
    epochs, rate, learning_rate = point
    return TunedSettings(
        epochs=round(_logarithmic(epochs, PLAIN_EPOCHS)),
        sample_rate=_rounded(_logarithmic(rate, PLAIN_RATES)),
        learning_rate=_rounded(_logarithmic(learning_rate, PLAIN_LEARNING_RATES)),
    )


def _logarithmic(share: float, limits: tuple[float, float]) -> float:
    """Returns the number at `share` of the way between two limits, on a logarithmic scale."""
    low, high = limits
    return math.exp(math.log(low) + share * math.log(high / low))


def _rounded(value: float) -> float:
    """Returns the value with two digits, as a person would write it."""
    return float(f"{value:.2g}")


def cost_order(settings: TunedSettings) -> tuple[float, ...]:
    """Returns a key that sorts settings by the examples that a training processes, then by value.

    The order is the same on every machine, so that a search is.
    """
    return (settings.epochs * settings.views, *map(float, astuple(settings)))
