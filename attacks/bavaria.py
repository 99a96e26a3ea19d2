"""Bayesian variance inference: likelihood ratios that account for the number of shadow models."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mgaudit.attacks.adversary_view import AdversaryView
from mgaudit.attacks.attack import Attack
from mgaudit.attacks.drift_corrected import DriftCorrected
from mgaudit.attacks.normal_inverse_gamma import sides
from mgaudit.attacks.signals import BentConfidence

# The bend of phi with fewer shadows than MANY_SHADOWS, and from there on.
FEW_BEND, MANY_BEND = 4.0, 8.0
MANY_SHADOWS = 7


@dataclass(frozen=True)
class BaVarIA(DriftCorrected):
    """Likelihood ratio of the target's phi under Bayesian predictive distributions.

    For each example, phi is N(mu, sigma^2), separately for members and for non-members, with
    conjugate normal-inverse-gamma priors fitted by empirical Bayes across the examples (arXiv
    2603.11799):

    - sigma^2 ~ scaled inverse chi^2(d, s^2), by the moments of the log sample variances (Smyth
      2004, section 6.2);
    - mu | sigma^2 ~ N(m_i, sigma^2 / k) on either side (member shadows, non-member shadows), where
      m_i is predicted from the shadows of the other side: the linear regression, over examples, of
      this side's mean phi on the posterior mean of the other side's mu. With few shadows this
      matters: where models memorise, members' phi hardly depends on the example, and an example
      that one non-member shadow misclassifies by chance is still easy if the member shadows
      classify it with confidence.

    phi is transformed where it is positive (`BentConfidence`), because its spread grows with its
    mean there and the model assumes that the two are independent; `bend` inf leaves phi unchanged,
    and None is 4 with fewer than 7 shadows, and 8 from 7 shadows on. The transformation and the
    regression are ours, not the paper's. `min_std` is the least value of every sd.

    The score is the log ratio of the two posterior predictive densities, averaged over queries.
    The densities are Student's t or, with `predictive="gaussian"`, normal with the same location
    and scale.
    """

    predictive: Literal["student", "gaussian"] = "student"
    bend: float | None = None
    min_std: float = 1e-6

    needs: ClassVar[frozenset[str]] = frozenset({"shadows"})
    fewest_shadows: ClassVar[int] = 2  # to estimate the spread within an example
    cost: ClassVar[str] = "shadow models"
    source: ClassVar[str] = "BaVarIA 2026, arXiv 2603.11799"

    @classmethod
    def examples(cls) -> tuple[Attack, ...]:
        """Returns the attack with each predictive distribution."""
        return cls(), cls(predictive="gaussian")

    @property
    def planted_auc(self) -> float:
        """Nearly the largest possible AUC on the planted data."""
        return 0.9032

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.predictive not in ("student", "gaussian"):
            raise ValueError(f"predictive must be 'student' or 'gaussian', got {self.predictive!r}")
        if self.bend is not None and not self.bend > 0:
            raise ValueError(f"bend must be > 0, got {self.bend}")
        if not 0 < self.min_std < np.inf:
            raise ValueError(f"min_std must be a finite number > 0, got {self.min_std}")

    def resolved(self, shadows: int) -> "BaVarIA":
        """Returns the attack with the bend for this number of shadows."""
        if self.bend is not None:
            return self
        return replace(self, bend=FEW_BEND if shadows < MANY_SHADOWS else MANY_BEND)

    def score(self, view: AdversaryView) -> NDArray[np.float64]:
        """Returns log p(phi | member) - log p(phi | non-member) (examples,) in nats."""
        bend = self.resolved(view.shadows).bend
        assert bend is not None
        signal = BentConfidence(bend)
        phi = view.target_signal(signal, self.drift)
        shadows = view.shadow_moments(signal, self.drift)
        inside, outside = sides(shadows, self.min_std)
        posterior_in = inside.posterior(inside.predicted_from(outside))
        posterior_out = outside.posterior(outside.predicted_from(inside))
        log_density_in = posterior_in.log_density(phi.T, self.predictive)
        log_density_out = posterior_out.log_density(phi.T, self.predictive)
        log_ratio = log_density_in - log_density_out
        return np.asarray(log_ratio.mean(axis=0), dtype=np.float64)
