"""How often the lower bound on epsilon from all targets exceeds the true epsilon.

Models are drawn anew for every simulated audit, and where the attack has shadow models, it scores
all targets anew. The mechanisms have a known epsilon at each delta. A bound at 95 % may exceed it
in 5 % of the audits. The last mechanisms show how wrong the bound is if targets are treated as
independent although they are each other's shadow models.

    python benchmarks/epsilon_validity.py --audits 1000
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from mgaudit.attacks import (
    RMIA,
    AdversaryView,
    Attack,
    LiRA,
    LossThreshold,
    score_every_target,
)
from mgaudit.attacks.disjoint_shadows import Side, scores_with_disjoint_shadows, sides_of
from mgaudit.attacks.signals import logit_confidence
from mgaudit.study.epsilon_bound import epsilon_bound
from mgaudit.testing import observations_of

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MODELS = 8
EXAMPLES = 400
DIFFICULTY = 1.0  # sd of the effect of an example on the outputs of all models


@dataclass(frozen=True)
class Agreement(Attack):
    """Guesses a coin as if the coins of all models had an even sum where the outputs are high.

    The outputs say nothing about the coins. If all models are each other's shadows, the guesses
    about an example are right for all targets or for none.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})

    def score(self, view: AdversaryView) -> Floats:
        """Returns the sum of all outputs, with the sign of the product of the shadows' coins."""
        shadows = view.shadow_signal(logit_confidence).sum(axis=(0, 2))
        total = shadows + view.target_signal(logit_confidence).sum(axis=1)
        signs = np.where(view.shadow_membership, 1.0, -1.0).prod(axis=0)
        return np.asarray(total * signs, dtype=np.float64)


@dataclass(frozen=True)
class Mechanism:
    """Draws phi (models, examples) for membership (models, examples), with a known epsilon.

    `epsilon` maps delta to the epsilon of the mechanism, in nats. `deltas` are those of the table.
    With `pretend`, all targets are treated as independent although they are shadows of each other.
    """

    name: str
    draw: Callable[[Flags, np.random.Generator], Floats]
    epsilon: Callable[[float], float]
    attack: Attack
    deltas: Sequence[float]
    pretend: bool = False


def gaussian(mu: float, share: float = 1.0) -> Callable[[Flags, np.random.Generator], Floats]:
    """Returns noise + difficulty, and `mu` for members, each of which is seen with chance `share`.

    Every output is a one-step Poisson-subsampled Gaussian mechanism.
    """

    def draw(membership: Flags, generator: np.random.Generator) -> Floats:
        examples = membership.shape[1]
        noise = generator.standard_normal(membership.shape)
        seen = membership & (generator.random(membership.shape) < share)
        return noise + DIFFICULTY * generator.standard_normal(examples) + mu * seen

    return draw


def response(epsilon: float, chance: float = 1.0) -> Callable[[Flags, np.random.Generator], Floats]:
    """Returns coins as answers that are right with odds e^epsilon, or else fair coins.

    A model answers so with probability `chance`, for all examples at once.
    """

    def draw(membership: Flags, generator: np.random.Generator) -> Floats:
        answers = generator.random((len(membership), 1)) < chance
        wrong = np.where(answers, 1 / (1 + math.exp(epsilon)), 0.5)
        answer = membership ^ (generator.random(membership.shape) < wrong)
        return answer + 1e-9 * generator.standard_normal(membership.shape)

    return draw


def response_epsilon(epsilon: float, chance: float = 1.0) -> Callable[[float], float]:
    """Returns the epsilon at delta of `response`: the lower corner of its trade-off curve."""
    fpr = chance / (1 + math.exp(epsilon))
    tpr = chance - fpr
    return lambda delta: math.log(max(tpr - delta, fpr) / fpr)


