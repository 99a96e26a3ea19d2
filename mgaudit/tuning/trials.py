"""The trials of a search for the settings of DP-SGD."""

import math
from dataclasses import astuple, dataclass

from scipy.stats import qmc

from mgaudit.targets.fitting.dp_settings import DPSettings
from mgaudit.targets.seeds import numpy_generator

# The product of learning rate and clip norm bounds the length of a step, so the search draws the
# product and the norm. Both, epochs and sampling rate are uniform on a logarithmic scale.
EPOCHS = (15.0, 80.0)
SAMPLE_RATES = (0.05, 0.4)
STEP_LENGTHS = (0.03, 0.6)
CLIP_NORMS = (0.1, 1.5)
AVERAGING = (0.0, 0.95)
VIEWS = (1, 4)


@dataclass(frozen=True)
class Trial:
    """One trial: its number, and the settings that it tries."""

    number: int
    settings: DPSettings


def drawn_trials(trials: int, first: DPSettings, views: bool, seed: int) -> list[Trial]:
    """Returns the trials of a search: `first`, then points that fill the space of settings evenly.

    The points are a scrambled Sobol sequence, so a longer search with the same seed has the trials
    of a shorter one. `views` states whether to try several views of an example, which only
    augmented data have.
    """
    points = qmc.Sobol(6, scramble=True, rng=numpy_generator(seed, "trials"))
    drawn = [first]
    while len(drawn) < trials:
        (point,) = points.random(1).tolist()
        settings = _settings(point, views)
        if settings not in drawn:
            drawn.append(settings)
    return [Trial(number, settings) for number, settings in enumerate(drawn[:trials])]


def _settings(point: list[float], views: bool) -> DPSettings:
    """Returns the settings at a point of the unit cube (6,)."""
    epochs, rate, length, norm, averaging, of_views = point
    max_grad_norm = _logarithmic(norm, CLIP_NORMS)
    return DPSettings(
        epochs=round(_logarithmic(epochs, EPOCHS)),
        sample_rate=_rounded(_logarithmic(rate, SAMPLE_RATES)),
        learning_rate=_rounded(_logarithmic(length, STEP_LENGTHS) / max_grad_norm),
        max_grad_norm=_rounded(max_grad_norm),
        views=VIEWS[int(of_views * len(VIEWS))] if views else 1,
        averaging=AVERAGING[int(averaging * len(AVERAGING))],
    )


def _logarithmic(share: float, limits: tuple[float, float]) -> float:
    """Returns the number at `share` of the way between two limits, on a logarithmic scale."""
    low, high = limits
    return math.exp(math.log(low) + share * math.log(high / low))


def _rounded(value: float) -> float:
    """Returns the value with two digits, as a person would write it."""
    return float(f"{value:.2g}")


def cost(settings: DPSettings) -> float:
    """Returns the number of examples that a training processes, per example of the model."""
    return settings.epochs * settings.views


def order(settings: DPSettings) -> tuple[float, ...]:
    """Returns what decides between settings of equal accuracy: the cheaper, then a fixed order."""
    return (cost(settings), *map(float, astuple(settings)))
