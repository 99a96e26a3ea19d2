"""The network of the masking theory: one hidden layer of ReLUs, with fixed output weights."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mgaudit.theory.arguments import Floats, matrix, require


@dataclass(frozen=True)
class TwoLayerWeights:
    """The weights of a network with m hidden neurons (arXiv 2602.17423):

        f(x) = m^{-1/2} sum_r outer_r relu(w_r · x).

    `weights` (m, d) has the trained weights w_r in its rows, and `outer` (m,) has the fixed output
    weights, each 1 or -1. Both are stored as float64. Raises ValueError for shapes that do not fit,
    output weights other than ±1, and weights that are not finite.
    """

    weights: Floats
    outer: Floats

    def __post_init__(self) -> None:
        weights = matrix("weights", self.weights)
        outer = np.asarray(self.outer, dtype=np.float64)
        if outer.shape != weights.shape[:1]:
            raise ValueError(
                f"outer must have one weight for each of the {len(weights)} neurons, got "
                f"shape {outer.shape}"
            )
        require("outer", "be 1 or -1", outer, np.abs(outer) == 1)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "outer", outer)

    @classmethod
    def drawn(cls, width: int, dimension: int, generator: np.random.Generator) -> "TwoLayerWeights":
        """Returns a random initial network: w_r ~ N(0, I), outer_r = ±1 with equal probability.

        `width` is the number m of neurons and `dimension` is the number d of inputs.
        """
        weights = generator.standard_normal((width, dimension))
        outer = generator.choice((-1.0, 1.0), size=width)
        return cls(weights, outer)

    def outputs(self, inputs: ArrayLike) -> Floats:
        """Returns the outputs f(x) (n,) for the `inputs` (n, d), without a mask."""
        preactivations = self.checked_inputs(inputs) @ self.weights.T
        return self.combined(np.maximum(preactivations, 0.0))

    def combined(self, activations: Floats) -> Floats:
        """Returns the outputs (n,) m^{-1/2} sum_r outer_r a_r for the activations a (n, m)."""
        total: Floats = activations @ self.outer
        scaled: Floats = total / math.sqrt(len(self.outer))
        return scaled

    def checked_inputs(self, value: ArrayLike) -> Floats:
        """Returns the inputs as float64 (n, d).

        Raises ValueError unless they are a finite matrix with one column for each weight of a
        neuron.
        """
        inputs = matrix("inputs", value)
        dimension = self.weights.shape[1]
        if inputs.shape[1] != dimension:
            raise ValueError(
                f"inputs must be (n, {dimension}) as the weights are (m, {dimension}), got "
                f"shape {inputs.shape}"
            )
        return inputs

    def checked_targets(self, value: ArrayLike, inputs: Floats) -> Floats:
        """Returns the targets as float64 (n,).

        Raises ValueError unless they are finite and there is one for each of the `inputs` (n, d).
        """
        targets = np.asarray(value, dtype=np.float64)
        if targets.shape != inputs.shape[:1]:
            raise ValueError(
                f"targets must be one for each of the {len(inputs)} inputs, got shape "
                f"{targets.shape}"
            )
        require("targets", "be finite", targets, np.isfinite(targets))
        return targets

    def pulled_back(self, inputs: Floats, kappa: float, by_mean: Floats, by_sd: Floats) -> Floats:
        """Returns the gradient (m, d) of a loss with respect to the weights, by the chain rule.

        A mask of standard deviation `kappa` gives the pre-activation of neuron r at input i the
        mean z_ir = w_r · x_i and the standard deviation s_ir = kappa ‖w_r ⊙ x_i‖. `by_mean` and
        `by_sd` (n, m) are the derivatives of the loss with respect to z_ir and s_ir. `inputs` is
        (n, d). The derivatives of z_ir and s_ir are

            dz_ir / dw_r = x_i,    ds_ir / dw_r = kappa x_i² ⊙ w_r / ‖w_r ⊙ x_i‖,

        where ds_ir / dw_r is 0 if w_r ⊙ x_i = 0.
        """
        squares = inputs * inputs
        norms = np.sqrt(squares @ (self.weights * self.weights).T)
        by_norm = np.divide(kappa * by_sd, norms, out=np.zeros_like(norms), where=norms > 0)
        through_sds = (by_norm.T @ squares) * self.weights
        gradient: Floats = by_mean.T @ inputs + through_sds
        return gradient
