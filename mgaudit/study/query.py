"""Query the models of a trained arm; what the store holds already is not computed again."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mgaudit.storage.ensembles import DamagedFileError, Outputs, OutputsKey, Tensors
from mgaudit.study.design import Design
from mgaudit.study.train import TrainedArm, locked, model_layout, train_missing
from mgaudit.targets.fitting.recipe import initial_model
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Queries


@dataclass(frozen=True)
class ArmOutputs:
    """What the converged models of an arm answer; it is computed when it is asked for, and kept."""

    trained: TrainedArm
    design: Design

    @property
    def converged(self) -> list[int]:
        """The models that are queried. All outputs are theirs, in this order."""
        return self.trained.converged

    def logits(self, queries: Queries) -> Outputs:
        """Returns the logits (converged, examples, queries, classes) of the audited examples, "pool", and of "test"."""
        design, seed = self.design, self.trained.arm.recipe.seed
        splits = {"pool": design.dataset.inputs, "test": design.dataset.test_inputs}

        def query(ensemble: Ensemble) -> Outputs:
            return {
                split: ensemble.logits(inputs, design.device, queries, seed)
                for split, inputs in splits.items()
            }

        return self.kept(f"logits {queries}", (design.pool_sha256, design.test_sha256), query)

    def kept(
        self, what: str, inputs: tuple[str, ...], compute: Callable[[Ensemble], Outputs]
    ) -> Outputs:
        """Returns what is computed of the converged models, from the store where it is kept there.

        It is kept under the name `what`, the checksums of the models and those of the `inputs`.
        """
        folder, records, progress = self.trained.folder, self.trained.records, self.trained.progress
        key = OutputsKey(what, tuple(record.weights_sha256 for record in records), inputs)
        with locked(folder, progress):
            outputs = folder.load_outputs(key, progress.stage)
            if outputs is None:
                outputs = compute(self._ensemble())
                self._check_outputs(what, outputs)
                folder.save_outputs(key, outputs)
        return outputs

    def _ensemble(self) -> Ensemble:
        dataset = self.design.dataset
        network = initial_model(
            self.trained.arm.recipe.target, dataset.input_shape, len(dataset.classes), seed=0
        )
        return Ensemble(network, self._weights())

    def _weights(self) -> list[Tensors]:
        """Returns the weights of the converged models; what was damaged since the training is trained again."""
        arm, folder = self.trained.arm, self.trained.folder
        layout = model_layout(arm, self.design)
        try:
            models = [folder.load_model(index, layout) for index in self.converged]
        except (FileNotFoundError, DamagedFileError):
            train_missing(arm, folder, self.design, 1, self.trained.progress)
            models = [folder.load_model(index, layout) for index in self.converged]
        expected = [self.trained.records[index].weights_sha256 for index in self.converged]
        if [model.weights_sha256 for model in models] != expected:
            raise RuntimeError(
                f"the kept models in {folder.path} changed during the run; run again"
            )
        return [model.weights for model in models]

    def _check_outputs(self, what: str, outputs: Outputs) -> None:
        """Raises ValueError for outputs that must not be kept: each must be finite."""
        for split, values in outputs.items():
            finite = np.isfinite(values.reshape(*values.shape[:2], -1)).all(axis=2)
            if not finite.all():
                model, example = np.argwhere(~finite)[0].tolist()
                raise ValueError(
                    f"{self.trained.arm.settings.label}: {what} must be finite, got NaN or infinity for model "
                    f"{self.converged[model]} and example {example} of {split}; try a lower --learning-rate"
                )
