"""Query the models of a trained arm (one noise scheme of a study).

The store, a folder of the cache, keeps the models and their outputs. Outputs that it has are not
computed again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from mgaudit.compute.heap import release_free_blocks
from mgaudit.errors import UsageError
from mgaudit.storage.checked_files import DamagedFileError
from mgaudit.storage.ensembles import Outputs, OutputsKey, Tensors
from mgaudit.study.design import Design
from mgaudit.study.questions import Question
from mgaudit.study.train import TrainedArm, locked, model_layout, train_again
from mgaudit.targets.fitting.recipe import initial_model
from mgaudit.targets.own_module import RAISED, error_line
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Queries


@dataclass(frozen=True)
class ArmOutputs:
    """The outputs of the converged models of an arm, computed on demand and kept in the store.

    Outputs that are still in use are not read again, so that they are in memory once.
    """

    trained: TrainedArm
    design: Design
    _in_use: dict[object, dict[str, "ref[NDArray[np.float32]]"]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def converged(self) -> list[int]:
        """Indices of the models that are queried; all outputs are in this order."""
        return self.trained.converged

    def logits(self, queries: Queries) -> Outputs:
        """Returns the logits of the audited examples, "pool", and of the test examples, "test".

        Each is (converged models, examples, queries, classes), float32.
        """
        return self.answer(Question(queries))

    def mean_logits(self, queries: Queries) -> Outputs:
        """Returns the mean of the logits over the queries, as one query.

        The shapes are those of `logits`.
        """
        return self.answer(Question(queries, is_mean=True))

    def answer(self, question: Question) -> Outputs:
        """Returns what the converged models answer, each (converged models, examples, …)."""
        design, seed = self.design, self.trained.arm.recipe.seed

        def query(ensemble: Ensemble) -> Outputs:
            return question.answer(ensemble, design.dataset, design.device, seed)

        return self.kept(question.what, (design.pool_sha256, design.test_sha256), query)

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
        in_use = self._outputs_in_use((what, inputs))
        if in_use is not None:
            return in_use
        folder, progress = self.trained.folder, self.trained.progress
        models = tuple(record.weights_sha256 for record in self.trained.records)
        key = OutputsKey(what, models, inputs)
        with locked(folder, progress):
            outputs = folder.load_outputs(key, progress.stage)
            answers = self.trained.answers.pop(what, {})
            if outputs is None:
                self._save(key, answers, compute)
                release_free_blocks()  # those of the outputs, which nothing needs now
                # Large outputs are mapped from a file, of which all processes share the pages.
                outputs = folder.load_outputs(key, progress.stage)
            if outputs is None:  # the new file is damaged
                outputs = self._computed(self.converged, compute)
        self._in_use[what, inputs] = {split: ref(values) for split, values in outputs.items()}
        return outputs

    def _save(
        self, key: OutputsKey, answers: dict[int, Outputs], compute: Callable[[Ensemble], Outputs]
    ) -> None:
        """Computes the outputs and keeps them in the store.

        Raises ValueError for outputs that are not finite.
        """
        outputs = self._completed(answers, compute)
        self._check_outputs(key.what, outputs)
        self.trained.folder.save_outputs(key, outputs)

    def _outputs_in_use(self, key: object) -> Outputs | None:
        """Returns outputs that were read before and are in use; None if they are not."""
        outputs: Outputs = {}
        for split, reference in self._in_use.get(key, {}).items():
            values = reference()
            if values is None:
                return None
            outputs[split] = values
        return outputs or None

    def _completed(
        self, answers: dict[int, Outputs], compute: Callable[[Ensemble], Outputs]
    ) -> Outputs:
        """Returns the outputs of all converged models; those of `answers` are known by index.

        `answers` is emptied model by model, so that outputs are hardly in memory twice.
        """
        unknown = [index for index in self.converged if index not in answers]
        if unknown == self.converged:
            return self._computed(unknown, compute)
        if unknown:
            computed = self._computed(unknown, compute)
            for row, index in enumerate(unknown):
                answers[index] = {
                    split: values[row : row + 1] for split, values in computed.items()
                }
        completed: Outputs = {}
        for row, index in enumerate(self.converged):
            for split, values in answers.pop(index).items():
                if row == 0:
                    shape = (len(self.converged), *values.shape[1:])
                    completed[split] = np.empty(shape, values.dtype)
                completed[split][row] = values[0]
        return completed

    def _computed(self, models: list[int], compute: Callable[[Ensemble], Outputs]) -> Outputs:
        """Returns outputs of models. Raises RuntimeError, naming it, where an own network fails."""
        target, ensemble = self.trained.arm.settings.target, self._ensemble(models)
        try:
            return compute(ensemble)
        except (UsageError, OSError):
            raise
        except RAISED as error:
            if target.own_sha256 is None:
                raise
            raise RuntimeError(f"target {target.name} failed: {error_line(error)}") from error

    def _ensemble(self, models: list[int]) -> Ensemble:
        """Returns some of the converged models, loaded from the store."""
        dataset, target = self.design.dataset, self.trained.arm.recipe.target
        network = initial_model(target, dataset.input_shape, len(dataset.classes), seed=0)
        return Ensemble(network, self._weights(models), self.trained.arm.recipe.traits)

    def _weights(self, models: list[int]) -> list[Tensors]:
        """Returns the weights of models, training missing or damaged ones again."""
        trained = self.trained
        folder, layout = trained.folder, model_layout(trained.arm, self.design)
        try:
            kept = [folder.load_model(index, layout) for index in models]
        except (FileNotFoundError, DamagedFileError):
            train_again(trained, self.design)
            kept = [folder.load_model(index, layout) for index in models]
        expected = [trained.records[index].weights_sha256 for index in models]
        if [model.weights_sha256 for model in kept] != expected:
            raise RuntimeError(
                f"the kept models in {folder.path} changed during the run; run again"
            )
        return [model.weights for model in kept]

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
