"""Query the models of a trained arm (one noise scheme of a study).

The store, a folder of the cache, keeps the models and their outputs. Outputs that it has are not
computed again.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mgaudit.errors import UsageError
from mgaudit.storage.checked_files import DamagedFileError
from mgaudit.storage.ensembles import Outputs, OutputsKey, Tensors
from mgaudit.study.design import Design
from mgaudit.study.train import TrainedArm, locked, model_layout, train_missing
from mgaudit.targets.fitting.recipe import initial_model
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Queries


@dataclass(frozen=True)
class ArmOutputs:
    """The outputs of the converged models of an arm, computed on demand and kept in the store."""

    trained: TrainedArm
    design: Design

    @property
    def converged(self) -> list[int]:
        """Indices of the models that are queried; all outputs are in this order."""
        return self.trained.converged

    def logits(self, queries: Queries) -> Outputs:
        """Returns the logits of the audited examples, "pool", and of the test examples, "test".

        Each is (converged models, examples, queries, classes), float32.
        """
        return self._logits(f"logits {queries}", Ensemble.logits, queries)

    def mean_logits(self, queries: Queries) -> Outputs:
        """Returns the mean of the logits over the queries, as one query.

        The shapes are those of `logits`.
        """
        return self._logits(f"mean logits {queries}", Ensemble.mean_logits, queries)

    def _logits(
        self,
        what: str,
        compute: Callable[[Ensemble, NDArray[np.float32], str, Queries, int], NDArray[np.float32]],
        queries: Queries,
    ) -> Outputs:
        """Returns what `compute` returns of audited and of test examples."""
        design, seed = self.design, self.trained.arm.recipe.seed
        splits = {"pool": design.dataset.inputs, "test": design.dataset.test_inputs}

        def query(ensemble: Ensemble) -> Outputs:
            return {
                split: compute(ensemble, inputs, design.device, queries, seed)
                for split, inputs in splits.items()
            }

        return self.kept(what, (design.pool_sha256, design.test_sha256), query)

    def kept(
        self, what: str, inputs: tuple[str, ...], compute: Callable[[Ensemble], Outputs]
    ) -> Outputs:
        """Returns outputs of the converged models from the store, or computes and keeps them.

        Args:
            what: The name of the kind of outputs, such as "gradient norms".
            inputs: The SHA-256 of the examples that the models are queried with. It identifies the
                outputs together with `what` and the SHA-256 of the models' weights.
            compute: Returns the outputs of an ensemble, each (models, examples, ...).

        Raises:
            ValueError: For outputs that are not finite.
            RuntimeError: If the stored models changed since they were trained.
        """
        folder, progress = self.trained.folder, self.trained.progress
        models = tuple(record.weights_sha256 for record in self.trained.records)
        key = OutputsKey(what, models, inputs)
        with locked(folder, progress):
            outputs = folder.load_outputs(key, progress.stage)
            if outputs is None:
                outputs = self._computed(compute)
                self._check_outputs(what, outputs)
                folder.save_outputs(key, outputs)
        return outputs

    def _computed(self, compute: Callable[[Ensemble], Outputs]) -> Outputs:
        """Returns the outputs. Raises RuntimeError, naming it, where an own network fails."""
        target, ensemble = self.trained.arm.settings.target, self._ensemble()
        try:
            return compute(ensemble)
        except (UsageError, OSError):
            raise
        except RAISED as error:
            if target.own_sha256 is None:
                raise
            raise RuntimeError(f"target {target.name} failed: {error_line(error)}") from error

    def _ensemble(self) -> Ensemble:
        """Returns the converged models, loaded from the store."""
        dataset, target = self.design.dataset, self.trained.arm.recipe.target
        network = initial_model(target, dataset.input_shape, len(dataset.classes), seed=0)
        return Ensemble(network, self._weights(), self.trained.arm.recipe.traits)

    def _weights(self) -> list[Tensors]:
        """Returns the weights of the converged models, training missing or damaged ones again."""
        trained = self.trained
        arm, folder = trained.arm, trained.folder
        layout = model_layout(arm, self.design)
        try:
            models = [folder.load_model(index, layout) for index in self.converged]
        except (FileNotFoundError, DamagedFileError):
            train_missing(arm, folder, self.design, 1, trained.progress)
            models = [folder.load_model(index, layout) for index in self.converged]
        expected = [trained.records[index].weights_sha256 for index in self.converged]
        loaded = [model.weights_sha256 for model in models]
        if loaded != expected:
            raise RuntimeError(
                f"the kept models in {folder.path} changed during the run; run again"
            )
        return [model.weights for model in models]

    def _check_outputs(self, what: str, outputs: Outputs) -> None:
        """Raises ValueError for outputs that are not finite; these must not be kept."""
        label = self.trained.arm.settings.label
        for split, values in outputs.items():
            of_each_example = values.reshape(*values.shape[:2], -1)
            finite = np.isfinite(of_each_example).all(axis=2)
            if not finite.all():
                row, example = np.argwhere(~finite)[0].tolist()
                model = self.converged[row]
                raise ValueError(
                    f"{label}: {what} must be finite, got NaN or infinity for model {model} and "
                    f"example {example} of {split}; try a lower --learning-rate"
                )
