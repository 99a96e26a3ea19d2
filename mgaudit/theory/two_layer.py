"""The network of the masking theory: one layer of ReLUs under fixed outer weights."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mgaudit.theory.arguments import Floats, matrix, require


@dataclass(frozen=True)
class TwoLayerWeights:
    """f(x) = m^{-1/2} sum_r outer_r relu(w_r · x), with `weights` (m, d), whose rows are the w_r, and `outer` (m,), ±1.

    Both are float64 once made. Raises ValueError for shapes that do not fit, outer weights other than ±1, and weights
    that are not finite (arXiv 2602.17423).
    """

    weights: Floats
    outer: Floats

    def __post_init__(self) -> None:
        weights, outer = matrix("weights", self.weights), np.asarray(self.outer, dtype=np.float64)
        if outer.shape != weights.shape[:1]:
            raise ValueError(
                f"outer must have one weight for each of the {len(weights)} neurons, got shape {outer.shape}"
            )
        require("outer", "be 1 or -1", outer, np.abs(outer) == 1)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "outer", outer)

    @classmethod
    def drawn(cls, width: int, dimension: int, generator: np.random.Generator) -> "TwoLayerWeights":
        """Returns a network of `width` neurons as training starts from it: w_r ~ N(0, I), outer_r fair coins."""
        return cls(generator.standard_normal((width, dimension)), generator.choice((-1.0, 1.0), size=width))

    def outputs(self, inputs: ArrayLike) -> Floats:
        """Returns f (n,) at the `inputs` (n, d), without a mask."""
        return self.combined(np.maximum(self.checked_inputs(inputs) @ self.weights.T, 0.0))

    def combined(self, activations: Floats) -> Floats:
        """Returns m^{-1/2} sum_r outer_r activations_r, (n,) for (n, m)."""
        found: Floats = activations @ self.outer / math.sqrt(len(self.outer))
        return found

    def checked_inputs(self, value: ArrayLike) -> Floats:
        """Returns the inputs as a float64 matrix (n, d). Raises ValueError where they do not fit the weights."""
        inputs = matrix("inputs", value)
        if inputs.shape[1] != self.weights.shape[1]:
            raise ValueError(
                f"inputs must be (n, {self.weights.shape[1]}) as the weights are (m, {self.weights.shape[1]}), "
                f"got shape {inputs.shape}"
            )
        return inputs

    def checked_targets(self, value: ArrayLike, inputs: Floats) -> Floats:
        """Returns the targets as a finite float64 vector. Raises ValueError unless there is one for each input."""
        targets = np.asarray(value, dtype=np.float64)
        if targets.shape != inputs.shape[:1]:
            raise ValueError(f"targets must be one for each of the {len(inputs)} inputs, got shape {targets.shape}")
        require("targets", "be finite", targets, np.isfinite(targets))
        return targets

    def pulled_back(self, inputs: Floats, kappa: float, by_mean: Floats, by_sd: Floats) -> Floats:
        """Returns the gradient (m, d) in the weights, from that in the pre-activations' means and sds, (n, m) each.

        dz_ir / dw_r = x_i and ds_ir / dw_r = kappa x_i² ⊙ w_r / ‖w_r ⊙ x_i‖, and 0 where no mask reaches the neuron.
        """
        squares = inputs * inputs
        norms = np.sqrt(squares @ (self.weights * self.weights).T)
        by_norm = np.divide(kappa * by_sd, norms, out=np.zeros_like(norms), where=norms > 0)
        gradient: Floats = by_mean.T @ inputs + (by_norm.T @ squares) * self.weights
        return gradient
