"""The record of the steps of DP-SGD that a white-box adversary keeps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mgaudit.targets.seeds import numpy_generator
from mgaudit.targets.white_box.directions import Directions, SparseRows

RAW_LENGTH = 10.0  # norm of a canary's gradient before it is clipped, in units of the clip norm
SKETCHED = 256  # weights at which the noise of every step is kept
NUMBERS_AT_ONCE = 2**19  # of the noise of some steps, which are summed up together


class StepRecorder:
    """Adds canaries to the steps of DP-SGD, and records what each step releases.

    In a step, `begin` tosses the coins, `rows` are the gradients of the canaries, `add_reference`
    takes the clipped sum of the other examples, and `end` takes the noisy sum. The attributes of
    `attacks.white_box.StepRecords` describe what `arrays` returns.
    """

    def __init__(
        self, weights: Sequence[Tensor], directions: int, max_grad_norm: float, seed: int
    ) -> None:
        """Draws the directions.

        Args:
            weights: The weight tensors that are trained.
            directions: Number of directions of canaries.
            max_grad_norm: The norm to which the claim says that gradients are clipped.
            seed: Random seed of directions and coins.

        Raises:
            ValueError: For fewer than 1 direction or more than the largest tensor has numbers.
        """
        self.max_grad_norm = max_grad_norm
        self.steps = 0
        self._device = weights[0].device
        self._sizes = [weight.numel() for weight in weights]
        generator = numpy_generator(seed, "white-box directions")
        self._directions = Directions(weights, directions, generator)
        self._coins = numpy_generator(seed, "white-box coins")
        total = sum(self._sizes)
        chosen = generator.permutation(total)[:SKETCHED]
        self._sketched = torch.from_numpy(np.sort(chosen)).to(self._device)
        self._added = torch.zeros(directions, dtype=torch.float64, device=self._device)
        self._rows: list[SparseRows] = []
        self._reference: Tensor | None = None
        self._independent = False
        at_once = max(NUMBERS_AT_ONCE // total, 1)
        self._noise = weights[0].new_empty(at_once, total, requires_grad=False)
        self._waiting: list[Tensor] = []  # the coins of the steps whose noise is not summed up yet
        self._along: dict[int, Tensor] = {}
        self._last: Tensor | None = None
        self._summed: list[dict[str, NDArray[Any]]] = []
        self._batch_sizes: list[int] = []
        self._inclusions: NDArray[np.int64] | None = None

    def begin(self) -> None:
        """Begins a step: a fair coin decides for each direction whether its canary is added."""
        coins = self._coins.random(self._directions.number) < 0.5
        self._added = torch.from_numpy(coins.astype(float)).to(self._device)
        self._rows = self._directions.rows(self._added * (RAW_LENGTH * self.max_grad_norm))
        self._reference = None

    def rows(self) -> list[SparseRows]:
        """Returns the gradients of the canaries before clipping; they are 0 for those left out."""
        return self._rows

    @property
    def added(self) -> int:
        """The number of canaries that are added in this step."""
        return int(self._added.sum())

    def write_rows(self, rows: Sequence[Tensor]) -> None:
        """Writes the gradients of the canaries that are added, (added, *weight.shape) each."""
        self._directions.write(self._added > 0, RAW_LENGTH * self.max_grad_norm, rows)

    def add_clipped(self, vectors: Sequence[Tensor], share: float = 1.0) -> None:
        """Adds `share` times the sum of the canaries, as it should be after clipping, in place."""
        for vector, rows in zip(vectors, self._rows, strict=True):
            rows.add_to(vector, share / RAW_LENGTH)

    def add_reference(self, sums: Sequence[Tensor], independent: bool) -> None:
        """Adds to the clipped sum of the batch's examples without the canaries.

        `independent` states whether the sum was computed by other code than that under test.
        """
        own = torch.cat([vector.detach().reshape(-1) for vector in sums])
        if self._reference is None:
            self._reference, self._independent = own, independent
            return
        self._independent &= independent
        self._reference += own

    def include(self, examples: int, batch: NDArray[np.int64]) -> None:
        """Counts the examples of a batch, indices below the number of `examples`."""
        if self._inclusions is None:
            self._inclusions = np.zeros(examples, dtype=np.int64)
        np.add.at(self._inclusions, batch, 1)

    def end(self, noisy: Sequence[Tensor], batch_size: int, scale: float = 1.0) -> None:
        """Ends a step of this batch size: `scale` times `noisy` is the noisy sum.

        `noisy` has a part for each weight tensor.
        """
        number = len(self._waiting)
        row = self._noise[number]
        torch.cat([vector.detach().reshape(-1) for vector in noisy], out=row)
        row *= scale / self.max_grad_norm
        if self._reference is not None:
            row.sub_(self._reference, alpha=1 / self.max_grad_norm)
            if self._independent:
                self._along[number] = self._reference
        self._waiting.append(self._added)
        self._batch_sizes.append(batch_size)
        self.steps += 1
        if len(self._waiting) == len(self._noise):
            self._sum_up()

    def _sum_up(self) -> None:
        """Computes the sums of the steps that wait for it."""
        added = torch.stack(self._waiting)
        noise = self._noise[: len(added)]
        scores = self._directions.take_out(noise, added)
        squares = noise.square()
        successive = torch.zeros(len(noise), dtype=torch.float64, device=self._device)
        successive[1:] = (noise[1:] * noise[:-1]).sum(dim=1)
        if self._last is not None:
            successive[0] = self._last @ noise[0]
        along = np.full(len(added), np.nan)
        for number, reference in self._along.items():
            length = float(torch.linalg.vector_norm(reference))
            if length > 0:
                along[number] = float(noise[number] @ reference) / length
        sums = {
            "coins": added > 0,
            "scores": scores,
            "squares": torch.stack(
                [part.sum(dim=1) for part in torch.split(squares, self._sizes, dim=1)], dim=1
            ).double(),
            "fourth": torch.linalg.vector_norm(squares, dim=1).double().square(),
            "sketch": noise[:, self._sketched].double(),
            "successive": successive,
        }
        arrays = {name: values.cpu().numpy() for name, values in sums.items()}
        self._summed.append({**arrays, "along_sum": along})
        self._last = noise[-1].clone()
        self._waiting, self._along = [], {}

    def arrays(self) -> dict[str, Any]:
        """Returns the record by the names of the attributes of `attacks.white_box.StepRecords`.

        Raises:
            ValueError: If no step was recorded.
        """
        if not self.steps:
            raise ValueError("the record must have at least one step of DP-SGD, got 0")
        if self._waiting:
            self._sum_up()
        names = self._summed[0]
        arrays = {name: np.concatenate([part[name] for part in self._summed]) for name in names}
        return {
            **arrays,
            "sizes": np.array(self._sizes, dtype=np.int64),
            "batch_sizes": np.array(self._batch_sizes, dtype=np.int64),
            "inclusions": self._inclusions,
        }
