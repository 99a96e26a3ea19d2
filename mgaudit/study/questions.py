"""What the models of an arm (one noise scheme of a study) are queried for."""

from dataclasses import dataclass

from mgaudit.storage.ensembles import Outputs
from mgaudit.targets.datasets import Dataset
from mgaudit.targets.fitting.recipe import one_thread
from mgaudit.targets.querying.ensemble import Ensemble
from mgaudit.targets.querying.queries import Queries


@dataclass(frozen=True)
class Question:
    """The logits of models for all examples of a study, or their mean over the queries."""

    queries: Queries
    is_mean: bool = False

    @property
    def what(self) -> str:
        """The name by which the store knows the outputs."""
        return f"mean logits {self.queries}" if self.is_mean else f"logits {self.queries}"

    def answer(self, ensemble: Ensemble, dataset: Dataset, device: str, seed: int) -> Outputs:
        """Returns the logits of the audited examples, "pool", and of the test examples, "test".

        Each is (models, examples, queries, classes), float32, with one query for the mean.
        """
        compute = ensemble.mean_logits if self.is_mean else ensemble.logits
        splits = {"pool": dataset.inputs, "test": dataset.test_inputs}
        with one_thread():  # so that no bit depends on the number of cores
            return {
                split: compute(inputs, device, self.queries, seed)
                for split, inputs in splits.items()
            }
