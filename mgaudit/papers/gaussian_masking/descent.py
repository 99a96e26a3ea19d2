"""Full-batch gradient descent of ReLU networks on perturbed inputs, in numpy.

The loss is 1/2 sum_i (f(x_i) - y_i)², as in Fig. 3a. With one layer, the network is that of the
paper, and training is that of `regression_trajectory`; here inputs may be perturbed in other ways,
and there may be more layers.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ReluNetwork:
    """A network whose weights keep their size at every width (NTK parametrisation):

        h_1 = relu(W_1 x),  h_l = relu(sqrt(2 / m) W_l h_{l-1}),  f(x) = m^{-1/2} outer · h_L.

    `layers` are the trained W_1 (m, d) and W_l (m, m), and `outer` (m,) the fixed outer weights.
    """

    layers: tuple[Floats, ...]
    outer: Floats

    @property
    def _between(self) -> float:
        """The factor sqrt(2 / m) of the layers after the first."""
        return float(np.sqrt(2 / len(self.outer)))

    def _activations(self, inputs: Floats) -> list[Floats]:
        """Returns h_1 to h_L, each (n, m), for the inputs (n, d)."""
        activations = [np.maximum(inputs @ self.layers[0].T, 0.0)]
        for weights in self.layers[1:]:
            preactivations = self._between * (activations[-1] @ weights.T)
            activations.append(np.maximum(preactivations, 0.0))
        return activations

    def outputs(self, inputs: Floats) -> Floats:
        """Returns the outputs (n,) for the inputs (n, d)."""
        return self._output(self._activations(inputs)[-1])

    def _output(self, last: Floats) -> Floats:
        """Returns the outputs (n,) from h_L (n, m)."""
        outputs: Floats = last @ self.outer / np.sqrt(len(self.outer))
        return outputs

    def loss(self, inputs: Floats, values: Floats) -> float:
        """Returns 1/2 sum_i (f(x_i) - y_i)² for the inputs (n, d) and the values y (n,)."""
        errors = self.outputs(inputs) - values
        return float(errors @ errors) / 2

    def gradients(self, inputs: Floats, values: Floats) -> list[Floats]:
        """Returns the gradient of `loss` with respect to each layer, in their order."""
        activations = self._activations(inputs)
        errors = self._output(activations[-1]) - values
        backward = errors[:, None] * (self.outer / np.sqrt(len(self.outer)))
        gradients: list[Floats] = []
        for index in range(len(self.layers) - 1, 0, -1):
            backward = backward * (activations[index] > 0)
            gradients.append(self._between * (backward.T @ activations[index - 1]))
            backward = self._between * (backward @ self.layers[index])
        backward = backward * (activations[0] > 0)
        gradients.append(backward.T @ inputs)
        return gradients[::-1]

    def moved(self, gradients: Iterable[Floats], learning_rate: float) -> "ReluNetwork":
        """Returns the network after a step of gradient descent."""
        pairs = zip(self.layers, gradients, strict=True)
        layers = tuple(weights - learning_rate * gradient for weights, gradient in pairs)
        return ReluNetwork(layers, self.outer)


def descend(
    network: ReluNetwork,
    perturbed: Iterator[Floats],
    values: Floats,
    learning_rate: float,
    steps: Sequence[int],
) -> Iterator[ReluNetwork]:
    """Yields the network after each of some numbers of steps of gradient descent.

    Args:
        network: The network before training.
        perturbed: The inputs (n, d) of one step after the other.
        values: The numbers to predict (n,).
        learning_rate: Learning rate.
        steps: Numbers of steps, ascending from >= 0, after which the network is yielded.
    """
    done = 0
    for target in steps:
        while done < target:
            network = network.moved(network.gradients(next(perturbed), values), learning_rate)
            done += 1
        yield network