def gaussian_epsilon(mu: float, share: float = 1.0) -> Callable[[float], float]:
    """Returns the epsilon at delta of `gaussian`, the larger of both directions.

    The output is N(0, 1) without the example, and a mixture with N(mu, 1) with it. The privacy
    loss increases with the output, so the worst events are half-lines.
    """

    def delta_of(epsilon: float) -> float:
        growth = math.exp(epsilon)
        # The mixture is more than e^epsilon times as likely above this output,
        above = math.log1p((growth - 1) / share) / mu + mu / 2
        power = (1 - share) * ndtr(-above) + share * ndtr(mu - above)
        deltas = [power - growth * ndtr(-above)]
        ratio = 1 / growth - (1 - share)
        if ratio > 0:  # and less than e^-epsilon times as likely below this one.
            below = math.log(ratio / share) / mu + mu / 2
            seen = (1 - share) * ndtr(below) + share * ndtr(below - mu)
            deltas.append(ndtr(below) - growth * seen)
        return float(max(deltas))

    def epsilon(delta: float) -> float:
        return float(brentq(lambda value: delta_of(value) - delta, 0.0, 40.0))

    return epsilon


def nothing(_: float) -> float:
    """Returns the epsilon of a mechanism that does not read its input."""
    return 0.0


MECHANISMS = [
    Mechanism("noise", gaussian(0.0), nothing, LossThreshold(), (0.0, 1e-3)),
    Mechanism("noise", gaussian(0.0), nothing, LiRA(), (0.0, 1e-3)),
    Mechanism("noise", gaussian(0.0), nothing, Agreement(), (0.0, 1e-3)),
    Mechanism(
        "randomised response, ε = 1",
        response(1.0),
        response_epsilon(1.0),
        LossThreshold(),
        (0.0, 1e-4, 1e-3),
    ),
    Mechanism(
        "response, ε = 3, in 3 % of models",
        response(3.0, 0.03),
        response_epsilon(3.0, 0.03),
        LossThreshold(),
        (1e-2,),
    ),
    Mechanism("Gaussian, μ = 1", gaussian(1.0), gaussian_epsilon(1.0), LiRA(), (1e-4, 1e-2)),
    Mechanism("Gaussian, μ = 1", gaussian(1.0), gaussian_epsilon(1.0), RMIA(), (1e-4, 1e-2)),
    Mechanism(
        "subsampled Gaussian, μ = 3, 10 %",
        gaussian(3.0, 0.1),
        gaussian_epsilon(3.0, 0.1),
        LiRA(),
        (1e-4, 1e-2),
    ),
    Mechanism("noise, same half", gaussian(0.0), nothing, LiRA(), (0.0, 1e-3), pretend=True),
    Mechanism("noise, same half", gaussian(0.0), nothing, Agreement(), (0.0, 1e-3), pretend=True),
]


@dataclass(frozen=True)
class Validity:
    """The share of audits whose bound exceeds the true epsilon, with the mean of the bounds."""

    exceeds: float
    mean: float
    truth: float
    combination: str


def validity(
    mechanism: Mechanism, delta: float, audits: int, models: int = MODELS, examples: int = EXAMPLES
) -> Validity:
    """Returns how often the bound from all targets exceeds the truth in simulated audits."""
    generator = np.random.default_rng([models, examples, audits])
    truth = mechanism.epsilon(delta)
    everything = list(range(models))
    sides = sides_of(mechanism.attack, everything, everything)
    if mechanism.pretend:
        sides = (Side(tuple(everything), ()),)
    bounds, combination = [], ""
    for audit in range(audits):
        membership = generator.random((models, examples)) < 0.5
        observations = observations_of(mechanism.draw(membership, generator), membership)
        if sides[0].shadows:
            scores = scores_with_disjoint_shadows(
                mechanism.attack, observations, None, sides, everything
            )
        else:
            scores = score_every_target(mechanism.attack, observations)
        bound, proof = epsilon_bound(scores, membership, everything, sides, delta, audit)
        bounds.append(bound)
        combination = proof.combination
    exceeds = float(np.mean([bound > truth for bound in bounds]))
    return Validity(exceeds, float(np.mean(bounds)), truth, combination)


def main() -> None:
    """Prints the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=1000)
    parser.add_argument("--models", type=int, default=MODELS)
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    options = parser.parse_args()
    print("| mechanism | attack | δ | combination | true ε | mean bound | above the truth, % |")
    print("|---|---|---|---|---|---|---|")
    for mechanism in MECHANISMS:
        for delta in mechanism.deltas:
            of = validity(mechanism, delta, options.audits, options.models, options.examples)
            print(
                f"| {mechanism.name} | {type(mechanism.attack).__name__} | {delta:g} | "
                f"{of.combination} | {of.truth:.2f} | {of.mean:.2f} | {100 * of.exceeds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
